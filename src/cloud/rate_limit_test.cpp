// SPDX-License-Identifier: Apache-2.0
#include "cloud/rate_limit.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "cloud/backoff.h"

using namespace terway;
using namespace terway::cloud;
using namespace std::chrono_literals;

namespace {
double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
}  // namespace

TEST_CASE("a minute's calls are there at once, then they come evenly") {
  ManualClock clock;
  RateLimiter limiter(clock, {{"Act", 60}});
  const Instant start = clock.now();
  for (int i = 0; i < 60; ++i) REQUIRE(limiter.acquire("Act", 0s).ok());
  CHECK(clock.now() == start);
  CHECK(limiter.acquire("Act", 500ms).is(Error::Kind::Throttled));
  CHECK(clock.now() == start);
  REQUIRE(limiter.acquire("Act", 2s).ok());
  CHECK(seconds(clock.now() - start) == doctest::Approx(1.0));
  clock.advance(10s);
  for (int i = 0; i < 10; ++i) REQUIRE(limiter.acquire("Act", 1ms).ok());
  CHECK(limiter.acquire("Act", 1ms).is(Error::Kind::Throttled));
}

TEST_CASE("actions do not spend each other's calls, unnamed ones have the common limit each") {
  ManualClock clock;
  RateLimiter limiter(clock, {{"", 2}, {"Named", 1}});
  CHECK(limiter.acquire("Named", 0s).ok());
  CHECK(!limiter.acquire("Named", 0s).ok());
  for (const char* other : {"One", "Two"}) {
    CHECK(limiter.acquire(other, 0s).ok());
    CHECK(limiter.acquire(other, 0s).ok());
    CHECK(!limiter.acquire(other, 0s).ok());
  }
}

TEST_CASE("the defaults are those of the OpenAPI client that we replace") {
  ManualClock clock;
  const RateLimiter limiter(clock);
  CHECK(limiter.rate("AssignPrivateIpAddresses") == 400);
  CHECK(limiter.rate("DescribeNetworkInterfaces") == 800);
  CHECK(limiter.rate("DescribeVSwitches") == 300);
  CHECK(limiter.rate("CreateNetworkInterface") == 500);
  CHECK(limiter.rate("SomethingElse") == 500);
}

TEST_CASE("throttling halves the rate, once a second, and it grows back") {
  ManualClock clock;
  RateLimiter limiter(clock, {{"Act", 600}});
  limiter.throttled("Act");
  limiter.throttled("Act");
  CHECK(limiter.rate("Act") == doctest::Approx(300));
  CHECK(limiter.acquire("Act", 0s).is(Error::Kind::Throttled));
  for (int i = 0; i < 20; ++i) {
    clock.advance(1s);
    limiter.throttled("Act");
  }
  CHECK(limiter.rate("Act") == doctest::Approx(600.0 / 16).epsilon(0.6));
  clock.advance(31s);
  CHECK(limiter.rate("Act") == doctest::Approx(600));
  CHECK(limiter.rate("Other") == 500);
}

TEST_CASE("many threads together get no more than the bucket holds") {
  SystemClock clock;
  RateLimiter limiter(clock, {{"Act", 100}});
  std::atomic<int> granted = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) granted += limiter.acquire("Act", 0s).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(granted >= 100);
  CHECK(granted <= 102);
}

TEST_CASE("the wait after a failure is anything up to a ceiling that doubles until it is long") {
  const Backoff backoff{.first = 100ms, .longest = 2s, .factor = 2.0};
  CHECK(backoff.ceiling(0) == 0s);
  CHECK(backoff.ceiling(1) == 100ms);
  CHECK(backoff.ceiling(2) == 200ms);
  CHECK(backoff.ceiling(5) == 1600ms);
  CHECK(backoff.ceiling(6) == 2s);
  CHECK(backoff.ceiling(4000000000) == 2s);
  Random random(1);
  double sum = 0;
  for (int i = 0; i < 1000; ++i) {
    const Duration delay = backoff.delay(6, random);
    REQUIRE(delay >= 0s);
    REQUIRE(delay < 2s);
    sum += seconds(delay);
  }
  CHECK(sum / 1000 == doctest::Approx(1.0).epsilon(0.1));
}
