// SPDX-License-Identifier: Apache-2.0
#include "net/address.h"

#include <doctest/doctest.h>

using namespace terway::net;

TEST_CASE("addresses read back as they are written") {
  for (const char* text : {"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
                           "2001:db8:1:2:3:4:5:6", "2001:db8::ff00:42:8329"}) {
    const auto address = IpAddress::parse(text);
    REQUIRE(address);
    CHECK(address->to_string() == text);
  }
}

TEST_CASE("a v4-mapped text is the IPv4 address") {
  CHECK(IpAddress::parse("::ffff:10.1.2.3") == IpAddress::parse("10.1.2.3"));
}

TEST_CASE("what is not an address is refused") {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv, "10.0.0"sv, "10.0.0.256"sv, "10.0.0.1/8"sv,
                                      "fe80::1%eth0"sv, "g::"sv, "10.0.0.1\0"sv, " 10.0.0.1"sv}) {
    CAPTURE(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
}

TEST_CASE("prefixes know what they contain") {
  const auto prefix = *Prefix::parse("192.168.32.0/19");
  CHECK(prefix.size() == 8192);
  CHECK(prefix.first().to_string() == "192.168.32.0");
  CHECK(prefix.last().to_string() == "192.168.63.255");
  CHECK(prefix.contains(*IpAddress::parse("192.168.40.1")));
  CHECK_FALSE(prefix.contains(*IpAddress::parse("192.168.64.0")));
  CHECK_FALSE(prefix.contains(*IpAddress::parse("::1")));
  CHECK(prefix.overlaps(*Prefix::parse("192.168.0.0/16")));
  CHECK_FALSE(prefix.overlaps(*Prefix::parse("192.168.0.0/19")));
  CHECK(Prefix::parse("2001:db8::/32")->contains(*Prefix::parse("2001:db8:8::/48")));
}

TEST_CASE("a bad length is refused") {
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129"}) {
    CAPTURE(text);
    CHECK_FALSE(Prefix::parse(text));
  }
}

TEST_CASE("network clears the host bits and everything contains its own network") {
  CHECK(Prefix::parse("10.1.2.3/8")->network().to_string() == "10.0.0.0/8");
  CHECK(Prefix::parse("2001:db8::ffff/64")->network().to_string() == "2001:db8::/64");
  CHECK(Prefix::parse("1.2.3.4/0")->contains(*IpAddress::parse("9.9.9.9")));
}

TEST_CASE("adding carries across bytes and stays in the family") {
  CHECK(IpAddress::parse("10.0.0.255")->plus(1).to_string() == "10.0.1.0");
  CHECK(IpAddress::parse("255.255.255.255")->plus(1).to_string() == "0.0.0.0");
  CHECK(IpAddress::parse("fd00::ffff:ffff")->plus(1).to_string() == "fd00::1:0:0");
}

TEST_CASE("MACs read back in lower case, and what is not a MAC is refused") {
  CHECK(Mac::parse("00:16:3E:ab:CD:ef")->to_string() == "00:16:3e:ab:cd:ef");
  for (const char* text :
       {"", "00:16:3e:ab:cd", "00:16:3e:ab:cd:eg", "00-16-3e-ab-cd-ef", "00:16:3e:ab:cd:ef:"}) {
    CAPTURE(text);
    CHECK_FALSE(Mac::parse(text));
  }
}
