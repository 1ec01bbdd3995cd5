// SPDX-License-Identifier: Apache-2.0
#include "datapath/datapath.h"

#include <fmt/core.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "datapath/exclusive.h"
#include "datapath/names.h"
#include "datapath/programs.h"
#include "datapath/shaper.h"
#include "datapath/state.h"
#include "kernel/sysctl.h"

namespace terway::datapath {

namespace {

Result<> set(std::string_view name, std::string_view value, Drift& drift) {
  if (!TRY(kernel::set_sysctl(name, value))) return Ok{};
  ++drift.sysctls;
  drift.what.push_back(fmt::format("sysctl {} = {}", name, value));
  return Ok{};
}

// Once a node. A link's own settings follow from these when it is made.
Result<> set_forwarding(const Datapath::State& state, Drift& drift) {
  if (state.node.ipv4) TRY(set("net/ipv4/ip_forward", "1", drift));
  if (!state.node.ipv6) return Ok{};
  // A router ignores router advertisements unless told otherwise: the node would lose the default
  // route that it has from one (Documentation/networking/ip-sysctl.rst, accept_ra).
  if (state.primary) {
    const auto& routes = state.primary->routes;
    const std::string name = fmt::format("net/ipv6/conf/{}/accept_ra", state.primary->link.name);
    const bool has_default = std::any_of(routes.begin(), routes.end(), [](const auto& route) {
      return route.destination.length == 0 && !route.destination.address.is_v4();
    });
    if (has_default && TRY(kernel::read_sysctl(name)) == "1") TRY(set(name, "2", drift));
  }
  return set("net/ipv6/conf/all/forwarding", "1", drift);
}

// Numbers of NICs outlive us in the rules: connections carry them.
void recall_numbers(Datapath::State& state, const Actual& actual) {
  for (const kernel::Rule& rule : actual.rules) {
    if (rule.protocol != kProtocol || rule.priority != kFromPodPriority ||
        rule.mask != state.node.marks.mask() || rule.table <= kEniTableBase) {
      continue;
    }
    const std::uint32_t number = state.node.marks.number_of(rule.mark);
    if (number != 0) state.numbers[static_cast<int>(rule.table - kEniTableBase)] = number;
  }
}

void forget_numbers(Datapath::State& state) {
  std::set<int> used;
  if (state.primary) used.insert(state.primary->link.ifindex);
  for (const auto& [id, nic] : state.nics) used.insert(nic.link.ifindex);
  std::erase_if(state.numbers, [&](const auto& entry) { return !used.contains(entry.first); });
}

}  // namespace

Datapath::Datapath(std::unique_ptr<State> state) : state_(std::move(state)) {}
Datapath::~Datapath() = default;

std::string_view to_string(FastPathMode mode) {
  switch (mode) {
    case FastPathMode::Auto:
      return "auto";
    case FastPathMode::Bpf:
      return "bpf";
    case FastPathMode::Stack:
      return "stack";
  }
  return "";
}

const FastPathStatus& Datapath::fast_path() const { return state_->fast_path_status; }

Result<std::unique_ptr<Datapath>> Datapath::open(const Settings& settings) {
  const std::uint32_t mask = settings.mark_mask != 0 ? settings.mark_mask : kDefaultMarkMask;
  NodeLayout node{settings.pods_table != 0 ? settings.pods_table : kPodsTable,
                  TRY(MarkBits::make(mask)), settings.ipv4, settings.ipv6, settings.exclusive};
  node.pods_reach_metadata = settings.pods_reach_metadata;
  // Events first: what changes while we look is seen afterwards.
  auto monitor = TRY(kernel::Monitor::open({.links = true,
                                            .addresses = true,
                                            .routes = true,
                                            .rules = true,
                                            .neighbours = true,
                                            .filters = true}));
  auto nft_monitor = TRY(kernel::Monitor::open_nftables());
  std::unique_ptr<State> state(new State{node, settings.unmanaged,
                                         TRY(kernel::Socket::open(kernel::Protocol::Route)),
                                         TRY(kernel::Socket::open(kernel::Protocol::Netfilter)),
                                         std::move(monitor), std::move(nft_monitor)});
  const Actual actual = TRY(read_actual(state->route, state->netfilter, node.ipv4, node.ipv6));
  state->kernel_ipv6 = kernel::read_sysctl("net/ipv6/conf/all/forwarding").ok();
  recall_numbers(*state, actual);
  state->pods_monitor = TRY(kernel::Monitor::open({.filters = true, .everywhere = true}));
  TRY(open_fast_path(*state, settings));
  state->primary = find_primary(actual, {});
  state->links_marked =
      std::any_of(actual.links.begin(), actual.links.end(),
                  [](const kernel::Link& link) { return link.group == kDyingGroup; });
  Drift drift;
  TRY(set_forwarding(*state, drift));
  TRY(apply(*state, false, drift));
  return std::unique_ptr<Datapath>(new Datapath(std::move(state)));
}

Result<Drift> Datapath::resync(const Desired& desired, bool authoritative) {
  State& state = *state_;
  Drift drift;
  std::set<std::string> enis;
  for (const EniPlan& plan : desired.enis) {
    state.nics[plan.eni_id].plan = plan;
    enis.insert(plan.eni_id);
  }
  std::map<model::AttachmentKey, WiredPod> pods;
  if (!authoritative) pods = state.pods;
  for (const PodPlan& plan : desired.pods) {
    const auto known = state.pods.find(plan.key);
    WiredPod pod = known == state.pods.end() ? WiredPod{} : known->second;
    pod.plan = plan;
    pods[plan.key] = std::move(pod);
  }
  state.pods = std::move(pods);
  if (authoritative) {
    std::vector<std::string> gone;
    for (const auto& [id, nic] : state.nics) {
      if (!enis.contains(id)) gone.push_back(id);
    }
    for (const std::string& id : gone) {
      TRY(tear_down(id));
      drift.what.push_back(fmt::format("ENI {}: taken out of use", id));
      ++drift.links;
    }
  }
  TRY(set_forwarding(state, drift));
  const auto links = TRY(kernel::list_links(state.route));
  std::vector<std::string> refused;
  std::vector<std::string> usable;
  for (auto& [id, nic] : state.nics) {
    auto stepped = step_up(state, nic, links, drift);
    if (stepped.ok()) usable.push_back(id);
    if (stepped.is(Error::Kind::Invalid)) refused.push_back(id);
    // One ENI's trouble is no other's: what is not there yet comes with a later event.
    if (!stepped.ok()) drift.what.push_back(stepped.error().to_string());
  }
  for (const std::string& id : refused) state.nics.erase(id);
  if (authoritative) forget_numbers(state);
  recall_shapers(state, links);
  TRY(apply(state, authoritative, drift));
  const auto links_now = TRY(kernel::list_links(state.route));
  TRY(shape_all(state, links_now, authoritative, drift));
  for (const std::string& id : usable) state.nics[id].ready = true;
  return drift;
}

Result<> Datapath::set_bandwidth(const model::AttachmentKey& key,
                                 const model::Bandwidth& bandwidth) {
  const auto found = state_->pods.find(key);
  const bool wired =
      found != state_->pods.end() &&
      (found->second.ifindex != 0 || found->second.end || !found->second.plan.has_host_end());
  if (!wired) {
    return Error(Error::Kind::NotFound, fmt::format("pod {} is not wired here", key.to_string()));
  }
  found->second.plan.bandwidth = bandwidth;
  Drift drift;
  return shape(*state_, found->second, drift);
}

bool Datapath::is_ready(const std::string& eni_id) const {
  const auto found = state_->nics.find(eni_id);
  return found != state_->nics.end() && found->second.ready;
}

Result<std::vector<Datapath::Found>> Datapath::find_attachments() {
  std::vector<Found> found;
  const Actual actual =
      TRY(read_actual(state_->route, state_->netfilter, state_->node.ipv4, state_->node.ipv6));
  for (const kernel::Link& link : actual.links) {
    const auto key = key_of_alias(link.alias);
    if (!key || link.group != kPodGroup) continue;
    Found attachment{*key, link.name, {}};
    for (const kernel::Route& route : actual.routes) {
      if (route.table == state_->node.pods_table && route.oif == link.ifindex) {
        attachment.addresses.push_back(route.destination.address);
      }
    }
    found.push_back(std::move(attachment));
  }
  // Without a pair to the host's stack, the NIC in the pod is all that there is.
  for (const auto& [key, pod] : state_->pods) {
    const auto nic = state_->nics.find(pod.plan.eni_id);
    if (pod.plan.has_host_end() || nic == state_->nics.end()) continue;
    if (TRY(is_in_its_pod(*state_, nic->second))) found.push_back({key, "", pod.plan.addresses});
  }
  return found;
}

}  // namespace terway::datapath
