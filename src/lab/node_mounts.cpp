// SPDX-License-Identifier: Apache-2.0
#include "lab/node_mounts.h"

#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/file.h"

namespace terway::lab {

namespace {

namespace fs = std::filesystem;

Result<> do_mount(const char* source, const fs::path& target, const char* type, unsigned long flags,
                  const std::string& options) {
  const char* data = options.empty() ? nullptr : options.c_str();
  if (::mount(source, target.c_str(), type, flags, data) == 0) return Ok{};
  return Error::from_errno(
      errno, fmt::format("mount {} on {} ({})", type == nullptr ? source : type, target.native(),
                         options));
}

Result<> make_directories(const fs::path& path) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) return Error::from_errno(failed.value(), fmt::format("make {}", path.native()));
  return Ok{};
}

// The host's directory with the node's own changes over it.
Result<> mount_overlay(const fs::path& disk, const std::string& name) {
  const fs::path upper = disk / name / "changes";
  const fs::path work = disk / name / "work";
  TRY(make_directories(upper));
  TRY(make_directories(work));
  return do_mount(
      "overlay", "/" + name, "overlay", 0,
      fmt::format("lowerdir=/{},upperdir={},workdir={}", name, upper.native(), work.native()));
}

Result<> mount_cgroups(const std::vector<Hierarchy>& hierarchies) {
  TRY(do_mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=755"));
  for (const Hierarchy& hierarchy : hierarchies) {
    TRY(make_directories(hierarchy.mount));
    TRY(do_mount("cgroup", hierarchy.mount, hierarchy.unified ? "cgroup2" : "cgroup", 0,
                 hierarchy.options));
  }
  return Ok{};
}

// On a machine of the unified hierarchy alone, that one is /sys/fs/cgroup itself.
Result<> mount_cgroup_tree(const std::vector<Hierarchy>& hierarchies) {
  if (hierarchies.size() == 1 && hierarchies.front().mount == "/sys/fs/cgroup") {
    return do_mount("cgroup", "/sys/fs/cgroup", "cgroup2", 0, {});
  }
  return mount_cgroups(hierarchies);
}

}  // namespace

Result<> mount_node(const fs::path& disk, const std::string& boot_id,
                    const std::vector<Hierarchy>& hierarchies) {
  TRY(do_mount("none", "/", nullptr, MS_REC | MS_PRIVATE, {}));
  for (const char* name : {"etc", "opt", "var"}) TRY(mount_overlay(disk, name));
  // Written before /run hides it.
  const fs::path boot_id_file = disk / "boot_id";
  TRY(replace_file(boot_id_file, boot_id + "\n", 0444));
  TRY(do_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, {}));
  TRY(do_mount(boot_id_file.c_str(), "/proc/sys/kernel/random/boot_id", nullptr, MS_BIND, {}));
  TRY(do_mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, {}));
  TRY(mount_cgroup_tree(hierarchies));
  TRY(do_mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=700"));
  TRY(do_mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
  for (const char* path : {"/run/lock", "/run/netns"}) TRY(make_directories(path));
  return do_mount("none", "/", nullptr, MS_REC | MS_SHARED, {});
}

}  // namespace terway::lab
