// SPDX-License-Identifier: Apache-2.0
// What the programs add to the wiring of a pod.
#pragma once

#include "base/result.h"

namespace terway::bench {

struct Attaching {
  double stack_ms = 0;      // p50 of add_pod() without programs
  double fast_path_ms = 0;  // and with them
  double ms() const { return fast_path_ms - stack_ms; }
};

// Pods are wired on two nodes in turn, one of which has the programs.
Result<Attaching> measure_attaching();

}  // namespace terway::bench
