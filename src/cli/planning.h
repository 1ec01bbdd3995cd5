// SPDX-License-Identifier: Apache-2.0
// `terway-cli capacity` and `terway-cli plan`: from the words of the command line to ipam/plan.h,
// and its answer as text or JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/table.h"
#include "cli/instance_limits.h"
#include "ipam/plan.h"

namespace terway::cli {

// What pods a node of this type can have, in each way.
struct NodeCapacity {
  InstanceLimits limits;
  ipam::Capacity ipv4;
  ipam::Capacity dual;
};
NodeCapacity capacity_of(const InstanceLimits& limits);

// As typed. A vSwitch is "CIDR" or "ZONE=CIDR".
struct PlanWords {
  std::string vpc;
  std::vector<std::string> node_vswitches;
  std::vector<std::string> pod_vswitches;
  std::vector<std::string> service_cidrs;
  std::uint32_t nodes = 1;
  std::string stack = "ipv4";  // or "ipv6", "dual"
  bool exclusive = false;
};
// Invalid: names the option and the word that is no CIDR.
Result<ipam::PlanRequest> plan_request(const PlanWords& words, const InstanceLimits& limits);

std::string view(const NodeCapacity& capacity, Colour colour);
std::string view(const ipam::Plan& plan, const InstanceLimits& limits, Colour colour);

}  // namespace terway::cli
