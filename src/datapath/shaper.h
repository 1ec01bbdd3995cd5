// SPDX-License-Identifier: Apache-2.0
// A pod's bandwidth limits in the kernel: each limited direction has a device of its own, whose
// root qdisc is a token bucket, and which the direction's packets pass, whatever way they come and
// go.
//
// Where programs carry the pod it is the near end of a pair. They judge a packet, send it by the
// pair, and the program at the far end (shaper_exit) sends it on:
//
//   pod sends     host end, pod_egress ─▶ bwe…│bwf… ─▶ ENI, another pod, or the host's stack
//   pod receives  ENI, pod or stack    ─▶ bwi…│bwj… ─▶ the pod's end
//
// Without programs it is an ifb, which what passes the host end takes a detour through, to come
// back to where it was (kernel/detour.h):
//
//   pod sends     host end, clsact ingress ─▶ bwe… ─▶ host's stack
//   pod receives  host end, clsact egress  ─▶ bwi… ─▶ the pod's end
//
// A pod with an ENI of its own has the second kind in its namespace too, at the hooks of its NIC
// (there the pod is within reach of it), and the first kind for what goes by its host end.
//
// A limit that comes, changes or goes loses nothing: the way through another device is made in one
// step, and one that no way leads through any more is deleted when it is empty.
#pragma once

#include "datapath/state.h"

namespace terway::datapath {

// The limits of a pod whose link is new: nothing of it is there yet.
Result<> shape_new(Datapath::State& state, WiredPod& pod);
// The same at the NIC of a pod that has one of its own, once that is in the pod.
Result<> shape_new_inside(Datapath::State& state, const WiredPod& pod);
// Makes the limits of a wired pod those of its plan, by read, diff, write.
Result<> shape(Datapath::State& state, WiredPod& pod, Drift& drift);

// For a resync, first: which devices pods have from an earlier life of the daemon, so that their
// entries say so from the beginning.
void recall_shapers(Datapath::State& state, const std::vector<kernel::Link>& links);
// … and last: the limits of all pods; devices of nobody are taken out of use (`prune`).
Result<> shape_all(Datapath::State& state, const std::vector<kernel::Link>& links, bool prune,
                   Drift& drift);

// What the programs are told: devices, and the priority of what leaves by an ENI.
void say_limits(const WiredPod& pod, PodEnd& end);

// Of a pod that goes: at once, with what waits.
void drop_shapers(const WiredPod& pod, std::vector<kernel::Message>& messages);

// Marks unused devices that are empty now for deletion.
Result<> mark_drained(Datapath::State& state);

}  // namespace terway::datapath
