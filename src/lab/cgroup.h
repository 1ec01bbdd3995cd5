// SPDX-License-Identifier: Apache-2.0
// The control groups of a node: one of the same name in every hierarchy of this machine, v1 and
// unified.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace terway::lab {

// A mounted hierarchy, as /proc/mounts tells.
struct Hierarchy {
  std::filesystem::path mount;
  bool unified = false;
  std::string options;  // v1: its controllers ("cpu,cpuacct", "name=systemd")
};
Result<std::vector<Hierarchy>> list_hierarchies();

// A group called `name` at the root of every hierarchy. A plain value: making, joining and removing
// are explicit.
class Cgroups {
 public:
  static Result<Cgroups> of(const std::string& name);

  // Fills a new cpuset with its parent's CPUs and memory nodes. Success where they exist.
  Result<> make() const;
  // Files to write a pid into, one a hierarchy: what a child does before it enters the node.
  std::vector<std::filesystem::path> procs_files() const;
  // Every process in any of the groups or below.
  std::vector<pid_t> processes() const;
  // Kills what is left inside and removes the groups with all below them. Success where there are
  // none.
  Result<> remove() const;

  const std::vector<Hierarchy>& hierarchies() const { return hierarchies_; }

 private:
  Cgroups(std::string name, std::vector<Hierarchy> hierarchies)
      : name_(std::move(name)), hierarchies_(std::move(hierarchies)) {}

  std::string name_;
  std::vector<Hierarchy> hierarchies_;
};

// Names of the groups at the root of any hierarchy that begin with `prefix`.
Result<std::vector<std::string>> find_cgroups(std::string_view prefix);

}  // namespace terway::lab
