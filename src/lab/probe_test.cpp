// SPDX-License-Identifier: Apache-2.0
#include "lab/probe.h"

#include <doctest/doctest.h>

using namespace terway;
using namespace terway::lab;

TEST_CASE("targets read back as they are written") {
  for (const char* text : {"10.0.0.1:80/tcp", "10.0.0.1:53/udp", "10.0.0.1/icmp",
                           "[fd00::1]:80/tcp", "fd00::1/icmp"}) {
    const auto target = parse_target(text);
    REQUIRE(target.ok());
    CHECK(target->to_string() == text);
  }
}

TEST_CASE("what is no target is refused with the forms that are") {
  for (const char* text : {"", "10.0.0.1", "10.0.0.1:80", "10.0.0.1/tcp", "10.0.0.1:0/tcp",
                           "10.0.0.1:65536/udp", "10.0.0.1:80/sctp", "host:80/tcp"}) {
    CAPTURE(text);
    const auto target = parse_target(text);
    REQUIRE(target.is(Error::Kind::Invalid));
    CHECK(target.error().message().find("ADDR:PORT/tcp") != std::string::npos);
  }
}
