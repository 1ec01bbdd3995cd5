// SPDX-License-Identifier: Apache-2.0
#include "scratch.h"

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>

namespace terway::bench {

std::filesystem::path scratch() { return "/mnt"; }

Result<> make_scratch() {
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Error::from_errno(errno, "make a mount namespace (needs root)");
  }
  if (::mount("scratch", scratch().c_str(), "tmpfs", 0, nullptr) != 0) {
    return Error::from_errno(errno, "mount a scratch folder");
  }
  return Ok{};
}

}  // namespace terway::bench
