// SPDX-License-Identifier: Apache-2.0
// When a thing that failed may be tried again: exponential, with full jitter, so that many nodes
// that failed together do not come back together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/random.h"

namespace terway::ipam {

class Backoff {
 public:
  Backoff(Duration base, Duration cap) : base_(base), cap_(cap) {}

  // Next time: uniform in (0, min(cap, base * 2^failures)], and no sooner than a tenth of that.
  void fail(Instant now, Random& random) {
    const std::uint32_t doublings = std::min<std::uint32_t>(failures_, 20);
    const auto ceiling =
        static_cast<double>(std::min<Duration::rep>(cap_.count(), base_.count() << doublings));
    const double share = 0.1 + 0.9 * random.unit();
    until_ = now + Duration(static_cast<Duration::rep>(ceiling * share));
    ++failures_;
  }
  void succeed() {
    failures_ = 0;
    until_ = {};
  }
  // Forget the wait, keep the count.
  void hurry() { until_ = {}; }

  bool over(Instant now) const { return now >= until_; }
  Instant until() const { return until_; }
  std::uint32_t failures() const { return failures_; }

 private:
  Duration base_;
  Duration cap_;
  Instant until_{};
  std::uint32_t failures_ = 0;
};

// The earliest of many instants at which something is to be looked at again.
class Alarm {
 public:
  void at(Instant instant) {
    if (!earliest_ || instant < *earliest_) earliest_ = instant;
  }
  std::optional<Instant> earliest() const { return earliest_; }

 private:
  std::optional<Instant> earliest_;
};

}  // namespace terway::ipam
