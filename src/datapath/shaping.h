// SPDX-License-Identifier: Apache-2.0
// How one limited direction of a pod comes to pass a token bucket, on the node or in the pod's
// namespace: the machinery behind shaper.h, private to its files.
#pragma once

#include <array>
#include <optional>

#include "datapath/state.h"
#include "kernel/filter.h"
#include "kernel/token_bucket.h"

namespace terway::datapath {

struct Direction {
  std::string_view name;
  std::string_view prefix;      // of the device's name
  std::string_view far_prefix;  // of the pair's other end
  kernel::Hook hook;            // of the host end, where it passes
  std::uint64_t model::Bandwidth::* limit;
  int WiredPod::* shaper;
};
inline constexpr std::array<Direction, 2> kDirections = {{
    {"egress", "bwe", "bwf", kernel::Hook::Ingress, &model::Bandwidth::egress,
     &WiredPod::egress_shaper},
    {"ingress", "bwi", "bwj", kernel::Hook::Egress, &model::Bandwidth::ingress,
     &WiredPod::ingress_shaper},
}};

// What is there: the devices with a bucket, and the buckets.
struct Seen {
  bool fresh = false;  // nothing, of a pod that is new
  std::vector<kernel::Link> links;
  std::vector<kernel::TokenBucketOf> buckets;

  const kernel::Link* link(int ifindex) const;
  bool waits(int ifindex) const;
  std::optional<kernel::TokenBucket> bucket(int ifindex) const;
};
std::vector<kernel::Link> shapers_of(const std::vector<kernel::Link>& links);
Result<Seen> look(kernel::Socket& socket);

// Where a pod's limits are made: on the node, or in the namespace of a pod whose NIC is there.
struct Place {
  kernel::Socket& socket;
  bool by_programs = false;  // pairs and the pod's entry, else ifbs and detours
  std::set<int>& unused;     // takes what is of no use any more
};

// Both directions of one pod. `pod.ifindex`: the link at whose hooks detours are.
Result<> shape_with(Datapath::State& state, const Place& place, WiredPod& pod, const Seen& seen,
                    Drift& drift);

// At the NIC of a pod that has one of its own.
Result<> shape_inside(Datapath::State& state, const WiredPod& pod, Drift& drift);

}  // namespace terway::datapath
