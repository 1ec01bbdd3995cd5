// SPDX-License-Identifier: Apache-2.0
#include "cli/planning.h"

#include <fmt/core.h>

#include "cli/text.h"

namespace terway::cli {
namespace {

Result<net::Prefix> cidr(std::string_view option, const std::string& text) {
  const auto prefix = net::Prefix::parse(text);
  if (!prefix) {
    return Error(Error::Kind::Invalid,
                 fmt::format("{} {}: a CIDR such as 192.168.0.0/16 is allowed", option, text));
  }
  return *prefix;
}

Result<std::vector<model::VSwitch>> vswitches(std::string_view option,
                                              const std::vector<std::string>& words) {
  std::vector<model::VSwitch> made;
  for (const std::string& word : words) {
    model::VSwitch vswitch;
    const std::size_t equals = word.find('=');
    if (equals != std::string::npos) vswitch.zone_id = word.substr(0, equals);
    vswitch.cidr = TRY(cidr(option, equals == std::string::npos ? word : word.substr(equals + 1)));
    made.push_back(std::move(vswitch));
  }
  return made;
}

ipam::Stack stack_from(std::string_view word) {
  if (word == "dual") return ipam::Stack::Dual;
  return word == "ipv6" ? ipam::Stack::V6 : ipam::Stack::V4;
}

std::string with_remark(std::string text, const std::string& remark) {
  return remark.empty() ? text : fmt::format("{} ({})", text, remark);
}

}  // namespace

NodeCapacity capacity_of(const InstanceLimits& limits) {
  return {limits, ipam::capacity_of(limits.type, ipam::Stack::V4),
          ipam::capacity_of(limits.type, ipam::Stack::Dual)};
}

Result<ipam::PlanRequest> plan_request(const PlanWords& words, const InstanceLimits& limits) {
  ipam::PlanRequest request;
  request.vpc = TRY(cidr("--vpc", words.vpc));
  request.node_vswitches = TRY(vswitches("--node-vswitch", words.node_vswitches));
  request.pod_vswitches = TRY(vswitches("--pod-vswitch", words.pod_vswitches));
  for (const std::string& word : words.service_cidrs) {
    request.service_cidrs.push_back(TRY(cidr("--service-cidr", word)));
  }
  request.nodes = words.nodes;
  request.instance_type = limits.type;
  request.stack = stack_from(words.stack);
  request.exclusive = words.exclusive;
  return request;
}

std::string view(const NodeCapacity& capacity, Colour colour) {
  const model::InstanceType& type = capacity.limits.type;
  const auto shared = [](const ipam::Capacity& of) {
    return with_remark(fmt::format("{} = {} × {}", of.shared_pods, of.enis, of.pods_per_eni),
                       of.remark);
  };
  return pairs(
      {
          {"Instance type",
           {fmt::format("{} ({} vCPUs, {} GiB)", type.id, type.cpu_cores, type.memory_gib)}},
          {"ENIs", {fmt::format("{}, one of them the node's", type.eni_quantity)}},
          {"Addresses per ENI",
           {fmt::format("{} IPv4, {} IPv6", type.ipv4_per_eni, type.ipv6_per_eni)}},
          {"Pods, shared ENIs", {shared(capacity.ipv4), Tone::Good}},
          {"  dual stack", {shared(capacity.dual)}},
          {"Pods, an ENI each", {std::to_string(capacity.ipv4.exclusive_pods), Tone::Good}},
          {"Limits from", {capacity.limits.source, Tone::Faint}},
      },
      colour);
}

std::string view(const ipam::Plan& plan, const InstanceLimits& limits, Colour colour) {
  std::string out = pairs(
      {
          {"The plan", plan.works() ? Table::Cell{"works", Tone::Good}
                                    : Table::Cell{"does not work", Tone::Bad}},
          {"Pods in all", {std::to_string(plan.pods), Tone::Good}},
          {"  limited by", {plan.limited_by}},
          {"Pods per node", {fmt::format("{} on {}", plan.pods_per_node, limits.type.id)}},
          {"Nodes that pods' vSwitches can fill", {std::to_string(plan.nodes_filled)}},
          {"Addresses for nodes", {std::to_string(plan.node_addresses)}},
          {"Addresses for pods", {std::to_string(plan.pod_addresses)}},
          {"Addresses for Services", {std::to_string(plan.service_addresses)}},
          {"Limits from", {limits.source, Tone::Faint}},
      },
      colour);
  Table findings({{"FINDING"}, {"WHAT"}});
  for (const ipam::PlanFinding& finding : plan.findings) {
    const bool mistake = finding.kind == ipam::PlanFinding::Kind::Mistake;
    findings.add({{mistake ? "mistake" : "warning", mistake ? Tone::Bad : Tone::Warning},
                  {finding.message}});
  }
  return findings.empty() ? out : out + "\n" + findings.to_string(colour);
}

}  // namespace terway::cli
