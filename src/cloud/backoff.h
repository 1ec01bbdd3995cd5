// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next attempt.
#pragma once

#include "base/clock.h"
#include "base/random.h"

namespace terway::cloud {

struct Backoff {
  Duration first = std::chrono::milliseconds(500);  // the most that is waited after one failure
  Duration longest = std::chrono::seconds(30);
  double factor = 2.0;

  // The most that is waited after `failures` failures in a row (0: nothing).
  Duration ceiling(unsigned failures) const;
  // Full jitter: uniform between zero and the ceiling, so that clients which failed together do
  // not come back together. Pure but for `random`.
  Duration delay(unsigned failures, Random& random) const;
};

}  // namespace terway::cloud
