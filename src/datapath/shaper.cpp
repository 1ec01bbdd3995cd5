// SPDX-License-Identifier: Apache-2.0
#include "datapath/shaper.h"

#include <linux/pkt_sched.h>

#include <algorithm>
#include <optional>

#include "datapath/names.h"
#include "datapath/programs.h"
#include "datapath/shaping.h"

namespace terway::datapath {

namespace {

// What the pod sends and receives passes the node: by its host end, or, of IPVLAN, the programs.
bool passes_node(const Datapath::State& state, const WiredPod& pod) {
  const bool ipvlan = pod.plan.mode == model::NetworkMode::Ipvlan;
  return pod.ifindex != 0 || (ipvlan && state.fast_path && pod.end);
}

Place node_of(Datapath::State& state, const WiredPod& pod) {
  return {state.route, state.fast_path && pod.end, state.draining};
}

// Of skb->priority, by the bands that pfifo_fast and prio give it by default (prio2band in
// net/sched/sch_generic.c): first, middle, last. Not 0 for the middle: that is "as it is", and a
// pod may ask for another with SO_PRIORITY.
std::uint32_t priority_of(model::NetworkPriority priority) {
  switch (priority) {
    case model::NetworkPriority::None:
      break;
    case model::NetworkPriority::Guaranteed:
      return TC_PRIO_INTERACTIVE;
    case model::NetworkPriority::Burstable:
      return TC_PRIO_CONTROL + 1;
    case model::NetworkPriority::BestEffort:
      return TC_PRIO_BULK;
  }
  return 0;
}

bool is_exclusive(const WiredPod& pod) { return pod.plan.mode == model::NetworkMode::Exclusive; }

}  // namespace

Result<> shape_new(Datapath::State& state, WiredPod& pod) {
  if (pod.plan.bandwidth == model::Bandwidth{} || !passes_node(state, pod)) return Ok{};
  Seen nothing;
  nothing.fresh = true;
  Drift drift;
  return shape_with(state, node_of(state, pod), pod, nothing, drift);
}

Result<> shape(Datapath::State& state, WiredPod& pod, Drift& drift) {
  if (passes_node(state, pod)) {
    const Seen seen = TRY(look(state.route));
    TRY(shape_with(state, node_of(state, pod), pod, seen, drift));
  }
  if (!is_exclusive(pod)) return Ok{};
  if (pod.end) TRY(state.fast_path->write_pod(pod_entry(state, pod)));
  return shape_inside(state, pod, drift);
}

void recall_shapers(Datapath::State& state, const std::vector<kernel::Link>& links) {
  if (!state.fast_path) return;
  for (const kernel::Link& link : shapers_of(links)) {
    const auto key = key_of_alias(link.alias);
    const auto pod = key ? state.pods.find(*key) : state.pods.end();
    if (pod == state.pods.end() || link.kind != "veth") continue;
    for (const Direction& direction : kDirections) {
      int& shaper = pod->second.*direction.shaper;
      if (shaper == 0 && link.name.starts_with(direction.prefix)) shaper = link.ifindex;
    }
  }
}

Result<> shape_all(Datapath::State& state, const std::vector<kernel::Link>& links, bool prune,
                   Drift& drift) {
  Seen seen;
  seen.links = shapers_of(links);
  std::set<model::AttachmentKey> had;
  std::set<int> unused;
  for (const kernel::Link& link : seen.links) {
    unused.insert(link.ifindex);
    if (const auto key = key_of_alias(link.alias)) had.insert(*key);
  }
  std::optional<Error> failure;
  bool looked = false;
  for (auto& [key, pod] : state.pods) {
    const bool limited = pod.plan.bandwidth != model::Bandwidth{};
    // One pod's trouble is no other's.
    const auto keep = [&](Result<> shaped) {
      if (!shaped.ok() && !failure) failure = shaped.take_error();
    };
    if (is_exclusive(pod) && limited) {
      auto inside = shape_inside(state, pod, drift);
      if (!inside.is(Error::Kind::NotFound)) keep(std::move(inside));  // it is gone already
    }
    if (!passes_node(state, pod) || (!limited && !had.contains(key))) continue;
    if (!std::exchange(looked, true)) {
      seen.buckets = TRY(kernel::list_token_buckets(state.route));
    }
    keep(shape_with(state, node_of(state, pod), pod, seen, drift));
    unused.erase(pod.egress_shaper);
    unused.erase(pod.ingress_shaper);
  }
  if (prune) state.draining.insert(unused.begin(), unused.end());
  if (failure) return std::move(*failure);
  return Ok{};
}

void say_limits(const WiredPod& pod, PodEnd& end) {
  end.priority = priority_of(pod.plan.priority);
  end.shaper_egress = pod.egress_shaper;
  end.shaper_ingress = pod.ingress_shaper;
  end.flags &=
      static_cast<std::uint16_t>(~(abi::ENDPOINT_SHAPED_EGRESS | abi::ENDPOINT_SHAPED_INGRESS));
  // On an ENI of its own a limited pod has more to pass behind the programs, also where no host end
  // needs a device.
  const bool nic_only = is_exclusive(pod) && pod.ifindex == 0;
  if (end.shaper_egress != 0 || (nic_only && pod.plan.bandwidth.egress != 0)) {
    end.flags |= abi::ENDPOINT_SHAPED_EGRESS;
  }
  if (end.shaper_ingress != 0 || (nic_only && pod.plan.bandwidth.ingress != 0)) {
    end.flags |= abi::ENDPOINT_SHAPED_INGRESS;
  }
}

void drop_shapers(const WiredPod& pod, std::vector<kernel::Message>& messages) {
  kernel::LinkChange dying;
  dying.group = kDyingGroup;
  for (const int shaper : {pod.egress_shaper, pod.ingress_shaper}) {
    if (shaper != 0) messages.push_back(kernel::change_link(shaper, dying));
  }
}

Result<> mark_drained(Datapath::State& state) {
  Seen seen;
  seen.buckets = TRY(kernel::list_token_buckets(state.route));
  std::vector<kernel::Message> messages;
  kernel::LinkChange dying;
  dying.group = kDyingGroup;
  std::erase_if(state.draining, [&](int ifindex) {
    const bool waiting = seen.waits(ifindex);
    if (!waiting) messages.push_back(kernel::change_link(ifindex, dying));
    return !waiting;
  });
  if (messages.empty()) return Ok{};
  state.links_marked = true;
  for (auto& result : TRY(state.route.batch(messages))) {
    if (!result.ok() && !result.is(Error::Kind::NotFound)) return result.take_error();
  }
  return Ok{};
}

}  // namespace terway::datapath
