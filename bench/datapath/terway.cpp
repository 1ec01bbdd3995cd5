// SPDX-License-Identifier: Apache-2.0
// Our own paths: made by the very library that the agent uses.
#include <fmt/core.h>

#include "path.h"

namespace terway::bench {

namespace {

constexpr const char* kEniId = "eni-1";

Result<std::unique_ptr<datapath::Datapath>> open_datapath(const Node& node) {
  const auto inside = TRY(node.ns.enter());
  datapath::Settings settings;
  settings.fast_path = datapath::FastPathMode::Stack;
  auto datapath = TRY(datapath::Datapath::open(settings));
  datapath::EniPlan eni;
  eni.eni_id = kEniId;
  eni.mac = node.mac;
  eni.gateway_v4 = kGateway;
  TRY(datapath->bring_up(eni));
  return datapath;
}

// Pods first … first + count - 1 of the node.
Result<> add_pods(Path& path, const Node& node, unsigned count) {
  path.datapaths.push_back(TRY(open_datapath(node)));
  datapath::Datapath& datapath = *path.datapaths.back();
  const auto inside = TRY(node.ns.enter());
  for (unsigned n = 1; n <= count; ++n) {
    path.pods.push_back(TRY(Namespace::make()));
    datapath::PodPlan plan;
    plan.key = {fmt::format("{:064x}", n), "eth0"};
    plan.eni_id = kEniId;
    plan.addresses = {node.pod_address(n)};
    TRY(datapath.add_pod(plan, path.pods.back().descriptor()));
  }
  return Ok{};
}

}  // namespace

Result<Path> make_terway(const std::string& name, unsigned pods) {
  Path path{name, TRY(make_nodes())};
  for (const Node& node : path.nodes.node) TRY(add_pods(path, node, pods));
  const unsigned middle = (pods + 1) / 2;
  path.ends = {path.pods[middle - 1].fd(), path.pods[pods + middle - 1].fd(),
               path.nodes.node[1].pod_address(middle)};
  path.forwards = 4;
  return path;
}

Result<Path> make_same_node(const std::string& name, unsigned pods) {
  Path path{name, TRY(make_nodes())};
  TRY(add_pods(path, path.nodes.node[0], pods));
  path.ends = {path.pods[0].fd(), path.pods[1].fd(), path.nodes.node[0].pod_address(2)};
  path.forwards = 2;
  return path;
}

}  // namespace terway::bench
