// SPDX-License-Identifier: Apache-2.0
// A cluster on this machine: the simulated cloud, nodes as namespaces with a terwayd each, hosts
// outside, and pods. It lives in processes of its own; a Lab is only a handle to it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/cloud.h"
#include "lab/matrix.h"
#include "lab/node.h"
#include "lab/probe.h"
#include "lab/runtime.h"
#include "lab/state.h"
#include "lab/topology.h"

namespace terway::lab {

// Told about each step as it begins, with what it is.
using Progress = std::function<void(const std::string& step)>;

// Where the lab's programs lie: terwayd, terway, vpcsim and terway-lab side by side.
struct Programs {
  std::filesystem::path directory;
  // Beside the running program.
  static Result<Programs> find();
  std::filesystem::path path(const char* name) const { return directory / name; }
};

struct PodOnNode {
  std::string node;
  Sandbox sandbox;
};

struct NodeStatus {
  std::string name;
  std::string instance_id;
  std::string instance_type;
  bool outside = false;
  bool running = false;
  bool ready = false;  // its terwayd can serve an ADD
  std::string reason;  // why not
  std::size_t pods = 0;
  std::vector<std::string> addresses;
};

class Lab {
 public:
  // Cleans up whatever a lab of that name left, then builds it and starts the topology's pods. On
  // failure what was built stays for a look; down() removes it.
  static Result<Lab> up(const std::string& name, const Topology& topology, const Programs& programs,
                        const Progress& progress);
  // One that is up. NotFound where none is.
  static Result<Lab> open(const std::string& name, const Programs& programs);
  // Ends everything of that name and leaves no trace; a success when nothing is there.
  static Result<> down(const std::string& name);

  const State& state() const { return state_; }
  const Paths& paths() const { return paths_; }

  Result<std::vector<NodeStatus>> nodes() const;
  Result<std::vector<EniOfNode>> enis() const;
  Result<std::vector<PodOnNode>> pods() const;
  // The pod "ns/name", a node or an outside host of that name.
  Result<Endpoint> endpoint(const std::string& name) const;
  Result<std::vector<Endpoint>> endpoints() const;

  // On the named node, or on the one with the fewest pods where it is empty.
  Result<PodOnNode> add_pod(const std::string& node, const PodSpec& pod);
  Result<> delete_pod(const std::string& namespace_, const std::string& name);

  Result<Matrix> matrix(const MatrixSettings& settings) const;
  Result<Answer> probe(const std::string& from, const Target& target, Duration timeout) const;
  // Becomes the command inside the pod or node: returns only on failure.
  Error become(const std::string& name, const std::vector<std::string>& argv) const;

  // The node's power is cut: all its processes are gone, its disk stays.
  Result<> kill_node(const std::string& node);
  // Cuts the power if it is on, boots, starts the daemon, and recovers the node's pods as kubelet
  // would.
  Result<> restart_node(const std::string& node, const Progress& progress);
  // kill -9 of the node's terwayd; started again by start_daemon().
  Result<> kill_daemon(const std::string& node);
  // Under another program where `wrapper` is not empty ("strace", …): then it is not waited for.
  Result<> start_daemon(const std::string& node, const std::vector<std::string>& wrapper = {});
  bool daemon_alive(const std::string& node) const;
  // A command inside the node's namespaces, captured.
  Result<Completed> run_on_node(const std::string& node, const std::vector<std::string>& argv,
                                std::string_view input, Duration timeout) const;

  // Frames the fabric dropped, by ENI and reason.
  Result<DropCounts> drops() const;

 private:
  Lab(Paths paths, Programs programs, State state)
      : paths_(std::move(paths)), programs_(std::move(programs)), state_(std::move(state)) {}

  // lab_up.cpp
  Result<> build(const Topology& topology, const Progress& progress);
  // Of `wanted` only what it is to be is read: name, role, instance type, mode.
  Result<> add_machine(const Machine& wanted, const std::string& vswitch, const Topology& topology);
  Result<> start_echo(const Node& node) const;
  Result<> start_pods(const Topology& topology, const Progress& progress);
  Result<> wait_until_ready(const std::string& node) const;

  NodeSpec spec(const std::string& machine) const;
  Result<Node> node(const std::string& name) const;
  Result<const Machine*> cluster_node(const std::string& name) const;
  std::filesystem::path daemon_record(const std::string& node) const;
  Daemon recorded_daemon(const std::string& node) const;
  Result<std::vector<Sandbox>> sandboxes(const std::string& node) const;
  // terway-lab runtime …, inside the node.
  Result<std::string> runtime(const std::string& node, const std::vector<std::string>& arguments,
                              std::string_view input) const;

  Paths paths_;
  Programs programs_;
  State state_;
};

}  // namespace terway::lab
