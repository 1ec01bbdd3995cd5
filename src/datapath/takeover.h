// SPDX-License-Identifier: Apache-2.0
// What the Go implementation leaves on a node: two rules a pod, a route in the main table, links
// named by namespace and pod. Recognised, used where the pod is known, removed where it is not.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "datapath/actual.h"
#include "datapath/datapath.h"
#include "kernel/socket.h"
#include "model/pod.h"

namespace terway::datapath {

// `512: to <pod> lookup main` and `2048: from <pod> lookup 1000+…`, made by nobody who says who.
std::vector<kernel::Rule> upstream_rules(const Actual& actual);

// The host end of a pod: the link whose alias says so, else the one with our name or upstream's and
// no owner written on it. Never one that waits for its deletion. nullptr when there is none.
const kernel::Link* find_host_end(const Actual& actual, const model::AttachmentKey& key,
                                  const model::Pod& pod);

struct Removal {
  kernel::Message message;
  std::string what;
};
// Once ours is in place: upstream's rules, its routes of pods in the main table and in tables of
// our NICs, and its links of pods that are nobody's (to be deleted with the others).
std::vector<Removal> sweep_upstream(const Actual& actual, Datapath::State& state);

}  // namespace terway::datapath
