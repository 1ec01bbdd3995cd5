// SPDX-License-Identifier: Apache-2.0
// Flow control: one token bucket for each action of the account.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "vpcsim/settings.h"

namespace terway::vpcsim {

// Calls a minute that an action may have where the settings do not say otherwise.
std::uint32_t default_calls_per_minute(std::string_view action);
std::uint32_t calls_per_minute(const Settings& settings, std::string_view action);

// A bucket refills evenly and holds a minute's calls, for the limits are those of a minute: a burst
// passes that a minute could hold. For one thread.
class Throttle {
 public:
  // False: too fast; nothing is taken.
  bool admit(const Settings& settings, std::string_view action, Instant now);

 private:
  struct Bucket {
    double tokens = 0;
    Instant filled{};
  };
  std::map<std::string, Bucket, std::less<>> buckets_;
};

}  // namespace terway::vpcsim
