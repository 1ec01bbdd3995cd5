// SPDX-License-Identifier: Apache-2.0
// Our own paths: made by the very library that the agent uses.
#include <fmt/core.h>

#include <utility>

#include "path.h"
#include "scratch.h"

namespace terway::bench {

namespace {

using datapath::Datapath;
using datapath::FastPathMode;

constexpr const char* kEniId = "eni-1";

datapath::EniPlan eni_of(const Node& node) {
  datapath::EniPlan eni;
  eni.eni_id = kEniId;
  eni.mac = node.mac;
  eni.gateway_v4 = kGateway;
  return eni;
}

}  // namespace

// Each node has maps and programs of its own. Without a fast path there must be none, and with it
// no way around it.
Result<std::unique_ptr<Datapath>> open_datapath(const std::string& name, const Node& node,
                                                Wiring wiring) {
  const auto inside = TRY(node.ns.enter());
  datapath::Settings settings;
  settings.fast_path = wiring == Wiring::Stack ? FastPathMode::Stack : FastPathMode::Bpf;
  settings.bpffs = scratch() / fmt::format("{}-{}", name, node.number);
  auto datapath = TRY(Datapath::open(settings));
  TRY(datapath->bring_up(eni_of(node)));
  return datapath;
}

datapath::PodPlan pod_plan(const Node& node, unsigned n) {
  datapath::PodPlan plan;
  plan.key = {fmt::format("{:064x}", n), "eth0"};
  plan.eni_id = kEniId;
  plan.addresses = {node.pod_address(n)};
  return plan;
}

namespace {

// Pods 1 to `count` of the node; then what the agent does when it knows all of them.
Result<> add_pods(Path& path, const Node& node, unsigned count, Wiring wiring) {
  auto datapath = TRY(open_datapath(path.name, node, wiring));
  const auto inside = TRY(node.ns.enter());
  datapath::Desired desired{{eni_of(node)}, {}};
  for (unsigned n = 1; n <= count; ++n) {
    path.pods.push_back(TRY(Namespace::make()));
    desired.pods.push_back(pod_plan(node, n));
    TRY(datapath->add_pod(desired.pods.back(), path.pods.back().descriptor()));
  }
  TRY(datapath->resync(desired, true));
  path.datapaths.push_back(std::move(datapath));
  return Ok{};
}

}  // namespace

Result<Path> make_terway(const std::string& name, unsigned pods, Wiring wiring) {
  Path path{name, TRY(make_nodes())};
  for (const Node& node : path.nodes.node) TRY(add_pods(path, node, pods, wiring));
  const unsigned middle = (pods + 1) / 2;
  path.ends = {path.pods[middle - 1].fd(), path.pods[pods + middle - 1].fd(),
               path.nodes.node[1].pod_address(middle)};
  path.forwards = wiring == Wiring::Stack ? 4 : 0;
  return path;
}

Result<Path> make_same_node(const std::string& name, unsigned pods) {
  Path path{name, TRY(make_nodes())};
  TRY(add_pods(path, path.nodes.node[0], pods, Wiring::FastPath));
  path.ends = {path.pods[0].fd(), path.pods[1].fd(), path.nodes.node[0].pod_address(2)};
  return path;
}

}  // namespace terway::bench
