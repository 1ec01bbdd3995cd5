// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <set>
#include <vector>

using namespace terway;

TEST_CASE("one seed gives one sequence, and the kernel's seeds differ") {
  Random one(42);
  Random again(42);
  Random other(43);
  std::set<std::string> kernel;
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t value = one.below(1'000'000);
    CHECK(value == again.below(1'000'000));
    differs = differs || value != other.below(1'000'000);
    CHECK(kernel.insert(Random::from_system().uuid()).second);
  }
  CHECK(differs);
}

TEST_CASE("below() reaches every value under its bound and none beyond; unit() stays under 1") {
  Random random(1);
  std::vector<int> hits(7, 0);
  double least = 1;
  double most = 0;
  for (int i = 0; i < 70'000; ++i) {
    const std::uint64_t value = random.below(hits.size());
    REQUIRE(value < hits.size());
    ++hits[value];
    const double unit = random.unit();
    least = std::min(least, unit);
    most = std::max(most, unit);
  }
  // Ten standard deviations (of 93) around 10,000.
  for (const int count : hits) CHECK(std::abs(count - 10'000) < 930);
  CHECK(least >= 0);
  CHECK(least < 0.01);
  CHECK(most < 1);
  CHECK(most > 0.99);
  CHECK(random.below(1) == 0);
}

TEST_CASE("uuid() has the form of RFC 4122, version 4, variant 1, and does not repeat") {
  Random random(7);
  const std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    const std::string uuid = random.uuid();
    if (i < 100) CHECK(std::regex_match(uuid, form));
    CHECK(seen.insert(uuid).second);
  }
}
