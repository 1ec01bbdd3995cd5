// SPDX-License-Identifier: Apache-2.0
// Who reaches whom: real packets between pods, nodes and outside hosts.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lab/probe.h"
#include "net/address.h"

namespace terway::lab {

enum class Kind : std::uint8_t {
  SameNode,   // pod to pod of the same node
  CrossNode,  // pod to pod of another node
  NodeToPod,  // a node to its own pod
  PodToNode,  // a pod to its own node
  PodToOtherNode,
  PodToOutside,
  OutsideToPod,
};
std::string_view to_string(Kind kind);

// Something that probes and can be probed.
struct Endpoint {
  enum class Role : std::uint8_t { Pod, Node, Outside };
  Role role = Role::Pod;
  std::string name;  // "default/web-1", "node-1", "outside-1"
  std::string node;  // a pod's node; a node's own name
  std::string netns_path;
  std::vector<net::IpAddress> addresses;
};

struct Probe {
  std::string from;
  std::string to;
  Kind kind = Kind::SameNode;
  Target target;
  bool ok = false;
  double rtt_us = 0;
  std::string lost_at;  // where it was lost and why; empty when ok
};

struct Matrix {
  std::vector<Probe> probes;
  std::size_t ok() const;
  std::size_t failed() const { return probes.size() - ok(); }
};

// Frames that the fabric has dropped so far, "eni-1: spoofed_source" -> count: the difference over
// a lost probe says where it was lost.
using DropCounts = std::map<std::string, std::uint64_t>;

// The probes that a set of endpoints calls for: every pod takes part in every kind that it can,
// with a few partners each, over TCP, UDP and ICMP and each family that both ends have.
std::vector<Probe> plan_probes(const std::vector<Endpoint>& endpoints);

struct MatrixSettings {
  Duration timeout = std::chrono::seconds(2);
  std::function<Result<DropCounts>()> count_drops;
  std::function<void(std::size_t done, std::size_t all)> progress;
};

// Runs them, some at a time. An answer by somebody else, or one who saw another source address than
// the prober's own, is a failure: there is no NAT in a VPC.
Matrix run_probes(std::vector<Probe> probes, const std::vector<Endpoint>& endpoints,
                  const MatrixSettings& settings);

}  // namespace terway::lab
