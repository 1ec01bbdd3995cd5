// SPDX-License-Identifier: Apache-2.0
#include "lab/show.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace terway::lab {

namespace {

using nlohmann::json;
using Align = Table::Align;

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : " ") + part;
  return out;
}

std::vector<std::string> texts_of(const std::vector<net::IpAddress>& addresses) {
  std::vector<std::string> texts;
  for (const net::IpAddress& address : addresses) texts.push_back(address.to_string());
  return texts;
}

Table::Cell state_cell(const NodeStatus& node) {
  if (!node.running) return {"off", Tone::Bad};
  if (node.outside) return {"outside", Tone::Plain};
  if (node.ready) return {"ready", Tone::Good};
  return {node.reason.empty() ? "not ready" : "not ready: " + node.reason, Tone::Warning};
}

// What one cell of the matrix says: how many got through, and how fast.
struct Tally {
  std::size_t ok = 0;
  std::size_t all = 0;
  std::vector<double> round_trips;

  void count(const Probe& probe) {
    ++all;
    if (!probe.ok) return;
    ++ok;
    round_trips.push_back(probe.rtt_us);
  }
  double median() {
    if (round_trips.empty()) return 0;
    const auto middle = round_trips.begin() + static_cast<std::ptrdiff_t>(round_trips.size() / 2);
    std::nth_element(round_trips.begin(), middle, round_trips.end());
    return *middle;
  }
  Table::Cell cell() {
    if (all == 0) return {"-", Tone::Faint};
    if (ok == all) return {fmt::format("{}/{} {:.0f} µs", ok, all, median()), Tone::Good};
    return {fmt::format("{}/{}", ok, all), Tone::Bad};
  }
};

std::string lost_table(const Matrix& matrix, Colour colour) {
  Table lost({{"lost"}, {"from"}, {"to"}, {"why"}});
  for (const Probe& probe : matrix.probes) {
    if (probe.ok) continue;
    lost.add({{std::string(to_string(probe.kind)), Tone::Bad},
              {probe.from},
              {fmt::format("{} {}", probe.to, probe.target.to_string())},
              {probe.lost_at}});
  }
  return lost.empty() ? std::string() : "\n" + lost.to_string(colour);
}

json to_json_value(const NodeStatus& node) {
  return {{"name", node.name},          {"instance_id", node.instance_id},
          {"outside", node.outside},    {"instance_type", node.instance_type},
          {"running", node.running},    {"ready", node.ready},
          {"reason", node.reason},      {"pods", node.pods},
          {"addresses", node.addresses}};
}

json to_json_value(const PodOnNode& pod) {
  return {{"namespace", pod.sandbox.pod.namespace_},
          {"name", pod.sandbox.pod.name},
          {"node", pod.node},
          {"container_id", pod.sandbox.container_id},
          {"addresses", texts_of(pod.sandbox.addresses)},
          {"result", json::parse(pod.sandbox.result, nullptr, false)}};
}

json to_json_value(const EniOfNode& eni) {
  return {{"node", eni.node},          {"id", eni.id},           {"status", eni.status},
          {"type", eni.type},          {"vswitch", eni.vswitch}, {"mac", eni.mac},
          {"addresses", eni.addresses}};
}

}  // namespace

std::string nodes_table(const std::vector<NodeStatus>& nodes, Colour colour) {
  Table table({{"node"}, {"state"}, {"instance"}, {"type"}, {"pods", Align::Right}, {"addresses"}});
  for (const NodeStatus& node : nodes) {
    table.add({{node.name},
               state_cell(node),
               {node.instance_id},
               {node.instance_type},
               {node.outside ? std::string() : std::to_string(node.pods)},
               {joined(node.addresses)}});
  }
  return table.to_string(colour);
}

std::string pods_table(const std::vector<PodOnNode>& pods, Colour colour) {
  Table table({{"pod"}, {"node"}, {"addresses"}, {"container"}});
  for (const PodOnNode& pod : pods) {
    table.add({{pod.sandbox.pod.namespace_ + "/" + pod.sandbox.pod.name},
               {pod.node},
               {joined(texts_of(pod.sandbox.addresses))},
               {pod.sandbox.container_id.substr(0, 12)}});
  }
  return table.to_string(colour);
}

std::string enis_table(const std::vector<EniOfNode>& enis, Colour colour) {
  Table table(
      {{"node"}, {"eni"}, {"type"}, {"status"}, {"vswitch"}, {"mac"}, {"addresses", Align::Right}});
  for (const EniOfNode& eni : enis) {
    table.add({{eni.node},
               {eni.id},
               {eni.type},
               {eni.status, eni.status == "InUse" ? Tone::Good : Tone::Warning},
               {eni.vswitch},
               {eni.mac},
               {std::to_string(eni.addresses.size())}});
  }
  return table.to_string(colour);
}

std::string matrix_table(const Matrix& matrix, Colour colour) {
  std::map<Kind, std::map<Protocol, Tally>> tallies;
  for (const Probe& probe : matrix.probes) {
    tallies[probe.kind][probe.target.protocol].count(probe);
  }
  Table table({{"connectivity"}, {"tcp"}, {"udp"}, {"icmp"}});
  for (auto& [kind, by_protocol] : tallies) {
    table.add({{std::string(to_string(kind))},
               by_protocol[Protocol::Tcp].cell(),
               by_protocol[Protocol::Udp].cell(),
               by_protocol[Protocol::Icmp].cell()});
  }
  const std::string sum = fmt::format("{} ok, {} failed", matrix.ok(), matrix.failed());
  return table.to_string(colour) + lost_table(matrix, colour) +
         painted(sum, matrix.failed() == 0 ? Tone::Good : Tone::Bad, colour) + "\n";
}

std::string status_json(const std::string& lab, const std::vector<NodeStatus>& nodes,
                        const std::vector<EniOfNode>& enis, const std::vector<PodOnNode>& pods) {
  json all = {
      {"name", lab}, {"nodes", json::array()}, {"enis", json::array()}, {"pods", json::array()}};
  for (const NodeStatus& node : nodes) all["nodes"].push_back(to_json_value(node));
  for (const EniOfNode& eni : enis) all["enis"].push_back(to_json_value(eni));
  for (const PodOnNode& pod : pods) all["pods"].push_back(to_json_value(pod));
  return all.dump(2);
}

std::string pod_json(const PodOnNode& pod) { return to_json_value(pod).dump(2); }

std::string matrix_json(const Matrix& matrix) {
  json probes = json::array();
  for (const Probe& probe : matrix.probes) {
    probes.push_back({{"from", probe.from},
                      {"to", probe.to},
                      {"kind", to_string(probe.kind)},
                      {"protocol", to_string(probe.target.protocol)},
                      {"target", probe.target.to_string()},
                      {"ok", probe.ok},
                      {"rtt_us", probe.rtt_us},
                      {"lost_at", probe.lost_at}});
  }
  return json{{"ok", matrix.ok()}, {"failed", matrix.failed()}, {"probes", probes}}.dump(2);
}

std::string answer_json(const Answer& answer) {
  const double us = std::chrono::duration<double, std::micro>(answer.round_trip).count();
  return json{{"ok", true}, {"rtt_us", us}, {"answer", answer.text}}.dump(2);
}

}  // namespace terway::lab
