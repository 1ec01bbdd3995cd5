// SPDX-License-Identifier: Apache-2.0
// The limits of a pod whose NIC is in its namespace.
#include "datapath/exclusive_inside.h"
#include "datapath/shaper.h"
#include "datapath/shaping.h"

namespace terway::datapath {

// A pod's own NIC, in its namespace. The pod can take the limits off with NET_ADMIN, as it can the
// programs; they come back with the next resync.
Result<> shape_inside(Datapath::State& state, const WiredPod& pod, Drift& drift) {
  const UniqueFd netns = TRY(open_netns_of(pod.plan));
  auto inner = TRY(kernel::Socket::open_in(netns.get(), kernel::Protocol::Route));
  const auto links = TRY(find_inner(inner, pod.plan.nic_mac));
  if (!links) return Ok{};
  std::set<int> unused;
  const Place place{inner, false, unused};
  WiredPod inside;
  inside.plan = pod.plan;
  inside.ifindex = links->nic.ifindex;
  const Seen seen = TRY(look(inner));
  TRY(shape_with(state, place, inside, seen, drift));
  // What is not used since an earlier look, once it is empty.
  for (const kernel::Link& link : seen.links) {
    const bool used = link.ifindex == inside.egress_shaper || link.ifindex == inside.ingress_shaper;
    if (used || unused.contains(link.ifindex) || seen.waits(link.ifindex)) continue;
    TRY(inner.request(kernel::delete_link(link.ifindex)));
  }
  return Ok{};
}

Result<> shape_new_inside(Datapath::State& state, const WiredPod& pod) {
  if (pod.plan.bandwidth == model::Bandwidth{}) return Ok{};
  Drift drift;
  return shape_inside(state, pod, drift);
}

}  // namespace terway::datapath
