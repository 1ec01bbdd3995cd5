// SPDX-License-Identifier: Apache-2.0
// What a pod with an ENI of its own has in its namespace: written at ADD, compared at CHECK.
#include "datapath/exclusive_inside.h"

#include <fmt/core.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "datapath/exclusive.h"
#include "datapath/names.h"
#include "kernel/address.h"
#include "kernel/sysctl.h"

namespace terway::datapath {

namespace {

std::optional<net::IpAddress> gateway_of(const Nic& nic, net::Family family) {
  for (const Gateway& gateway : nic.gateways) {
    if (gateway.address.family() == family) return gateway.address;
  }
  return std::nullopt;
}

kernel::Route route_by(int ifindex, const net::Prefix& destination) {
  kernel::Route route;
  route.destination = destination;
  route.oif = ifindex;
  route.protocol = RTPROT_BOOT;
  if (!destination.address.is_v4()) route.priority = 1024;
  return route;
}

net::Prefix everything(net::Family family) {
  return {family == net::Family::V4 ? net::IpAddress::from_v4(0) : net::IpAddress{}, 0};
}

// By the NIC: all, through the vSwitch's gateway.
std::vector<kernel::Route> nic_routes(const PodPlan& pod, const Nic& nic, int ifindex) {
  std::vector<kernel::Route> routes;
  for (const net::IpAddress& address : pod.addresses) {
    const auto gateway = gateway_of(nic, address.family());
    if (!gateway) continue;
    kernel::Route route = route_by(ifindex, everything(address.family()));
    route.gateway = gateway;
    route.onlink = true;
    routes.push_back(route);
    for (const Route& extra : pod.extra_routes) {
      if (extra.destination.family() != address.family()) continue;
      route.destination = extra.destination.network();
      routes.push_back(route);
    }
  }
  return routes;
}

// By the pair: the node's own addresses, and what goes through the host's stack.
std::vector<kernel::Route> peer_routes(const PodPlan& pod, int ifindex,
                                       const std::vector<net::IpAddress>& node,
                                       const std::vector<net::Prefix>& host_stack) {
  std::vector<kernel::Route> routes;
  for (const net::IpAddress& address : pod.addresses) {
    const net::Family family = address.family();
    kernel::Route to_gateway = route_by(ifindex, net::Prefix::host(pod_gateway(family)));
    if (address.is_v4()) to_gateway.scope = RT_SCOPE_LINK;
    routes.push_back(to_gateway);
    std::vector<net::Prefix> through;
    for (const net::IpAddress& own : node) {
      if (own.family() == family) through.push_back(net::Prefix::host(own));
    }
    for (const auto& prefixes : {host_stack, pod.host_stack}) {
      for (const net::Prefix& prefix : prefixes) {
        if (prefix.family() == family) through.push_back(prefix.network());
      }
    }
    std::sort(through.begin(), through.end());
    through.erase(std::unique(through.begin(), through.end()), through.end());
    for (const net::Prefix& prefix : through) {
      kernel::Route route = route_by(ifindex, prefix);
      route.gateway = pod_gateway(family);
      route.onlink = true;
      route.source = address;
      routes.push_back(route);
    }
  }
  return routes;
}

Result<std::vector<net::IpAddress>> node_addresses(Datapath::State& state) {
  std::vector<net::IpAddress> addresses;
  if (!state.primary) return addresses;
  for (const net::Family family : {net::Family::V4, net::Family::V6}) {
    if (!state.enabled(family)) continue;
    for (const auto& address :
         TRY(kernel::list_addresses(state.route, family, state.primary->link.ifindex))) {
      if (!address.prefix.address.is_link_local()) addresses.push_back(address.prefix.address);
    }
  }
  return addresses;
}

void add_end_messages(const Datapath::State& state, const PodPlan& pod, int ifindex,
                      const net::Mac& mac, std::vector<kernel::Message>& messages) {
  state.quieten(ifindex, messages);
  kernel::LinkChange up;
  up.up = true;
  messages.push_back(kernel::change_link(ifindex, up));
  for (const net::IpAddress& address : pod.addresses) {
    if (!address.is_v4()) {
      messages.push_back(kernel::add_address(ifindex, {kernel::link_local_of(mac), 64}, IFA_F_NODAD,
                                             RT_SCOPE_LINK));
    }
    messages.push_back(kernel::add_address(ifindex, net::Prefix::host(address),
                                           IFA_F_NODAD | IFA_F_NOPREFIXROUTE));
  }
}

Error wrong(std::string what) { return {Error::Kind::NotFound, std::move(what)}; }

}  // namespace

Result<> set_inner_sysctls(const PodPlan& pod) {
  const bool v6 = std::any_of(pod.addresses.begin(), pod.addresses.end(),
                              [](const auto& address) { return !address.is_v4(); });
  // Routers of the vSwitch announce nothing that a pod may believe.
  for (const std::string& ifname : {pod.key.ifname, std::string(kPeerIfname)}) {
    if (ifname == kPeerIfname && !pod.host_peer) continue;
    const auto set = [&](std::string_view key, std::string_view value) -> Result<> {
      auto done = kernel::set_sysctl(fmt::format("net/ipv6/conf/{}/{}", ifname, key), value);
      if (!done.ok() && !done.is(Error::Kind::NotFound)) return done.take_error();
      return Ok{};
    };
    TRY(set("accept_ra", "0"));
    if (v6) TRY(set("disable_ipv6", "0"));
    // What the node sends by the pair may come from an address whose way back is the NIC.
    auto loose = kernel::set_sysctl(fmt::format("net/ipv4/conf/{}/rp_filter", ifname), "2");
    if (!loose.ok()) return loose.take_error();
  }
  return Ok{};
}

Result<> write_inside(Datapath::State& state, const PodPlan& pod, const Nic& nic,
                      const InnerLinks& links, kernel::Socket& inner,
                      std::vector<kernel::Message> messages) {
  const int ifindex = links.nic.ifindex;
  if (pod.mtu != 0 && pod.mtu != links.nic.mtu) {
    kernel::LinkChange change;
    change.mtu = pod.mtu;
    messages.push_back(kernel::change_link(ifindex, change));
  }
  add_end_messages(state, pod, ifindex, nic.plan.mac, messages);
  for (const Gateway& gateway : nic.gateways) {
    messages.push_back(kernel::set_neighbour(ifindex, gateway.address, *gateway.mac));
  }
  for (const auto& route : nic_routes(pod, nic, ifindex)) {
    messages.push_back(kernel::replace_route(route));
  }
  if (links.peer) {
    const int peer = links.peer->ifindex;
    add_end_messages(state, pod, peer, pod_mac_of(pod.key), messages);
    for (const net::IpAddress& address : pod.addresses) {
      messages.push_back(
          kernel::set_neighbour(peer, pod_gateway(address.family()), host_mac_of(pod.key)));
    }
    for (const auto& route : peer_routes(pod, peer, TRY(node_addresses(state)), state.host_stack)) {
      messages.push_back(kernel::replace_route(route));
    }
  }
  TRY(inner.request_all(messages));
  // Makes the kernel act on carriers that just came on; until then what is sent is lost.
  TRY(kernel::get_link(inner, ifindex));
  if (links.peer) TRY(kernel::get_link(inner, links.peer->ifindex));
  return Ok{};
}

Result<> check_exclusive(Datapath::State& state, const WiredPod& pod,
                         const std::optional<kernel::Link>& host_end, int netns) {
  const PodPlan& plan = pod.plan;
  const auto found = state.nics.find(plan.eni_id);
  if (found == state.nics.end()) return wrong(fmt::format("ENI {} is not known", plan.eni_id));
  const Nic& nic = found->second;
  auto inner = TRY(kernel::Socket::open_in(netns, kernel::Protocol::Route));
  const auto link = kernel::get_link(inner, plan.key.ifname);
  if (!link.ok()) return wrong(fmt::format("in the pod: no interface {}", plan.key.ifname));
  if (link->mac != nic.plan.mac) {
    return wrong(fmt::format("in the pod: {} has MAC {}, the NIC of ENI {} {}", link->name,
                             link->mac.to_string(), plan.eni_id, nic.plan.mac.to_string()));
  }
  std::vector<kernel::Route> routes = nic_routes(plan, nic, link->ifindex);
  std::vector<std::pair<kernel::Link, kernel::Neighbour>> ends;
  for (const Gateway& gateway : nic.gateways) {
    ends.push_back({*link, {link->ifindex, gateway.address, *gateway.mac, 0}});
  }
  if (host_end) {
    const auto peer = kernel::get_link(inner, kPeerIfname);
    if (!peer.ok() || peer->lower != host_end->ifindex) {
      return wrong(
          fmt::format("in the pod: {} is not the other end of {}", kPeerIfname, host_end->name));
    }
    for (auto& route :
         peer_routes(plan, peer->ifindex, TRY(node_addresses(state)), state.host_stack)) {
      routes.push_back(std::move(route));
    }
    for (const net::IpAddress& address : plan.addresses) {
      ends.push_back({*peer, {peer->ifindex, pod_gateway(address.family()), host_end->mac, 0}});
    }
  }
  for (const auto& [end, neighbour] : ends) {
    if (!end.up()) return wrong(fmt::format("in the pod: {} is down", end.name));
    for (const net::IpAddress& address : plan.addresses) {
      const auto there = TRY(kernel::list_addresses(inner, address.family(), end.ifindex));
      const bool has = std::any_of(there.begin(), there.end(), [&](const auto& one) {
        return one.prefix == net::Prefix::host(address) && !one.tentative();
      });
      if (!has) {
        return wrong(
            fmt::format("in the pod: {} has no address {}", end.name, address.to_string()));
      }
    }
    const auto there = TRY(kernel::list_neighbours(inner, neighbour.address.family(), end.ifindex));
    const bool known = std::any_of(there.begin(), there.end(), [&](const auto& one) {
      return one.address == neighbour.address && one.mac == neighbour.mac && one.permanent();
    });
    if (!known) {
      return wrong(fmt::format("in the pod: no permanent neighbour {} at {}",
                               neighbour.address.to_string(), neighbour.mac.to_string()));
    }
  }
  for (const kernel::Route& route : routes) {
    const auto there =
        TRY(kernel::list_routes(inner, route.destination.family(), {.table = kernel::kMainTable}));
    if (std::find(there.begin(), there.end(), route) == there.end()) {
      return wrong(fmt::format("in the pod: no route {}", route.to_string()));
    }
  }
  return Ok{};
}

}  // namespace terway::datapath
