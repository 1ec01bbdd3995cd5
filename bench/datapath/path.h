// SPDX-License-Identifier: Apache-2.0
// The ways that packets may take between two ends, each in namespaces of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "datapath/datapath.h"
#include "nodes.h"
#include "traffic.h"

namespace terway::bench {

struct Path {
  std::string name;
  Nodes nodes;
  std::vector<Namespace> pods{};
  std::vector<std::unique_ptr<datapath::Datapath>> datapaths{};
  Ends ends{};
  // What the nodes' IP stacks together forward for a request and its response: what the path is.
  double forwards = 0;
};

// Node to node over their ENIs, which have addresses: the denominator.
Result<Path> make_host();

// How pods are wired by datapath::Datapath.
enum class Wiring : std::uint8_t {
  FastPath,  // a veth, carried by programs
  Stack,     // a veth, carried by the IP stack
};
// The node's datapath, its ENI up; `name` tells its maps from those of others.
Result<std::unique_ptr<datapath::Datapath>> open_datapath(const std::string& name, const Node& node,
                                                          Wiring wiring);
datapath::PodPlan pod_plan(const Node& node, unsigned n);

// So many pods on each node; traffic goes between the middle ones.
Result<Path> make_terway(const std::string& name, unsigned pods, Wiring wiring);
// Between two of `pods` on one node, by the fast path.
Result<Path> make_same_node(const std::string& name, unsigned pods);

// Plain policy routing as upstream lays it out: two rules a pod.
Result<Path> make_upstream(const std::string& name, unsigned pods);
// The host end of the n-th pod.
std::string upstream_host_end(unsigned n);

// The same wires, with the least that programs can do in place of the IP stack: between nodes, and
// between two pods of one.
Result<Path> make_floor(const std::string& name);
Result<Path> make_same_node_floor(const std::string& name);

// The reference plugin ptp with host-local; the nodes route each other's pods.
Result<Path> make_ptp(const std::string& name, unsigned pods);

// By its name in the answer; NotFound for a name that is none.
Result<Path> make_path(const std::string& name);
// All but the host, in the order of the answer.
const std::vector<std::string>& path_names();

}  // namespace terway::bench
