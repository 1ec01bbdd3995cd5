// SPDX-License-Identifier: Apache-2.0
// How fast the OpenAPI may be asked: one token bucket per action.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace terway::cloud {

// Calls a minute by action (config key rate_limit); "" is for every action that is not named.
using RateLimits = std::map<std::string, unsigned, std::less<>>;
const RateLimits& default_rate_limits();

// Shared by all clients of one account; any thread. A bucket holds a minute's calls and fills
// evenly. When the cloud throttles an action all the same (others spend the same quota), its bucket
// is emptied and its rate halved, at most once a second and to no less than a sixteenth; without
// further throttling the rate grows back by a sixteenth every two seconds.
class RateLimiter {
 public:
  // `overrides` replace defaults of the same name. The clock must outlive the limiter.
  explicit RateLimiter(Clock& clock, const RateLimits& overrides = {});

  // Takes one token, sleeping until there is one. Throttled, without sleeping and without taking
  // one, where that would be longer than `max_wait`.
  Result<> acquire(std::string_view action, Duration max_wait);
  // The cloud answered that this action was asked too fast.
  void throttled(std::string_view action);

  // Calls a minute at this moment.
  double rate(std::string_view action) const;

 private:
  struct Bucket {
    double per_minute = 0;
    double share = 1;   // of per_minute, while throttled
    double tokens = 0;  // below zero: taken in advance by sleepers
    Instant filled_at{};
    Instant last_throttled{};
    bool ever_throttled = false;
  };
  Bucket& bucket_of(std::string_view action) const;
  void fill(Bucket& bucket) const;

  Clock& clock_;
  mutable std::mutex mutex_;  // guards buckets_
  mutable std::map<std::string, Bucket, std::less<>> buckets_;
};

}  // namespace terway::cloud
