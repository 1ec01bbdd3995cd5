// SPDX-License-Identifier: Apache-2.0
// ENIs: from "a NIC with this MAC" to "its gateway is known and packets may leave by it".
#include <fmt/core.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "datapath/exclusive.h"
#include "datapath/names.h"
#include "datapath/state.h"
#include "kernel/address.h"
#include "kernel/conntrack.h"
#include "kernel/sysctl.h"

namespace terway::datapath {

namespace {

// Which NIC it is: by MAC, and no macvlan or the like that shares it.
Result<kernel::Link> find_nic(const Datapath::State& state, const EniPlan& plan,
                              const std::vector<kernel::Link>& links) {
  const kernel::Link* found = nullptr;
  bool stacked = false;
  for (const kernel::Link& link : links) {
    if (link.mac != plan.mac) continue;
    if (link.stacked()) {
      stacked = true;
    } else if (found != nullptr) {
      return Error(Error::Kind::Invalid,
                   fmt::format("ENI {}: both {} and {} have MAC {}", plan.eni_id, found->name,
                               link.name, plan.mac.to_string()));
    } else {
      found = &link;
    }
  }
  if (found == nullptr) {
    return Error(Error::Kind::NotFound,
                 fmt::format("ENI {}: no NIC with MAC {} yet{}", plan.eni_id, plan.mac.to_string(),
                             stacked ? " (only links stacked on another)" : ""));
  }
  if (state.primary && state.primary->link.ifindex == found->ifindex) {
    return Error(Error::Kind::Invalid,
                 fmt::format("ENI {}: {} holds the node's default route and is left alone",
                             plan.eni_id, found->name));
  }
  const auto& unmanaged = state.unmanaged;
  if (std::find(unmanaged.begin(), unmanaged.end(), plan.mac) != unmanaged.end()) {
    return Error(Error::Kind::Invalid,
                 fmt::format("ENI {}: {} is not ours to manage", plan.eni_id, found->name));
  }
  return *found;
}

Result<> set(std::string_view tree, const std::string& ifname, std::string_view key,
             std::string_view value, Drift& drift) {
  const std::string name = fmt::format("net/{}/conf/{}/{}", tree, ifname, key);
  auto changed = kernel::set_sysctl(name, value);
  if (changed.is(Error::Kind::NotFound)) return Ok{};  // IPv6 is not in this kernel
  if (!TRY(std::move(changed))) return Ok{};
  ++drift.sysctls;
  drift.what.push_back(fmt::format("sysctl {} = {}", name, value));
  return Ok{};
}

// Loose reverse path: what comes in on an ENI would by the main table leave by the primary NIC. No
// ARP for the node's own addresses: the fabric takes that for spoofing. No router but ours.
Result<> set_sysctls(const Datapath::State& state, const kernel::Link& link, Drift& drift) {
  TRY(set("ipv4", link.name, "rp_filter", "2", drift));
  TRY(set("ipv4", link.name, "arp_ignore", "8", drift));
  TRY(set("ipv4", link.name, "forwarding", "1", drift));
  TRY(set("ipv6", link.name, "accept_ra", "0", drift));
  if (state.node.ipv6) {
    TRY(set("ipv6", link.name, "disable_ipv6", "0", drift));
    TRY(set("ipv6", link.name, "forwarding", "1", drift));
  }
  return Ok{};
}

// Up, with the MTU asked for, and without an IPv6 address of the kernel's own making.
Result<> set_link(Datapath::State& state, Nic& nic, Drift& drift) {
  kernel::LinkChange change;
  if (nic.plan.mtu != 0 && nic.plan.mtu != nic.link.mtu) change.mtu = nic.plan.mtu;
  std::vector<kernel::Message> messages;
  if (!nic.link.up()) {
    state.quieten(nic.link.ifindex, messages);
    change.up = true;
  }
  if (!change.up && !change.mtu) return Ok{};
  messages.push_back(kernel::change_link(nic.link.ifindex, change));
  TRY(state.route.request_all(messages));
  ++drift.links;
  drift.what.push_back(
      fmt::format("link {}: up, MTU {}", nic.link.name, change.mtu.value_or(nic.link.mtu)));
  nic.link = TRY(kernel::get_link(state.route, nic.link.ifindex));
  return Ok{};
}

// The one address that an ENI does carry: the pods' gateway, of scope host, so that it is never
// anybody's source. Without any, Linux drops what comes in whenever a reverse path filter is on,
// the loose one too, be it only in conf/all (`no_addr` in __fib_validate_source()).
net::Prefix placeholder() { return net::Prefix::host(pod_gateway(net::Family::V4)); }

// All other addresses of an ENI are pods': one on the NIC would make it the node's.
Result<> set_addresses(Datapath::State& state, const Nic& nic, Drift& drift) {
  std::vector<kernel::Message> messages;
  bool placed = false;
  for (const net::Family family : {net::Family::V4, net::Family::V6}) {
    for (const auto& address : TRY(kernel::list_addresses(state.route, family, nic.link.ifindex))) {
      const bool keep = address.prefix == placeholder();
      placed = placed || keep;
      if (keep) continue;
      if (family == net::Family::V6 && address.prefix.address.is_link_local()) continue;
      messages.push_back(kernel::delete_address(nic.link.ifindex, address.prefix));
      drift.what.push_back(
          fmt::format("address {} removed from {}", address.prefix.to_string(), nic.link.name));
    }
  }
  if (!placed && state.node.ipv4) {
    messages.push_back(
        kernel::add_address(nic.link.ifindex, placeholder(), IFA_F_NOPREFIXROUTE, RT_SCOPE_HOST));
    drift.what.push_back(
        fmt::format("address {} set on {}", placeholder().to_string(), nic.link.name));
  }
  if (messages.empty()) return Ok{};
  drift.links += static_cast<std::uint32_t>(messages.size());
  for (auto& result : TRY(state.route.batch(messages))) {
    if (!result.ok() && !result.is(Error::Kind::NotFound)) return result.take_error();
  }
  return Ok{};
}

void set_gateways(const Datapath::State& state, Nic& nic) {
  for (const auto& wanted : {nic.plan.gateway_v4, nic.plan.gateway_v6}) {
    if (!wanted || !state.enabled(wanted->family())) continue;
    const auto same_family =
        std::find_if(nic.gateways.begin(), nic.gateways.end(),
                     [&](const Gateway& g) { return g.address.family() == wanted->family(); });
    if (same_family == nic.gateways.end()) {
      nic.gateways.push_back(Gateway{*wanted, {}, {}, 0});
    } else if (same_family->address != *wanted) {
      same_family->address = *wanted;
      same_family->mac.reset();
    }
  }
}

// After a restart the permanent entry that we wrote is as good as an answer; it is re-checked
// later.
Result<> recall_gateways(Datapath::State& state, Nic& nic) {
  for (Gateway& gateway : nic.gateways) {
    if (gateway.mac) continue;
    for (const auto& known :
         TRY(kernel::list_neighbours(state.route, gateway.address.family(), nic.link.ifindex))) {
      if (known.address == gateway.address && known.permanent()) gateway.mac = known.mac;
    }
  }
  return Ok{};
}

// Reads what came and asks again. Every second time an address of the ENI's own asks, where one is
// known: not every gateway answers to 0.0.0.0.
Result<> ask_gateway(Nic& nic, Gateway& gateway) {
  const net::Family family = gateway.address.family();
  if (!gateway.probe) gateway.probe = TRY(kernel::Probe::open(nic.link.ifindex, family));
  for (const auto& reply : TRY(gateway.probe->receive())) {
    if (reply.address == gateway.address) gateway.mac = reply.mac;
  }
  std::optional<net::IpAddress> sender;
  if (gateway.asked++ % 2 == 1) {
    for (const net::IpAddress& own : nic.plan.own_addresses) {
      if (own.family() == family) sender = own;
    }
  }
  return gateway.probe->send(nic.plan.mac, gateway.address, sender);
}

EniNic answer_of(const Nic& nic) {
  EniNic answer;
  answer.eni_id = nic.plan.eni_id;
  answer.ifindex = nic.link.ifindex;
  answer.ifname = nic.link.name;
  answer.mtu = nic.link.mtu;
  answer.table = nic_table(nic.link.ifindex);
  for (const Gateway& gateway : nic.gateways) {
    (gateway.address.is_v4() ? answer.gateway_mac_v4 : answer.gateway_mac_v6) = gateway.mac;
  }
  return answer;
}

bool is_copy_worthy(const kernel::Route& route, int primary) {
  return route.table == kernel::kMainTable && route.oif == primary && route.protocol != kProtocol &&
         route.type == kernel::RouteType::Unicast && !route.destination.address.is_link_local();
}

}  // namespace

std::optional<Primary> find_primary(const Actual& actual, const std::map<std::string, Nic>& enis) {
  const auto is_eni = [&](int ifindex) {
    return std::any_of(enis.begin(), enis.end(), [&](const auto& entry) {
      return entry.second.ready && entry.second.link.ifindex == ifindex;
    });
  };
  // IPv4's default route decides; a node without one is told by IPv6's.
  const kernel::Route* best = nullptr;
  const auto better = [](const kernel::Route& a, const kernel::Route& b) {
    if (a.destination.family() != b.destination.family()) {
      return a.destination.family() == net::Family::V4;
    }
    return a.priority < b.priority;
  };
  for (const kernel::Route& route : actual.routes) {
    if (route.table != kernel::kMainTable || route.destination.length != 0 || route.oif == 0 ||
        route.type != kernel::RouteType::Unicast || is_eni(route.oif)) {
      continue;
    }
    if (best == nullptr || better(route, *best)) best = &route;
  }
  if (best == nullptr) return std::nullopt;
  const kernel::Link* link = actual.find_link(best->oif);
  if (link == nullptr) return std::nullopt;
  Primary primary{*link, {}};
  for (kernel::Route route : actual.routes) {
    if (!is_copy_worthy(route, link->ifindex)) continue;
    route.table = nic_table(link->ifindex);
    route.protocol = kProtocol;
    route.source.reset();
    if (route.gateway) route.onlink = true;
    primary.routes.push_back(std::move(route));
  }
  return primary;
}

Result<> step_up(Datapath::State& state, Nic& nic, const std::vector<kernel::Link>& links,
                 Drift& drift) {
  const bool whole = is_exclusive(state, nic.plan.eni_id);
  auto found = find_nic(state, nic.plan, links);
  const int before = nic.link.ifindex;
  nic.link = found.ok() ? *found : kernel::Link{};
  if (nic.link.ifindex != before && !whole) {
    nic.ready = false;
    nic.gateways.clear();
  }
  if (whole) {
    set_gateways(state, nic);
    if (found.is(Error::Kind::NotFound) && TRY(is_in_its_pod(state, nic))) return Ok{};
    nic.away = false;
    nic.ready = nic.ready && found.ok();
    TRY(restore_mac(state, nic, links));
  }
  TRY(std::move(found));
  set_gateways(state, nic);
  if (nic.gateways.empty()) {
    return Error(Error::Kind::Invalid,
                 fmt::format("ENI {}: no gateway of a family that this node has", nic.plan.eni_id));
  }
  if (whole && knows_gateways(nic)) return put_away(state, nic, drift);
  TRY(set_sysctls(state, nic.link, drift));
  TRY(set_link(state, nic, drift));
  if (!whole) {
    TRY(set_addresses(state, nic, drift));
    TRY(recall_gateways(state, nic));
    TRY(state.mark_of(nic.link.ifindex));
  }
  if ((nic.link.flags & IFF_RUNNING) == 0) {
    return Error(Error::Kind::Unavailable,
                 fmt::format("ENI {}: {} has no carrier yet", nic.plan.eni_id, nic.link.name));
  }
  for (Gateway& gateway : nic.gateways) TRY(ask_gateway(nic, gateway));
  for (const Gateway& gateway : nic.gateways) {
    if (gateway.mac) continue;
    return Error(
        Error::Kind::Unavailable,
        fmt::format("ENI {}: gateway {} has not answered on {} (asked {} times)", nic.plan.eni_id,
                    gateway.address.to_string(), nic.link.name, gateway.asked));
  }
  return whole ? put_away(state, nic, drift) : Ok{};
}

Result<EniNic> Datapath::bring_up(const EniPlan& eni) {
  Nic& nic = state_->nics[eni.eni_id];
  nic.plan = eni;
  Drift drift;
  const bool was_ready = nic.ready;
  const auto gateways_before = [&] {
    std::vector<std::optional<net::Mac>> macs;
    for (const Gateway& gateway : nic.gateways) macs.push_back(gateway.mac);
    return macs;
  };
  const auto before = gateways_before();
  const auto links = TRY(kernel::list_links(state_->route));
  auto stepped = step_up(*state_, nic, links, drift);
  if (stepped.is(Error::Kind::Invalid)) state_->nics.erase(eni.eni_id);
  TRY(std::move(stepped));
  if (!was_ready || drift.total() > 0 || gateways_before() != before) {
    TRY(apply(*state_, false, drift));
  }
  nic.ready = true;
  return answer_of(nic);
}

Result<> Datapath::tear_down(const std::string& eni_id) {
  const auto found = state_->nics.find(eni_id);
  if (found == state_->nics.end()) return Ok{};
  const int ifindex = found->second.link.ifindex;
  const auto number = state_->numbers.find(ifindex);
  state_->nics.erase(found);
  if (ifindex == 0 || number == state_->numbers.end()) return Ok{};
  const std::uint32_t mark = state_->node.marks.mark_of(number->second);
  state_->numbers.erase(number);

  if (state_->fast_path) TRY(FastPath::detach(state_->route, ifindex));
  std::vector<kernel::Message> messages;
  const NicLayout nic{ifindex, mark, false, {}, {}};
  for (const auto& rule : nic_rules(state_->node, nic)) {
    messages.push_back(kernel::delete_rule(rule));
  }
  for (const net::Family family : {net::Family::V4, net::Family::V6}) {
    if (!state_->enabled(family)) continue;
    for (const auto& route :
         TRY(kernel::list_routes(state_->route, family, {.table = nic_table(ifindex)}))) {
      messages.push_back(kernel::delete_route(route));
    }
    for (const auto& neighbour : TRY(kernel::list_neighbours(state_->route, family, ifindex))) {
      messages.push_back(kernel::delete_neighbour(ifindex, neighbour.address));
    }
  }
  kernel::LinkChange down;
  down.up = false;
  messages.push_back(kernel::change_link(ifindex, down));
  for (auto& result : TRY(state_->route.batch(messages))) {
    if (!result.ok() && !result.is(Error::Kind::NotFound)) return result.take_error();
  }
  // The table anew without this NIC's chains; then what was remembered of it.
  TRY(kernel::nft::replace_table(
      state_->netfilter,
      lay_out(state_->node, state_->nic_layouts(), state_->pod_layouts()).table));
  return kernel::flush_connections_marked(state_->netfilter, mark, state_->node.marks.mask());
}

}  // namespace terway::datapath
