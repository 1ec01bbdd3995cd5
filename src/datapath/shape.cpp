// SPDX-License-Identifier: Apache-2.0
#include "datapath/shape.h"

#include <algorithm>
#include <limits>

namespace terway::datapath {

namespace {

constexpr std::uint64_t kFrameHeader = 14;       // Ethernet
constexpr std::uint64_t kBurstsPerSecond = 100;  // 10 ms
constexpr std::uint64_t kWaitsPerSecond = 40;    // 25 ms
constexpr std::uint64_t kFramesAtOnce = 2;
constexpr std::uint64_t kFramesWaiting = 16;

std::uint32_t fit(std::uint64_t bytes) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(bytes, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

kernel::TokenBucket shape_of(std::uint64_t bits_per_second, std::uint32_t mtu) {
  const std::uint64_t frame = mtu + kFrameHeader;
  kernel::TokenBucket bucket;
  bucket.rate = std::max<std::uint64_t>(bits_per_second / 8, 1);
  bucket.burst = fit(std::max(bucket.rate / kBurstsPerSecond, kFramesAtOnce * frame));
  bucket.limit =
      fit(std::max(bucket.rate / kWaitsPerSecond, kFramesWaiting * frame) + bucket.burst);
  return bucket;
}

}  // namespace terway::datapath
