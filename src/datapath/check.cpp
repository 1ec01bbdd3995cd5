// SPDX-License-Identifier: Apache-2.0
// CNI CHECK: is the pod still wired as it was?
#include <fmt/core.h>

#include <algorithm>

#include "datapath/exclusive.h"
#include "datapath/names.h"
#include "datapath/state.h"
#include "datapath/wire.h"
#include "kernel/address.h"

namespace terway::datapath {

namespace {

Error wrong(std::string what) { return {Error::Kind::NotFound, std::move(what)}; }

Result<> check_neighbour(kernel::Socket& socket, int ifindex, const net::IpAddress& address,
                         const net::Mac& mac, std::string_view where) {
  for (const auto& known : TRY(kernel::list_neighbours(socket, address.family(), ifindex))) {
    if (known.address == address && known.mac == mac && known.permanent()) return Ok{};
  }
  return wrong(fmt::format("{}: no permanent neighbour {} at {}", where, address.to_string(),
                           mac.to_string()));
}

Result<> check_routes(kernel::Socket& socket, const std::vector<kernel::Route>& wanted,
                      std::uint32_t table, std::string_view where) {
  for (const kernel::Route& route : wanted) {
    const auto there =
        TRY(kernel::list_routes(socket, route.destination.family(), {.table = table}));
    if (std::find(there.begin(), there.end(), route) == there.end()) {
      return wrong(fmt::format("{}: no route {}", where, route.to_string()));
    }
  }
  return Ok{};
}

Result<> check_host_side(Datapath::State& state, const WiredPod& pod, kernel::Link& link) {
  auto found = kernel::get_link(state.route, pod.host_ifname);
  if (found.is(Error::Kind::NotFound)) {
    return wrong(fmt::format("host end {} is gone", pod.host_ifname));
  }
  link = TRY(std::move(found));
  if (link.alias != alias_of(pod.plan.key)) {
    return wrong(fmt::format("host end {} belongs to \"{}\"", link.name, link.alias));
  }
  if (!link.up()) return wrong(fmt::format("host end {} is down", link.name));
  if (!pod.adopted && link.mac != host_mac_of(pod.plan.key)) {
    return wrong(fmt::format("host end {} has MAC {}, not {}", link.name, link.mac.to_string(),
                             host_mac_of(pod.plan.key).to_string()));
  }
  std::vector<kernel::Route> routes;
  for (const net::IpAddress& address : pod.plan.addresses) {
    routes.push_back(pod_route(state.node, link.ifindex, address));
    if (pod.adopted) continue;
    TRY(check_neighbour(state.route, link.ifindex, address, pod_mac_of(pod.plan.key),
                        "on the node"));
  }
  return check_routes(state.route, routes, state.node.pods_table, "on the node");
}

// The rules that lead to the pods' table, and to that of the pod's ENI.
Result<> check_rules(Datapath::State& state, const std::string& eni_id, std::uint32_t mark) {
  std::vector<kernel::Rule> wanted = node_rules(state.node);
  const NicLayout nic{state.nics.at(eni_id).link.ifindex, mark, false, {}, {}};
  for (kernel::Rule& rule : nic_rules(state.node, nic)) wanted.push_back(std::move(rule));
  std::vector<kernel::Rule> there;
  for (const net::Family family : {net::Family::V4, net::Family::V6}) {
    if (!state.enabled(family)) continue;
    for (auto& rule : TRY(kernel::list_rules(state.route, family))) {
      there.push_back(std::move(rule));
    }
  }
  for (const kernel::Rule& rule : wanted) {
    if (std::find(there.begin(), there.end(), rule) == there.end()) {
      return wrong(fmt::format("on the node: no rule {}", rule.to_string()));
    }
  }
  return Ok{};
}

Result<> check_mark(Datapath::State& state, const WiredPod& pod) {
  const std::uint32_t mark = state.mark_of_eni(pod.plan.eni_id);
  if (mark == 0) return wrong(fmt::format("ENI {} has no NIC", pod.plan.eni_id));
  TRY(check_rules(state, pod.plan.eni_id, mark));
  const auto table = TRY(kernel::nft::read_table(state.netfilter, std::string(kNftTable)));
  for (const net::IpAddress& address : pod.plan.addresses) {
    const auto element = pod_element(address, mark);
    const bool found = std::any_of(table.maps.begin(), table.maps.end(), [&](const auto& map) {
      return map.name == pods_map(address.family()) &&
             std::find(map.elements.begin(), map.elements.end(), element) != map.elements.end();
    });
    if (!found) {
      return wrong(fmt::format("{} has no element in map {} of nftables table {}",
                               address.to_string(), pods_map(address.family()), kNftTable));
    }
  }
  return Ok{};
}

Result<> check_pod_side(const WiredPod& pod, const kernel::Link& host_end, int netns) {
  constexpr std::string_view kWhere = "in the pod";
  auto inner = TRY(kernel::Socket::open_in(netns, kernel::Protocol::Route));
  const auto found = kernel::get_link(inner, pod.plan.key.ifname);
  if (!found.ok()) return wrong(fmt::format("{}: no interface {}", kWhere, pod.plan.key.ifname));
  const kernel::Link& link = *found;
  if (!link.up()) return wrong(fmt::format("{}: {} is down", kWhere, link.name));
  if (link.lower != host_end.ifindex) {
    return wrong(
        fmt::format("{}: {} is not the other end of {}", kWhere, link.name, host_end.name));
  }
  if (link.mtu != host_end.mtu) {
    return wrong(fmt::format("{}: {} has MTU {}, its host end {}", kWhere, link.name, link.mtu,
                             host_end.mtu));
  }
  for (const net::IpAddress& address : pod.plan.addresses) {
    const auto addresses = TRY(kernel::list_addresses(inner, address.family(), link.ifindex));
    const auto own = std::find_if(addresses.begin(), addresses.end(), [&](const auto& a) {
      return a.prefix == net::Prefix::host(address);
    });
    if (own == addresses.end() || own->tentative()) {
      return wrong(fmt::format("{}: {} has no address {}", kWhere, link.name, address.to_string()));
    }
    TRY(check_neighbour(inner, link.ifindex, pod_gateway(address.family()), host_end.mac, kWhere));
  }
  if (pod.adopted) return Ok{};  // upstream's routes differ in words, not in effect
  return check_routes(inner, inner_routes(pod.plan, link.ifindex), kernel::kMainTable, kWhere);
}

}  // namespace

Result<> Datapath::check_pod(const PodPlan& pod, const UniqueFd& netns) {
  const auto known = state_->pods.find(pod.key);
  if (known == state_->pods.end()) {
    return wrong(fmt::format("pod {} is not wired here", pod.key.to_string()));
  }
  if (known->second.plan.mode == model::NetworkMode::Exclusive) {
    std::optional<kernel::Link> peer;
    if (known->second.plan.has_host_end()) {
      TRY(check_host_side(*state_, known->second, peer.emplace()));
    }
    return check_exclusive(*state_, known->second, peer, netns.get());
  }
  kernel::Link host_end;
  TRY(check_host_side(*state_, known->second, host_end));
  TRY(check_mark(*state_, known->second));
  return check_pod_side(known->second, host_end, netns.get());
}

}  // namespace terway::datapath
