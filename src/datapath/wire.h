// SPDX-License-Identifier: Apache-2.0
// What is written inside a pod's namespace.
#pragma once

#include <string>
#include <vector>

#include "datapath/plan.h"
#include "kernel/route.h"

namespace terway::datapath {

// In the order in which they must be made: the gateway's own route before what goes through it.
std::vector<kernel::Route> inner_routes(const PodPlan& pod, int ifindex);

}  // namespace terway::datapath
