// SPDX-License-Identifier: Apache-2.0
#include "lab/cgroup.h"

#include <fmt/core.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <sstream>

#include "base/clock.h"
#include "base/file.h"

namespace terway::lab {

namespace {

namespace fs = std::filesystem;

// What of a v1 mount's options names the hierarchy: not "rw", "relatime" and the like.
std::string controllers_of(const std::string& options) {
  static const std::set<std::string> mount_flags = {
      "rw", "ro", "relatime", "nosuid", "nodev", "noexec", "xattr", "noatime", "clone_children"};
  std::string controllers;
  std::istringstream all(options);
  for (std::string option; std::getline(all, option, ',');) {
    if (mount_flags.contains(option) || option.starts_with("release_agent=")) continue;
    controllers += (controllers.empty() ? "" : ",") + option;
  }
  return controllers;
}

// A group and all below it, deepest first.
std::vector<fs::path> tree_of(const fs::path& top) {
  std::vector<fs::path> groups;
  std::error_code failed;
  for (auto it = fs::recursive_directory_iterator(top, failed);
       !failed && it != fs::recursive_directory_iterator(); it.increment(failed)) {
    if (it->is_directory(failed)) groups.push_back(it->path());
  }
  std::reverse(groups.begin(), groups.end());
  groups.push_back(top);
  return groups;
}

Result<> fill_cpuset(const fs::path& group) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    if (!fs::exists(group / file)) continue;
    if (!trimmed(TRY(read_file(group / file))).empty()) continue;
    const std::string value = TRY(read_file(group.parent_path() / file));
    if (!trimmed(value).empty()) TRY(write_into(group / file, value));
  }
  return Ok{};
}

}  // namespace

Result<std::vector<Hierarchy>> list_hierarchies() {
  std::vector<Hierarchy> hierarchies;
  std::istringstream mounts(TRY(read_file("/proc/mounts")));
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, mount, type, options;
    fields >> device >> mount >> type >> options;
    if (type == "cgroup") hierarchies.push_back({mount, false, controllers_of(options)});
    if (type == "cgroup2") hierarchies.push_back({mount, true, {}});
  }
  if (hierarchies.empty()) {
    return Error(Error::Kind::Unavailable, "no cgroup hierarchy is mounted on this machine");
  }
  return hierarchies;
}

Result<Cgroups> Cgroups::of(const std::string& name) {
  return Cgroups(name, TRY(list_hierarchies()));
}

Result<> Cgroups::make() const {
  for (const Hierarchy& hierarchy : hierarchies_) {
    const fs::path group = hierarchy.mount / name_;
    if (::mkdir(group.c_str(), 0755) != 0 && errno != EEXIST) {
      return Error::from_errno(errno, fmt::format("make {}", group.native()));
    }
    TRY(fill_cpuset(group));
  }
  return Ok{};
}

std::vector<fs::path> Cgroups::procs_files() const {
  std::vector<fs::path> files;
  for (const Hierarchy& hierarchy : hierarchies_) {
    files.push_back(hierarchy.mount / name_ / "cgroup.procs");
  }
  return files;
}

std::vector<pid_t> Cgroups::processes() const {
  std::set<pid_t> pids;
  for (const Hierarchy& hierarchy : hierarchies_) {
    for (const fs::path& group : tree_of(hierarchy.mount / name_)) {
      const auto procs = read_file(group / "cgroup.procs");
      if (!procs.ok()) continue;
      std::istringstream lines(*procs);
      for (pid_t pid = 0; lines >> pid;) {
        if (pid > 0) pids.insert(pid);
      }
    }
  }
  return {pids.begin(), pids.end()};
}

Result<> Cgroups::remove() const {
  SystemClock clock;
  const Instant deadline = clock.now() + std::chrono::seconds(10);
  for (;;) {
    for (const pid_t pid : processes()) ::kill(pid, SIGKILL);
    Result<> removed = Ok{};
    for (const Hierarchy& hierarchy : hierarchies_) {
      for (const fs::path& group : tree_of(hierarchy.mount / name_)) {
        if (::rmdir(group.c_str()) != 0 && errno != ENOENT) {
          removed = Error::from_errno(errno, fmt::format("remove {}", group.native()));
        }
      }
    }
    if (removed.ok() || clock.now() >= deadline) return removed;
    clock.sleep_for(std::chrono::milliseconds(5));
  }
}

Result<std::vector<std::string>> find_cgroups(std::string_view prefix) {
  std::set<std::string> names;
  for (const Hierarchy& hierarchy : TRY(list_hierarchies())) {
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(hierarchy.mount, failed)) {
      const std::string name = entry.path().filename().native();
      if (name.starts_with(prefix) && entry.is_directory(failed)) names.insert(name);
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace terway::lab
