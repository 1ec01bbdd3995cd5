// SPDX-License-Identifier: Apache-2.0
// Pods with an ENI of their own. Its NIC waits in the node, down; goes into the pod's namespace,
// takes the interface's name there, and is back before a DEL is answered. If the namespace died
// first, the kernel brings a physical NIC back by itself (default_device_exit_net() in
// net/core/dev.c): it is found again by its MAC.
//
// Beside the NIC the pod has a pair to the host's stack, unless its configuration wants none:
// `veth1` in the pod, `cali…` on the node; the node's own addresses and what else is to go through
// the host's stack are routed by it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datapath/state.h"

namespace terway::datapath {

inline constexpr std::string_view kPeerIfname = "veth1";

// Whether the ENI is one pod's as a whole: as its pods were wired; without pods, the node's mode.
bool is_exclusive(const Datapath::State& state, const std::string& eni_id);

// The NIC's name in the node and its MAC, in its ifalias while it is in a pod.
std::string nic_alias(std::string_view own_name, const net::Mac& mac);

// Of step_up(). True if the NIC is in its pod, where it stays. Else, before it is looked for: a NIC
// that came back by itself gets the MAC that its pod took from it.
Result<bool> is_in_its_pod(Datapath::State& state, Nic& nic);
Result<> restore_mac(Datapath::State& state, const Nic& nic,
                     const std::vector<kernel::Link>& links);
bool knows_gateways(const Nic& nic);
// Down, under its own name, and nobody listens on it: as it waits for a pod. A NIC that is down
// moves at the cost of one grace period, one that is up takes two more.
Result<> put_away(Datapath::State& state, Nic& nic, Drift& drift);

// What add_pod() does in the pod's namespace, behind the node's side.
Result<> enter_exclusive(Datapath::State& state, WiredPod& pod, int netns);
// The NIC is in the node again, or nowhere (then the ENI is not ready any more). `netns`: -1 where
// the caller has none; then the pod's own by its path. Unavailable: it may still be in a namespace
// that cannot be seen from here. Success where there was nothing to do.
Result<> bring_home(Datapath::State& state, const PodPlan& pod, int netns);
// Of a resync: where the programs meet each such pod (WiredPod::end), and that they are there. What
// a pod has taken off its NIC is put back and counted as drift.
Result<> look_into_pods(Datapath::State& state, Drift& drift);
// Reads the events of pods' namespaces: true when something at the hooks of their NICs changed.
Result<bool> hears_of_pods(Datapath::State& state);
// Of CHECK: the pod's side. `host_end` is absent for a pod without the pair.
Result<> check_exclusive(Datapath::State& state, const WiredPod& pod,
                         const std::optional<kernel::Link>& host_end, int netns);

}  // namespace terway::datapath
