// SPDX-License-Identifier: Apache-2.0
// Network planning before a cluster is made: do the CIDRs fit each other, and how many pods do they
// hold?
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ipam/capacity.h"
#include "ipam/ipam.h"
#include "model/eni.h"
#include "net/address.h"

namespace terway::ipam {

// Of a vSwitch the plan needs `id` (for messages; its CIDR if empty), `cidr`, `zone_id` (empty: not
// known, and not checked) and `available_addresses` (0: all that its CIDR has).
struct PlanRequest {
  net::Prefix vpc;
  std::vector<model::VSwitch> node_vswitches;
  std::vector<model::VSwitch> pod_vswitches;
  std::vector<net::Prefix> service_cidrs;
  std::uint32_t nodes = 0;  // spread evenly over the node vSwitches
  model::InstanceType instance_type;
  Stack stack = Stack::V4;
  bool exclusive = false;  // an ENI a pod
  EniCaps caps;
};

struct PlanFinding {
  enum class Kind : std::uint8_t { Mistake, Warning };  // with a mistake it cannot work
  Kind kind;
  std::string message;
};

struct Plan {
  std::vector<PlanFinding> findings;
  std::uint64_t node_addresses = 0;  // that the node vSwitches have
  std::uint64_t pod_addresses =
      0;  // that the pod vSwitches have, for nodes too where they are the same
  std::uint64_t service_addresses = 0;  // how many Services can have one
  std::uint32_t pods_per_node = 0;      // by the instance type
  std::uint64_t pods = 0;               // that fit in all
  std::uint64_t nodes_filled = 0;       // nodes of this type that the pod vSwitches can fill
  std::string limited_by;               // what to enlarge for more pods

  bool works() const;
};

// Addresses of a vSwitch that can be given out. The first one and the last three are the system's
// own (VPC guide, "reserved CIDR blocks"); of an IPv6 vSwitch the first one and the last nine.
std::uint64_t usable_addresses(const net::Prefix& vswitch_cidr);

Plan make_plan(const PlanRequest& request);

}  // namespace terway::ipam
