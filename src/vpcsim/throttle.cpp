// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/throttle.h"

#include <algorithm>

namespace terway::vpcsim {

std::uint32_t default_calls_per_minute(std::string_view action) {
  struct Limit {
    std::string_view action;
    std::uint32_t calls;
  };
  static constexpr Limit kLimits[] = {
      {"DescribeNetworkInterfaces", 800},  {"DescribeNetworkInterfaceAttribute", 2000},
      {"DetachNetworkInterface", 400},     {"AssignPrivateIpAddresses", 400},
      {"UnassignPrivateIpAddresses", 400}, {"AssignIpv6Addresses", 400},
      {"UnassignIpv6Addresses", 400},      {"DescribeInstanceTypes", 400},
      {"DescribeVSwitches", 300},
  };
  for (const Limit& limit : kLimits) {
    if (limit.action == action) return limit.calls;
  }
  return 500;
}

std::uint32_t calls_per_minute(const Settings& settings, std::string_view action) {
  const auto set = settings.calls_per_minute.find(action);
  return set == settings.calls_per_minute.end() ? default_calls_per_minute(action) : set->second;
}

bool Throttle::admit(const Settings& settings, std::string_view action, Instant now) {
  if (!settings.throttle) return true;
  const double per_minute = calls_per_minute(settings, action);
  const auto found = buckets_.find(action);
  Bucket& bucket = found != buckets_.end()
                       ? found->second
                       : buckets_.emplace(action, Bucket{per_minute, now}).first->second;
  const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
  bucket.tokens = std::min(per_minute, bucket.tokens + seconds * per_minute / 60);
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

}  // namespace terway::vpcsim
