// SPDX-License-Identifier: Apache-2.0
// The fast path in the datapath's order of things: when it is opened, what of a resync is its.
#pragma once

#include "datapath/state.h"

namespace terway::datapath {

// Loads the programs, or says in state.fast_path_status why policy routing carries everything. An
// Error only where the settings want programs and nothing else (FastPathMode::Bpf).
Result<> open_fast_path(Datapath::State& state, const Settings& settings);

// The veth pod's end, on the host end `link`; the rest of pod.end stays as it is. Nothing without
// a fast path, or where the MAC of the pod's interface is not known.
void say_veth_end(Datapath::State& state, const model::AttachmentKey& key, WiredPod& pod,
                  const kernel::Link& link);

// What the programs are told of a pod that has an end.
PodEntry pod_entry(Datapath::State& state, const WiredPod& pod);

// Entries, then programs of pods, then of ENIs; without a fast path: takes ours off the links.
// Programs come to an ENI that had none only once all pods are known (`prune` was true once): until
// then they would drop what they do not know.
Result<> apply_fast_path(Datapath::State& state, const Actual& actual, bool prune, Drift& drift);

}  // namespace terway::datapath
