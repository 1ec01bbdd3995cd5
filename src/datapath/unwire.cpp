// SPDX-License-Identifier: Apache-2.0
// One pod's DEL: what is cheap at once, links and connections later and together.
#include <fmt/core.h>

#include <algorithm>

#include "datapath/exclusive.h"
#include "datapath/flows.h"
#include "datapath/names.h"
#include "datapath/shaper.h"
#include "datapath/state.h"
#include "kernel/conntrack.h"

namespace terway::datapath {

namespace {

// The host end that is this pod's; never another's of the same name.
Result<std::optional<kernel::Link>> host_end_of(Datapath::State& state, const PodPlan& pod) {
  const auto known = state.pods.find(pod.key);
  const std::string name = known != state.pods.end() && !known->second.host_ifname.empty()
                               ? known->second.host_ifname
                               : host_ifname_of(pod.key);
  auto link = kernel::get_link(state.route, name);
  if (link.is(Error::Kind::NotFound)) return std::optional<kernel::Link>();
  if (!link.ok()) return link.take_error();
  const bool ours =
      link->alias == alias_of(pod.key) || (link->alias.empty() && link->group == kPodGroup);
  if (!ours || link->group == kDyingGroup) return std::optional<kernel::Link>();
  return std::optional<kernel::Link>(std::move(*link));
}

std::set<net::IpAddress> addresses_of(const Datapath::State& state, const PodPlan& pod) {
  std::set<net::IpAddress> addresses(pod.addresses.begin(), pod.addresses.end());
  const auto known = state.pods.find(pod.key);
  if (known != state.pods.end()) {
    const auto& more = known->second.plan.addresses;
    addresses.insert(more.begin(), more.end());
  }
  return addresses;
}

Result<> detach(Datapath::State& state, const kernel::Link& link,
                const std::set<net::IpAddress>& addresses, const WiredPod& pod) {
  std::vector<kernel::Message> messages;
  drop_shapers(pod, messages);
  for (const net::IpAddress& address : addresses) {
    if (!state.enabled(address.family())) continue;
    messages.push_back(kernel::delete_route(pod_route(state.node, link.ifindex, address)));
    messages.push_back(kernel::delete_neighbour(link.ifindex, address));
  }
  kernel::LinkChange dying;
  dying.group = kDyingGroup;
  messages.push_back(kernel::change_link(link.ifindex, dying));
  state.links_marked = true;
  for (auto& result : TRY(state.route.batch(messages))) {
    if (!result.ok() && !result.is(Error::Kind::NotFound)) return result.take_error();
  }
  return Ok{};
}

// All but a pod's own NIC.
Result<> detach_pod(Datapath::State& state, const PodPlan& pod) {
  const auto link = TRY(host_end_of(state, pod));
  const auto addresses = addresses_of(state, pod);
  const auto known = state.pods.find(pod.key);
  const bool was_known = known != state.pods.end();
  const std::uint32_t mark = state.mark_of_pod(was_known ? known->second.plan : pod);
  const WiredPod wired = was_known ? known->second : WiredPod{};
  state.pods.erase(pod.key);
  if (state.fast_path) {
    std::vector<net::IpAddress> free;
    std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(free),
                 [&](const auto& one) { return !state.owned_by_another(one, pod.key); });
    TRY(state.fast_path->remove_addresses(free));
    state.fast_path->numbers().forget(pod.key);
  }
  if (link) TRY(detach(state, *link, addresses, wired));
  std::vector<kernel::nft::MapChange> changes;
  for (const net::IpAddress& address : addresses) {
    if (state.owned_by_another(address, pod.key)) continue;
    state.forget.insert(address);
    // Without a link and unknown to us it was never marked.
    if (mark == 0 || (!was_known && !link)) continue;
    changes.push_back({pods_map(address.family()), {}, {pod_element(address, mark)}});
  }
  if (changes.empty()) return Ok{};
  auto unmarked = kernel::nft::change_maps(state.netfilter, std::string(kNftTable), changes);
  // An element that is not there refuses the whole change: then one by one.
  if (unmarked.is(Error::Kind::NotFound)) {
    for (const auto& change : changes) {
      auto one = kernel::nft::change_maps(state.netfilter, std::string(kNftTable), {change});
      if (!one.ok() && !one.is(Error::Kind::NotFound)) return one;
    }
    return Ok{};
  }
  return unmarked;
}

}  // namespace

Result<> Datapath::remove_pod(const PodPlan& pod, int netns) {
  TRY(detach_pod(*state_, pod));
  if (pod.mode != model::NetworkMode::Exclusive) return Ok{};
  return bring_home(*state_, pod, netns);
}

Result<> Datapath::flush_address(const net::IpAddress& address) {
  TRY(kernel::flush_connections_of(state_->netfilter, {address}));
  if (state_->fast_path) TRY(forget_flows(state_->fast_path->object(), {address}));
  TRY(kernel::flush_neighbour(state_->route, address));
  state_->forget.erase(address);
  return Ok{};
}

bool Datapath::has_marked_links() const {
  return state_->links_marked || !state_->forget.empty() || !state_->draining.empty();
}

Result<> Datapath::delete_marked_links() {
  State& state = *state_;
  if (!state.forget.empty()) {
    // Who got an address anew meanwhile keeps its connections: they are its own.
    std::vector<net::IpAddress> addresses;
    for (const net::IpAddress& address : state.forget) {
      if (!state.owned_by_another(address, {})) addresses.push_back(address);
    }
    TRY(kernel::flush_connections_of(state.netfilter, addresses));
    if (state.fast_path) {
      TRY(forget_flows(state.fast_path->object(), {addresses.begin(), addresses.end()}));
    }
    state.forget.clear();
  }
  if (!state.draining.empty()) TRY(mark_drained(state));
  if (!state.links_marked) return Ok{};
  auto deleted = state.route.request(kernel::delete_link_group(kDyingGroup));
  if (!deleted.ok() && !deleted.is(Error::Kind::NotFound)) return deleted;
  state.links_marked = false;
  return Ok{};
}

}  // namespace terway::datapath
