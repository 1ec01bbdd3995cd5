// SPDX-License-Identifier: Apache-2.0
#include "rpc/tombstone.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/file.h"
#include "cni/names.h"

namespace terway::rpc {

namespace {

// A plugin writes "CONTAINER:IFNAME:PID" and renames; it lives some milliseconds between the two.
constexpr auto kHalfWrittenAge = std::chrono::minutes(10);

std::optional<model::AttachmentKey> key_from(std::string_view name) {
  const std::size_t colon = name.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view container = name.substr(0, colon);
  const std::string_view ifname = name.substr(colon + 1);
  if (!cni::is_container_id(container.data(), container.size()) ||
      !cni::is_ifname(ifname.data(), ifname.size())) {
    return std::nullopt;
  }
  return model::AttachmentKey{std::string(container), std::string(ifname)};
}

std::optional<WallTime> written_at(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return WallTime(std::chrono::seconds(status.st_mtim.tv_sec) +
                  std::chrono::nanoseconds(status.st_mtim.tv_nsec));
}

bool is_half_written(std::string_view name) {
  return std::count(name.begin(), name.end(), ':') == 2;
}

// A machine that lost its power may leave the name without the content: the key is what counts.
Tombstone tombstone_from(const model::AttachmentKey& key, WallTime left_at,
                         const Result<std::string>& content) {
  Tombstone tombstone;
  tombstone.key = key;
  tombstone.left_at = left_at;
  tombstone.request.command = cni::Command::Del;
  tombstone.request.container_id = key.container_id;
  tombstone.request.ifname = key.ifname;
  if (!content.ok()) {
    tombstone.damage = content.error().message();
    return tombstone;
  }
  Result<PluginRequest> request = decode_request(*content);
  if (!request.ok()) {
    tombstone.damage = request.error().message();
  } else if (request->command != cni::Command::Del || request->container_id != key.container_id ||
             request->ifname != key.ifname) {
    tombstone.damage = "the content is not the DEL that the file's name tells";
  } else {
    tombstone.request = std::move(request).value();
    tombstone.request.netns_state = Netns::None;
  }
  return tombstone;
}

}  // namespace

std::string tombstone_name(const model::AttachmentKey& key) {
  return fmt::format("{}:{}", key.container_id, key.ifname);
}

Result<std::vector<Tombstone>> Tombstones::list() const {
  std::vector<Tombstone> found;
  std::error_code failed;
  std::filesystem::directory_iterator entries(directory_, failed);
  if (failed == std::errc::no_such_file_or_directory) return found;
  const auto now = std::chrono::system_clock::now();
  for (; !failed && entries != std::filesystem::directory_iterator(); entries.increment(failed)) {
    const std::filesystem::path& path = entries->path();
    const std::string name = path.filename();
    const std::optional<WallTime> left_at = written_at(path);
    if (!left_at) continue;
    if (const auto key = key_from(name)) {
      Result<std::string> content = read_file(path);
      if (content.is(Error::Kind::NotFound)) continue;
      found.push_back(tombstone_from(*key, *left_at, content));
    } else if (is_half_written(name) && now - *left_at > kHalfWrittenAge) {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    }
  }
  if (failed) return Error::from_errno(failed.value(), "list tombstones in " + directory_.native());
  std::sort(found.begin(), found.end(), [](const Tombstone& left, const Tombstone& right) {
    return std::tie(left.left_at, left.key) < std::tie(right.left_at, right.key);
  });
  return found;
}

Result<> Tombstones::remove(const model::AttachmentKey& key) const {
  std::error_code failed;
  std::filesystem::remove(directory_ / tombstone_name(key), failed);
  if (failed) {
    return Error::from_errno(failed.value(), "remove tombstone " + tombstone_name(key));
  }
  return Ok{};
}

}  // namespace terway::rpc
