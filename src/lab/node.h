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
  std::string name;           // also the hostname
  std::filesystem::path run;  // on the host: where the node's record and logs are kept
  std::filesystem::path
      disk;  // on the host: the node's changes of /etc, /opt and /var; survives reboots
};

struct Command {
  std::vector<std::string> argv;                   // argv[0] is a path as seen inside the node
  std::map<std::string, std::string> environment;  // the whole environment
};

// A handle: any process may open one; the node lives on without it.
class Node {
 public:
  // A fresh boot: new boot id, empty /run. Exists while it runs.
  static Result<Node> boot(const NodeSpec& spec);
  // One that runs. NotFound where it does not (any more).
  static Result<Node> open(const NodeSpec& spec);

  const std::string& name() const { return spec_.name; }
  pid_t pid() const { return init_.pid; }  // of its pid 1, on the host
  std::string netns_path() const;          // "/proc/<pid>/ns/net"
  // A path inside the node as seen from the host: "/proc/<pid>/root/…".
  std::filesystem::path inside(const std::filesystem::path& path) const;

  // Starts a daemon inside all of the node's namespaces and groups, stdout and stderr appended to
  // `log` (a path on the host); the node's reaper inherits it.
  Result<Daemon> spawn(const Command& command, const std::filesystem::path& log) const;
  // Runs one to its end and captures what it says. Unavailable on timeout (it is killed).
  Result<Completed> run(const Command& command, std::string_view input, Duration timeout) const;
  // Moves the calling process into the node's groups and namespaces (pid: its children), for an
  // exec. Only for a process of one thread.
  Result<> enter() const;

  // Power off: every process of it dies at once. Its disk stays. Success when already off.
  Result<> power_off();

 private:
  Node(NodeSpec spec, Daemon init) : spec_(std::move(spec)), init_(init) {}
  std::string cgroup_name() const;

  NodeSpec spec_;
  Daemon init_;
};

// Ends whatever nodes of this lab run, also after an interrupted run (they are found by their
// groups), and removes the groups.
Result<> remove_nodes(const std::string& lab);

}  // namespace terway::lab
