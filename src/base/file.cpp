// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "base/fd.h"

namespace terway {

namespace {

Result<> write_all(int fd, std::string_view content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return Error::from_errno(errno, fmt::format("write {}", path.native()));
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return Ok{};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Error::from_errno(errno, fmt::format("open {}", path.native()));
  std::string content;
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0) {
      if (errno == EINTR) continue;
      return Error::from_errno(errno, fmt::format("read {}", path.native()));
    }
    if (got == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

Result<> replace_file(const std::filesystem::path& path, std::string_view content, unsigned mode) {
  const std::filesystem::path beside = path.native() + ".new";
  UniqueFd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd) return Error::from_errno(errno, fmt::format("create {}", beside.native()));
  TRY(write_all(fd.get(), content, beside));
  if (::fsync(fd.get()) != 0)
    return Error::from_errno(errno, fmt::format("fsync {}", beside.native()));
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    return Error::from_errno(errno, fmt::format("rename {} to {}", beside.native(), path.native()));
  }
  return Ok{};
}

Result<> write_into(const std::filesystem::path& path, std::string_view content) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return Error::from_errno(errno, fmt::format("open {}", path.native()));
  return write_all(fd.get(), content, path);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r' ||
                           text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

}  // namespace terway
