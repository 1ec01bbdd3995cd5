// SPDX-License-Identifier: Apache-2.0
#include "cloud/rate_limit.h"

#include <fmt/core.h>

#include <algorithm>

namespace terway::cloud {
namespace {

constexpr double kLeastShare = 1.0 / 16;
constexpr double kShareASecond = 1.0 / 32;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

const RateLimits& default_rate_limits() {
  static const RateLimits limits = {
      {"", 500},
      {"AttachNetworkInterface", 500},
      {"CreateNetworkInterface", 500},
      {"DeleteNetworkInterface", 500},
      {"DescribeNetworkInterfaces", 800},
      {"DescribeNetworkInterfaceAttribute", 2000},
      {"DetachNetworkInterface", 400},
      {"AssignPrivateIpAddresses", 400},
      {"UnassignPrivateIpAddresses", 400},
      {"AssignIpv6Addresses", 400},
      {"UnassignIpv6Addresses", 400},
      {"DescribeInstanceTypes", 400},
      {"DescribeVSwitches", 300},
  };
  return limits;
}

RateLimiter::RateLimiter(Clock& clock, const RateLimits& overrides) : clock_(clock) {
  RateLimits limits = default_rate_limits();
  for (const auto& [action, per_minute] : overrides) limits[action] = per_minute;
  for (const auto& [action, per_minute] : limits) {
    Bucket bucket;
    bucket.per_minute = std::max(per_minute, 1U);
    bucket.tokens = bucket.per_minute;
    bucket.filled_at = clock.now();
    buckets_.emplace(action, bucket);
  }
}

// An action without a limit of its own gets a bucket of its own with the common limit.
RateLimiter::Bucket& RateLimiter::bucket_of(std::string_view action) const {
  const auto found = buckets_.find(action);
  if (found != buckets_.end()) return found->second;
  Bucket bucket;
  bucket.per_minute = buckets_.find("")->second.per_minute;
  bucket.tokens = bucket.per_minute;
  bucket.filled_at = clock_.now();
  return buckets_.emplace(action, bucket).first->second;
}

void RateLimiter::fill(Bucket& bucket) const {
  const Instant now = clock_.now();
  const double passed = seconds(now - bucket.filled_at);
  bucket.filled_at = now;
  // The rate at the beginning of the time that has passed: too few tokens rather than too many.
  bucket.tokens =
      std::min(bucket.tokens + passed * bucket.per_minute * bucket.share / 60, bucket.per_minute);
  bucket.share = std::min(bucket.share + passed * kShareASecond, 1.0);
}

Result<> RateLimiter::acquire(std::string_view action, Duration max_wait) {
  Duration wait = Duration::zero();
  {
    const std::lock_guard lock(mutex_);
    Bucket& bucket = bucket_of(action);
    fill(bucket);
    const double missing = 1 - bucket.tokens;
    if (missing > 0) {
      const double needed = missing * 60 / (bucket.per_minute * bucket.share);
      if (needed > seconds(max_wait)) {
        return Error(
            Error::Kind::Throttled,
            fmt::format("{}: our own limit of {:.0f} calls a minute is used up; the next "
                        "one is free in {:.1f} s, the caller waits at most {:.1f} s",
                        action, bucket.per_minute * bucket.share, needed, seconds(max_wait)));
      }
      wait = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(needed));
    }
    bucket.tokens -= 1;
  }
  if (wait > Duration::zero()) clock_.sleep_for(wait);
  return Ok{};
}

void RateLimiter::throttled(std::string_view action) {
  const std::lock_guard lock(mutex_);
  Bucket& bucket = bucket_of(action);
  fill(bucket);
  const Instant now = clock_.now();
  // One storm of parallel calls is one piece of news.
  if (bucket.ever_throttled && now - bucket.last_throttled < std::chrono::seconds(1)) return;
  bucket.ever_throttled = true;
  bucket.last_throttled = now;
  bucket.share = std::max(bucket.share / 2, kLeastShare);
  bucket.tokens = std::min(bucket.tokens, 0.0);
}

double RateLimiter::rate(std::string_view action) const {
  const std::lock_guard lock(mutex_);
  Bucket& bucket = bucket_of(action);
  fill(bucket);
  return bucket.per_minute * bucket.share;
}

}  // namespace terway::cloud
