// SPDX-License-Identifier: Apache-2.0
// One pod's ADD: the veth, its two ends, and the node's part of the way to it.
#include "datapath/wire.h"

#include <fmt/core.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "datapath/exclusive.h"
#include "datapath/names.h"
#include "datapath/programs.h"
#include "datapath/shaper.h"
#include "datapath/state.h"
#include "kernel/address.h"
#include "kernel/netns.h"
#include "kernel/qdisc.h"
#include "kernel/sysctl.h"

namespace terway::datapath {

std::vector<kernel::Route> inner_routes(const PodPlan& pod, int ifindex) {
  std::vector<kernel::Route> routes;
  for (const net::IpAddress& address : pod.addresses) {
    const bool v4 = address.is_v4();
    const net::IpAddress gateway = pod_gateway(address.family());
    kernel::Route base;
    base.oif = ifindex;
    base.protocol = RTPROT_BOOT;
    if (!v4) base.priority = 1024;
    kernel::Route to_gateway = base;
    to_gateway.destination = net::Prefix::host(gateway);
    if (v4) to_gateway.scope = RT_SCOPE_LINK;
    routes.push_back(to_gateway);
    kernel::Route through = base;
    through.destination = {v4 ? net::IpAddress::from_v4(0) : net::IpAddress{}, 0};
    through.gateway = gateway;
    through.onlink = true;
    routes.push_back(through);
    for (const Route& extra : pod.extra_routes) {
      if (extra.destination.family() != address.family()) continue;
      through.destination = extra.destination.network();
      routes.push_back(through);
    }
  }
  return routes;
}

namespace {

bool has_ipv6(const PodPlan& pod) {
  return std::any_of(pod.addresses.begin(), pod.addresses.end(),
                     [](const net::IpAddress& address) { return !address.is_v4(); });
}

Result<> validate(const Datapath::State& state, const PodPlan& pod) {
  const std::string who = pod.key.to_string();
  unsigned v4 = 0, v6 = 0;
  for (const net::IpAddress& address : pod.addresses) {
    ++(address.is_v4() ? v4 : v6);
    if (!state.enabled(address.family())) {
      return Error(Error::Kind::Invalid,
                   fmt::format("pod {}: address {} is of a family that this node does not have",
                               who, address.to_string()));
    }
  }
  if (v4 + v6 == 0 || v4 > 1 || v6 > 1) {
    return Error(Error::Kind::Invalid,
                 fmt::format("pod {}: {} IPv4 and {} IPv6 addresses; one of each at most, and one "
                             "at least, is allowed",
                             who, v4, v6));
  }
  if (alias_of(pod.key).size() > 255) {
    return Error(Error::Kind::Invalid,
                 fmt::format("pod {}: container id and interface are too long", who));
  }
  return Ok{};
}

// The pod's end of our own dying link still holds the name: that one is removed here and now.
Result<bool> remove_dying_end(Datapath::State& state, int netns, const std::string& ifname) {
  auto inner = TRY(kernel::Socket::open_in(netns, kernel::Protocol::Route));
  const auto end = kernel::get_link(inner, ifname);
  if (!end.ok() || end->kind != "veth" || !end->lower_elsewhere) return false;
  const auto host_end = kernel::get_link(state.route, end->lower);
  if (!host_end.ok() || host_end->group != kDyingGroup || host_end->lower != end->ifindex) {
    return false;
  }
  TRY(state.route.request(kernel::delete_link(host_end->ifindex)));
  return true;
}

// A host end of that name: left by an ADD that died, or by this pod's last life.
Result<bool> remove_old_host_end(Datapath::State& state, const PodPlan& pod,
                                 const std::string& name) {
  const auto old = kernel::get_link(state.route, name);
  if (!old.ok()) return false;
  const bool ours = old->group == kPodGroup || old->group == kDyingGroup;
  if (!ours || (!old->alias.empty() && old->alias != alias_of(pod.key))) {
    return Error(Error::Kind::Exists,
                 fmt::format("link {} is there already and belongs to \"{}\"", name, old->alias));
  }
  TRY(state.route.request(kernel::delete_link(old->ifindex)));
  return true;
}

Result<> make_ends(Datapath::State& state, const PodPlan& pod, std::uint32_t mtu, int netns) {
  const kernel::VethEnd host{host_ifname_of(pod.key), host_mac_of(pod.key), mtu, kPodGroup, 0, -1};
  const bool beside_nic = pod.mode == model::NetworkMode::Exclusive;
  const kernel::VethEnd inner{beside_nic ? std::string(kPeerIfname) : pod.key.ifname,
                              pod_mac_of(pod.key),
                              mtu,
                              0,
                              0,
                              netns};
  auto made = state.route.request(kernel::make_veth(host, inner));
  if (!made.is(Error::Kind::Exists)) return made;
  // Which of the two names is taken, the kernel does not say.
  const bool host_freed = TRY(remove_old_host_end(state, pod, host.name));
  const bool inner_freed =
      TRY_WITHIN("free the interface's name", remove_dying_end(state, netns, inner.name));
  if (!host_freed && !inner_freed) {
    return Error(Error::Kind::Exists,
                 fmt::format("the namespace has an interface {} that is not ours", inner.name));
  }
  return state.route.request(kernel::make_veth(host, inner));
}

// Everything on the node's side, and last the packet mark, so that the pod's first packet finds
// all.
Result<> write_host_side(Datapath::State& state, const PodPlan& pod, int ifindex) {
  kernel::LinkChange settle;
  settle.alias = alias_of(pod.key);
  settle.no_ipv6_address = state.kernel_ipv6;
  kernel::LinkChange up;
  up.up = true;
  std::vector<kernel::Message> messages;
  messages.push_back(kernel::change_link(ifindex, settle));
  // While the link is down: later it costs a grace period, in which the link sends nothing.
  if (state.fast_path) {
    state.fast_path->attach_new(ifindex, ebpf::Program::PodEgress, ebpf::Program::PodIngress,
                                messages);
  } else {
    messages.push_back(kernel::add_clsact(ifindex));
  }
  messages.push_back(kernel::change_link(ifindex, up));
  const net::Mac pod_mac = pod_mac_of(pod.key);
  for (const net::IpAddress& address : pod.addresses) {
    messages.push_back(kernel::replace_route(pod_route(state.node, ifindex, address)));
    messages.push_back(kernel::set_neighbour(ifindex, address, pod_mac));
  }
  return state.route.request_all(messages);
}

Result<> write_marks(Datapath::State& state, const PodPlan& pod) {
  const std::uint32_t mark = state.mark_of_pod(pod);
  std::vector<kernel::nft::MapChange> changes;
  for (const net::IpAddress& address : pod.addresses) {
    kernel::nft::MapChange change{pods_map(address.family()), {pod_element(address, mark)}, {}};
    // The address's former owner, if its way out is still there.
    for (const auto& [key, other] : state.pods) {
      const auto& theirs = other.plan.addresses;
      if (std::find(theirs.begin(), theirs.end(), address) == theirs.end()) continue;
      const std::uint32_t former = state.mark_of_pod(other.plan);
      if (former != 0) change.remove = {pod_element(address, former)};
    }
    changes.push_back(std::move(change));
  }
  return kernel::nft::change_maps(state.netfilter, std::string(kNftTable), changes);
}

// Upstream's rules for an address that is given out anew would send it astray.
Result<> remove_upstream_rules(Datapath::State& state, const PodPlan& pod) {
  std::vector<kernel::Message> messages;
  std::erase_if(state.upstream_rules, [&](const kernel::Rule& rule) {
    const bool about =
        std::any_of(pod.addresses.begin(), pod.addresses.end(), [&](const net::IpAddress& address) {
          return (rule.to && rule.to->address == address) ||
                 (rule.from && rule.from->address == address);
        });
    if (about) messages.push_back(kernel::delete_rule(rule));
    return about;
  });
  if (messages.empty()) return Ok{};
  for (auto& result : TRY(state.route.batch(messages))) {
    if (!result.ok() && !result.is(Error::Kind::NotFound)) return result.take_error();
  }
  return Ok{};
}

// A socket inside, and what no message can carry: sysctls are those of the thread's own namespace.
Result<kernel::Socket> enter(const PodPlan& pod, int netns) {
  const auto inside = TRY(kernel::InsideNetns::enter(netns));
  auto socket = TRY(kernel::Socket::open(kernel::Protocol::Route));
  if (!has_ipv6(pod)) return socket;
  const std::string base = "net/ipv6/conf/" + pod.key.ifname;
  // Runtimes create namespaces without IPv6.
  TRY(kernel::set_sysctl(base + "/disable_ipv6", "0"));
  TRY(kernel::set_sysctl(base + "/accept_ra", "0"));
  return socket;
}

Result<> write_pod_side(const Datapath::State& state, const PodPlan& pod, kernel::Socket& inner) {
  const int ifindex = TRY(kernel::get_link(inner, pod.key.ifname)).ifindex;
  kernel::LinkChange up;
  up.up = true;
  std::vector<kernel::Message> messages;
  state.quieten(ifindex, messages);
  messages.push_back(kernel::change_link(ifindex, up));
  if (has_ipv6(pod)) {
    // The link-local address that the kernel would make, but at once.
    messages.push_back(kernel::add_address(
        ifindex, {kernel::link_local_of(pod_mac_of(pod.key)), 64}, IFA_F_NODAD, RT_SCOPE_LINK));
  }
  for (const net::IpAddress& address : pod.addresses) {
    messages.push_back(kernel::add_address(ifindex, net::Prefix::host(address), IFA_F_NODAD));
    messages.push_back(
        kernel::set_neighbour(ifindex, pod_gateway(address.family()), host_mac_of(pod.key)));
  }
  for (const kernel::Route& route : inner_routes(pod, ifindex)) {
    messages.push_back(kernel::replace_route(route));
  }
  TRY(inner.request_all(messages));
  // Makes the kernel act on the carrier that just came on; until then what is sent is lost.
  TRY(kernel::get_link(inner, ifindex));
  return Ok{};
}

Result<> wire(Datapath::State& state, const PodPlan& pod, int netns) {
  WiredPod fresh{pod, 0, "", false};
  if (pod.has_host_end()) {
    fresh.host_ifname = host_ifname_of(pod.key);
    const kernel::Link link = TRY(kernel::get_link(state.route, fresh.host_ifname));
    fresh.ifindex = link.ifindex;
    say_veth_end(state, pod.key, fresh, link);
    if (fresh.end) TRY(state.fast_path->write_pod(pod_entry(state, fresh)));
    TRY(write_host_side(state, pod, fresh.ifindex));
  }
  auto marked = write_marks(state, pod);
  // An address has one owner, the last that got it.
  for (auto& [key, other] : state.pods) {
    std::erase_if(other.plan.addresses, [&](const net::IpAddress& address) {
      return key != pod.key &&
             std::find(pod.addresses.begin(), pod.addresses.end(), address) != pod.addresses.end();
    });
  }
  WiredPod& wired = state.pods[pod.key];
  for (const int shaper : {wired.egress_shaper, wired.ingress_shaper}) {
    if (shaper != 0) state.draining.insert(shaper);  // of the link before
  }
  wired = std::move(fresh);
  if (!marked.ok()) {
    // Somebody changed our table: write it as it should be, this pod's elements with it.
    Drift drift;
    TRY(apply(state, false, drift));
  }
  TRY(shape_new(state, wired));
  if (pod.mode == model::NetworkMode::Exclusive) {
    TRY_WITHIN("in the pod's namespace", enter_exclusive(state, wired, netns));
    TRY(shape_new_inside(state, wired));
  } else {
    auto inner = TRY(enter(pod, netns));
    TRY_WITHIN("in the pod's namespace", write_pod_side(state, pod, inner));
  }
  if (wired.ifindex != 0) TRY(kernel::get_link(state.route, wired.ifindex));
  return Ok{};
}

// The same pod again: its NIC is still where it was.
Result<> fetch_nic(Datapath::State& state, const Nic& nic, const PodPlan& pod, int netns) {
  if (nic.link.ifindex != 0) return Ok{};
  const auto known = state.pods.find(pod.key);
  return bring_home(state, known == state.pods.end() ? pod : PodPlan(known->second.plan), netns);
}

PodWired answer_of(const PodPlan& pod, const Nic& nic, std::uint32_t mtu) {
  const bool whole = pod.mode == model::NetworkMode::Exclusive;
  PodWired answer{pod.has_host_end() ? host_ifname_of(pod.key) : "",
                  host_mac_of(pod.key),
                  whole ? nic.plan.mac : pod_mac_of(pod.key),
                  mtu,
                  {}};
  for (const net::IpAddress& address : pod.addresses) {
    const auto& own = address.is_v4() ? nic.plan.gateway_v4 : nic.plan.gateway_v6;
    answer.gateways.push_back(whole && own ? *own : pod_gateway(address.family()));
  }
  return answer;
}

}  // namespace

Result<PodWired> Datapath::add_pod(const PodPlan& pod, const UniqueFd& netns) {
  State& state = *state_;
  TRY(validate(state, pod));
  const auto nic = state.nics.find(pod.eni_id);
  if (nic == state.nics.end() || !nic->second.ready) {
    return Error(Error::Kind::Unavailable,
                 fmt::format("pod {}: ENI {} is not up", pod.key.to_string(), pod.eni_id));
  }
  const std::string who = "pod " + pod.key.to_string();
  if (pod.mode == model::NetworkMode::Exclusive) {
    TRY_WITHIN(who, fetch_nic(state, nic->second, pod, netns.get()));
  }
  const std::uint32_t mtu = pod.mtu != 0 ? pod.mtu : nic->second.link.mtu;
  TRY(remove_upstream_rules(state, pod));
  if (pod.has_host_end()) TRY_WITHIN(who, make_ends(state, pod, mtu, netns.get()));
  auto wired = wire(state, pod, netns.get());
  if (!wired.ok()) {
    Error error = wired.take_error();
    // The routes go with the link; the rest is undone as a DEL would.
    (void)remove_pod(pod, netns.get());
    return std::move(error).within(who);
  }
  return answer_of(pod, nic->second, mtu);
}

}  // namespace terway::datapath
