// SPDX-License-Identifier: Apache-2.0
// A node of the lab: a set of namespaces (net, mount, pid, uts, ipc, cgroup) with a tiny reaper as
// pid 1. Killing that process ends and unmounts everything; nothing of it is ever visible on the
// host.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "lab/process.h"

namespace terway::lab {

struct NodeSpec {
  std::string lab;
  std::string name;                 // also the hostname
  std::filesystem::path state_dir;  // on the host; survives a reboot of the node
  // Inside the node these directories are bound from state_dir/<path>: they survive a reboot.
  std::vector<std::filesystem::path> persistent = {
      "/var/lib/cni", "/var/lib/terway", "/var/lib/kubelet", "/var/lib/terway-lab",
      "/etc/cni",     "/etc/eni",        "/var/log"};
};

struct Command {
  std::vector<std::string> argv;                   // argv[0] is a path as seen inside the node
  std::map<std::string, std::string> environment;  // the whole environment, PATH included
  std::filesystem::path output;  // stdout and stderr of spawn(), a path on the host, appended to
  int join_netns = -1;           // a network namespace to enter instead of the node's
};

// A handle: copies of the state file's facts and the namespaces' descriptors. Any process of the
// lab's owner may open one; the node lives on without it.
class Node {
 public:
  // A fresh boot: new boot id, empty /run. Exists while it runs.
  static Result<Node> boot(const NodeSpec& spec);
  // One that runs. NotFound where it does not (any more).
  static Result<Node> open(const std::string& lab, const std::string& name);

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }  // of its pid 1, on the host
  std::string netns_path() const;     // "/proc/<pid>/ns/net"
  // A path inside the node as seen from the host: "/proc/<pid>/root/…".
  std::filesystem::path inside(const std::filesystem::path& path) const;

  // Starts a process inside all of the node's namespaces and cgroups; it becomes the reaper's
  // child. Answers its pid on the host.
  Result<pid_t> spawn(const Command& command) const;
  // Runs one to its end and captures what it says. Unavailable on timeout (it is killed).
  Result<Completed> run(const Command& command, std::string_view input, Duration timeout) const;

  // Power off: every process of it dies at once. State on disk stays. Success when already off.
  Result<> power_off();

 private:
  std::string lab_;
  std::string name_;
  pid_t pid_ = 0;
};

// Removes whatever a lab of this name left behind, also after an interrupted run: processes
// (recognised by pid and start time), cgroups, mounts, directories under /run/terway-lab/<lab>.
Result<> clean_up(const std::string& lab);

// What pid 1 of a node runs (terway-lab node-init …): reaps until killed. Never returns.
[[noreturn]] void node_init(const std::vector<std::string>& arguments);

}  // namespace terway::lab
