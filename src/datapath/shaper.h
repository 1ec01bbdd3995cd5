// SPDX-License-Identifier: Apache-2.0
// A pod's bandwidth limits in the kernel. What is limited takes a detour through an ifb of its own,
// whose root qdisc is a token bucket, and comes back to where it was:
//
//   pod sends     host end, clsact ingress: programs, detour ─▶ bwe… (bucket) ─▶ host's stack
//   pod receives  host end, clsact egress:  programs, detour ─▶ bwi… (bucket) ─▶ the pod's end
//
// So it holds whatever way a packet comes or goes, with programs and without, and a limit that
// comes, changes or goes loses nothing: a detour is made and replaced in one step, and a bucket
// that no detour leads to any more is deleted when it is empty.
#pragma once

#include "datapath/state.h"

namespace terway::datapath {

// Makes the limits of the pod's host end those of its plan, by read, diff, write. `pod.ifindex` is
// a link of this node.
Result<> shape(Datapath::State& state, WiredPod& pod, Drift& drift);

// For a resync: the same for all pods that have limits or had them, and buckets of nobody are taken
// out of use (`prune`).
Result<> shape_all(Datapath::State& state, const std::vector<kernel::Link>& links, bool prune,
                   Drift& drift);

// Of a pod that goes: at once, with what waits.
void drop_shapers(const WiredPod& pod, std::vector<kernel::Message>& messages);

// Marks unused buckets that are empty now for deletion.
Result<> mark_drained(Datapath::State& state);

}  // namespace terway::datapath
