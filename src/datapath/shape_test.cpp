// SPDX-License-Identifier: Apache-2.0
#include "datapath/shape.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace terway::datapath {
namespace {

TEST_CASE("a bucket earns the rate, keeps 10 ms of it, and lets 25 ms wait") {
  const kernel::TokenBucket bucket = shape_of(1'000'000'000, 1500);
  CHECK(bucket.rate == 125'000'000);
  CHECK(bucket.burst == 1'250'000);
  CHECK(bucket.limit == 3'125'000 + 1'250'000);
}

TEST_CASE("at low rates a bucket holds two frames, and sixteen may wait") {
  const kernel::TokenBucket bucket = shape_of(1'000'000, 1500);
  CHECK(bucket.rate == 125'000);
  CHECK(bucket.burst == 2 * 1514);
  CHECK(bucket.limit == 18 * 1514);
  CHECK(shape_of(1'000'000, 8500).burst == 2 * 8514);
}

TEST_CASE("beyond 5 Gbit/s too: what does not fit 32 bits of a rate does of a bucket") {
  const kernel::TokenBucket bucket = shape_of(100'000'000'000, 1500);
  CHECK(bucket.rate == 12'500'000'000);
  CHECK(bucket.burst == 125'000'000);
  CHECK(shape_of(1'000'000'000'000'000, 1500).burst == 0xffffffff);
}

TEST_CASE("whatever the rate: a frame fits, a burst is no more than promised, and more waits") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t bits = 1'000 + random() % (1ULL << (10 + random() % 26));
    const auto mtu = static_cast<std::uint32_t>(576 + random() % 9000);
    const kernel::TokenBucket bucket = shape_of(bits, mtu);
    CHECK(bucket.burst >= mtu + 14);
    CHECK(bucket.burst <= std::max<std::uint64_t>(bits / 800, 2 * (mtu + 14)));
    CHECK(bucket.limit > bucket.burst);
    // What grows with the rate, so that a larger rate may take over a smaller one's queue.
    const kernel::TokenBucket more = shape_of(bits + random() % bits, mtu);
    CHECK(more.burst >= bucket.burst);
    CHECK(more.limit >= bucket.limit);
  }
}

}  // namespace
}  // namespace terway::datapath
