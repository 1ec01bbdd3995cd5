// SPDX-License-Identifier: Apache-2.0
#include "model/bandwidth.h"

#include <doctest/doctest.h>

namespace terway::model {
namespace {

TEST_CASE("rates are read as people and Kubernetes write them") {
  struct Row {
    const char* text;
    std::uint64_t bits;
  };
  const Row rows[] = {{"10M", 10'000'000},
                      {"1.5G", 1'500'000'000},
                      {"800k", 800'000},
                      {"4Mi", 4'194'304},
                      {"12500000", 12'500'000},
                      {"none", 0},
                      {"unlimited", 0},
                      {"0", 0},
                      {"1k", 1'000},
                      {"1P", 1'000'000'000'000'000},
                      {"5G", 5'000'000'000},
                      {"1000bit", 1'000}};
  for (const Row& row : rows) {
    const auto rate = parse_rate(row.text);
    REQUIRE_MESSAGE(rate.ok(), row.text);
    CHECK_MESSAGE(*rate == row.bits, row.text);
  }
}

TEST_CASE("what is no rate is refused with its value and with what is allowed") {
  for (const char* text :
       {"", "fast", "10X", "-5M", "999", "2P", "10 M", "nan", "1e6", "M", "10MB"}) {
    const auto rate = parse_rate(text);
    REQUIRE_FALSE_MESSAGE(rate.ok(), text);
    CHECK(rate.is(Error::Kind::Invalid));
    CHECK(rate.error().message().find(std::string("\"") + text + "\"") != std::string::npos);
    CHECK(rate.error().message().find("1k to 1P") != std::string::npos);
  }
}

TEST_CASE("a rate that is written is read back the same") {
  for (const std::uint64_t bits :
       {0ULL, 1'000ULL, 1'234'567ULL, 10'000'000ULL, 2'500'000'000ULL, 1'000'000'000'000'000ULL}) {
    const auto back = parse_rate(rate_text(bits));
    REQUIRE(back.ok());
    CHECK(*back == bits);
  }
  CHECK(rate_text(10'000'000) == "10M");
}

TEST_CASE("only none and what is within the bounds is no problem") {
  CHECK_FALSE(rate_problem(0));
  CHECK_FALSE(rate_problem(kLeastRate));
  CHECK_FALSE(rate_problem(kMostRate));
  CHECK(rate_problem(kLeastRate - 1)->find("999 is not allowed") == 0);
  CHECK(rate_problem(kMostRate + 1));
}

}  // namespace
}  // namespace terway::model
