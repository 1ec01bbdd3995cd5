// SPDX-License-Identifier: Apache-2.0
#include "cli/json.h"

#include <nlohmann/json.hpp>

namespace terway::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

template <class T>
Json texts(const std::vector<T>& values) {
  Json array = Json::array();
  for (const T& value : values) array.push_back(value.to_string());
  return array;
}

Json json_of(const model::Eni& eni) {
  return {{"id", eni.id},
          {"type", to_string(eni.type)},
          {"status", to_string(eni.status)},
          {"mac", eni.mac.to_string()},
          {"vswitch_id", eni.vswitch_id},
          {"instance_id", eni.instance_id},
          {"primary_address", eni.primary_address.to_string()},
          {"ipv4", texts(eni.ipv4)},
          {"ipv6", texts(eni.ipv6)},
          {"tags", eni.tags}};
}

}  // namespace

std::string to_json(const std::vector<model::Eni>& enis) {
  Json array = Json::array();
  for (const model::Eni& eni : enis) array.push_back(json_of(eni));
  return line({{"enis", array}});
}

std::string to_json(const NodeCapacity& capacity) {
  const model::InstanceType& type = capacity.limits.type;
  return line({{"instance_type", type.id},
               {"source", capacity.limits.source},
               {"enis", type.eni_quantity},
               {"ipv4_per_eni", type.ipv4_per_eni},
               {"ipv6_per_eni", type.ipv6_per_eni},
               {"pods_shared", capacity.ipv4.shared_pods},
               {"pods_shared_dual_stack", capacity.dual.shared_pods},
               {"pods_exclusive", capacity.ipv4.exclusive_pods}});
}

std::string to_json(const ipam::Plan& plan, const InstanceLimits& limits) {
  Json findings = Json::array();
  for (const ipam::PlanFinding& finding : plan.findings) {
    const bool mistake = finding.kind == ipam::PlanFinding::Kind::Mistake;
    findings.push_back({{"kind", mistake ? "mistake" : "warning"}, {"message", finding.message}});
  }
  return line({{"works", plan.works()},
               {"pods", plan.pods},
               {"limited_by", plan.limited_by},
               {"pods_per_node", plan.pods_per_node},
               {"nodes_filled", plan.nodes_filled},
               {"node_addresses", plan.node_addresses},
               {"pod_addresses", plan.pod_addresses},
               {"service_addresses", plan.service_addresses},
               {"instance_type", limits.type.id},
               {"source", limits.source},
               {"findings", findings}});
}

}  // namespace terway::cli
