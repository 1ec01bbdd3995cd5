// SPDX-License-Identifier: Apache-2.0
#include "ebpf/bpffs.h"

#include <bpf/bpf.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <cerrno>

namespace terway::ebpf {

namespace fs = std::filesystem;

Result<> mount_bpffs(const fs::path& path) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) return Error::from_errno(failed.value(), "make " + path.native());
  struct statfs about{};
  if (::statfs(path.c_str(), &about) != 0) {
    return Error::from_errno(errno, "look at " + path.native());
  }
  if (static_cast<unsigned long>(about.f_type) == BPF_FS_MAGIC) return Ok{};
  if (::mount("bpf", path.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700") == 0) {
    return Ok{};
  }
  return Error::from_errno(
      errno, fmt::format("{} is no BPF file system, and none can be mounted there", path.native()));
}

Result<> pin(int fd, const fs::path& path) {
  // Names with dots are refused (bpf_lookup() in kernel/bpf/inode.c).
  const fs::path fresh = path.native() + "_new";
  std::error_code ignored;
  fs::remove(fresh, ignored);
  if (::bpf_obj_pin(fd, fresh.c_str()) != 0) {
    return Error::from_errno(errno, "pin " + path.native());
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    return Error::from_errno(errno, "pin " + path.native());
  }
  return Ok{};
}

Result<UniqueFd> open_pinned(const fs::path& path) {
  UniqueFd fd(::bpf_obj_get(path.c_str()));
  if (!fd) return Error::from_errno(errno, "open " + path.native());
  return fd;
}

}  // namespace terway::ebpf
