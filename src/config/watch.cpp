// SPDX-License-Identifier: Apache-2.0
#include "config/watch.h"

#include <fmt/core.h>
#include <sys/inotify.h>

#include <array>
#include <cerrno>

namespace terway::config {

Result<FileWatch> FileWatch::open(const std::filesystem::path& file) {
  UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify) return Error::from_errno(errno, "inotify");
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  constexpr std::uint32_t kEvents =
      IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF;
  if (::inotify_add_watch(inotify.get(), folder.c_str(), kEvents) < 0) {
    return Error::from_errno(errno, fmt::format("watch {}", folder.native()));
  }
  return FileWatch(std::move(inotify));
}

Result<> FileWatch::drain() {
  alignas(inotify_event) std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t got = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (got > 0) continue;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != EAGAIN) return Error::from_errno(errno, "read inotify");
    return Ok{};
  }
}

}  // namespace terway::config
