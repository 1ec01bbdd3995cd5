// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/action.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "vpcsim/api_error.h"

namespace terway::vpcsim {

namespace {

struct Action {
  std::string_view name;
  std::string_view version;
  Body (*perform)(Region&, ApiCall&);
};

constexpr std::string_view kEcs = "2014-05-26";
constexpr std::string_view kVpc = "2016-04-28";
constexpr std::array kActions = {
    Action{"CreateNetworkInterface", kEcs, create_network_interface},
    Action{"AttachNetworkInterface", kEcs, attach_network_interface},
    Action{"DetachNetworkInterface", kEcs, detach_network_interface},
    Action{"DeleteNetworkInterface", kEcs, delete_network_interface},
    Action{"ModifyNetworkInterfaceAttribute", kEcs, modify_network_interface_attribute},
    Action{"DescribeNetworkInterfaces", kEcs, describe_network_interfaces},
    Action{"DescribeNetworkInterfaceAttribute", kEcs, describe_network_interface_attribute},
    Action{"AssignPrivateIpAddresses", kEcs, assign_private_ip_addresses},
    Action{"UnassignPrivateIpAddresses", kEcs, unassign_private_ip_addresses},
    Action{"AssignIpv6Addresses", kEcs, assign_ipv6_addresses},
    Action{"UnassignIpv6Addresses", kEcs, unassign_ipv6_addresses},
    Action{"DescribeInstanceTypes", kEcs, describe_instance_types},
    Action{"DescribeInstances", kEcs, describe_instances},
    Action{"DescribeSecurityGroups", kEcs, describe_security_groups},
    Action{"DescribeVSwitches", kVpc, describe_vswitches},
};

const Action* find_action(std::string_view name) {
  for (const Action& action : kActions) {
    if (action.name == name) return &action;
  }
  return nullptr;
}

}  // namespace

std::optional<Fault> strike(Region& region, ApiCall& call, FaultKind kind) {
  const auto fault = region.faults.strike(kind, occasion_of(region, call));
  if (fault) {
    if (!call.faults.empty()) call.faults += ',';
    call.faults += std::to_string(fault->id);
  }
  return fault;
}

Result<> vswitch_has_addresses(Region& region, ApiCall& call) {
  const auto fault = strike(region, call, FaultKind::VSwitchExhausted);
  if (!fault) return Ok{};
  return api_error(fault->code.empty() ? "InvalidVSwitchId.IpNotEnough" : fault->code,
                   fault->message);
}

Result<> refuse_prefixes(const Query& query) {
  for (const std::string_view name :
       {"Ipv4PrefixCount", "Ipv6PrefixCount", "Ipv4Prefix.1", "Ipv6Prefix.1"}) {
    if (query.has(name) && query.text(name) != "0") {
      return api_error("UnsupportedParameter",
                       fmt::format("The parameter \"{}\" is unsupported.", name));
    }
  }
  return Ok{};
}

Result<> exclusive(const Query& query, std::string_view list, std::string_view count) {
  if (!query.has(fmt::format("{}.1", list)) || !query.has(count)) return Ok{};
  return api_error("InvalidParameter.Conflict",
                   fmt::format("\"{}.N\" and \"{}\" exclude each other.", list, count));
}

std::string_view version_of(std::string_view action) {
  const Action* found = find_action(action);
  return found == nullptr ? std::string_view() : found->version;
}

Occasion occasion_of(const Region& region, const ApiCall& call) {
  const auto text = [&](std::string_view name) -> std::string_view {
    const auto found = call.parameters.find(name);
    return found == call.parameters.end() ? std::string_view() : found->second;
  };
  Occasion occasion;
  occasion.action = call.action;
  occasion.eni_id = text("NetworkInterfaceId");
  occasion.vswitch_id = text("VSwitchId");
  if (!call.caller_instance.empty()) occasion.instance_ids.push_back(call.caller_instance);
  if (!text("InstanceId").empty()) occasion.instance_ids.push_back(text("InstanceId"));
  if (const EniRecord* record = region.world.find_eni(occasion.eni_id)) {
    if (occasion.vswitch_id.empty()) occasion.vswitch_id = record->eni.vswitch_id;
    if (!record->eni.instance_id.empty()) {
      occasion.instance_ids.push_back(record->eni.instance_id);
    }
  }
  return occasion;
}

Result<std::string> perform_action(Region& region, ApiCall& call) {
  const Action* action = find_action(call.action);
  VERIFY(action != nullptr);
  const Query query(call.parameters);
  if (query.has("RegionId")) {
    if (query.text("RegionId") != region.world.region_id()) {
      return api_error("InvalidRegionId.NotFound");
    }
  } else if (action->version == kEcs && action->perform != describe_instance_types) {
    return query.required("RegionId").take_error();
  }
  return action->perform(region, call);
}

}  // namespace terway::vpcsim
