// SPDX-License-Identifier: Apache-2.0
// What a lab consists of: the YAML file that a user writes (docs/formats/topology.md), checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/pod.h"
#include "net/address.h"

namespace terway::lab {

enum class IpStack : std::uint8_t { V4, V6, Dual };
std::string_view to_string(IpStack stack);

struct VSwitchSpec {
  std::string name;
  std::string zone;
  net::Prefix cidr;
  std::optional<net::Prefix> ipv6_cidr;
};

struct NodeTopology {
  std::string name;
  std::string instance_type;
  std::string vswitch;                     // of its primary ENI
  std::vector<std::string> pod_vswitches;  // of its pods' ENIs
  std::uint32_t pods = 0;                  // started by `up`
  model::NetworkMode mode = model::NetworkMode::Veth;
};

// A host of the VPC that is no node of the cluster.
struct OutsideHost {
  std::string name;
  std::string vswitch;
};

struct Topology {
  net::Prefix vpc_cidr;
  std::optional<net::Prefix> vpc_ipv6_cidr;
  net::Prefix service_cidr;
  IpStack stack = IpStack::V4;
  std::uint32_t mtu = 1500;  // of every NIC
  std::vector<VSwitchSpec> vswitches;
  std::vector<NodeTopology> nodes;
  std::vector<OutsideHost> outside;
  // Settings of the simulated cloud, as its configuration takes them: JSON texts.
  std::map<std::string, std::string> cloud;
  // Keys laid over the eni_conf that the lab writes for every node: a JSON object.
  std::string eni_conf = "{}";

  const VSwitchSpec* find_vswitch(const std::string& name) const;
};

// Three nodes of a dozen pods in all, one outside host.
Topology default_topology();

// Invalid: which key of which node, its value, and what is allowed.
Result<Topology> parse_topology(std::string_view yaml);
Result<Topology> load_topology(const std::filesystem::path& path);

}  // namespace terway::lab
