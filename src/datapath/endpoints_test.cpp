// SPDX-License-Identifier: Apache-2.0
#include "datapath/endpoints.h"

#include <doctest/doctest.h>
#include <netinet/in.h>

#include "datapath/flows.h"
#include "datapath/migrate.h"

namespace terway::datapath {
namespace {

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }
const net::Mac kPodMac = *net::Mac::parse("02:00:00:00:00:01");
const net::Mac kGateway = *net::Mac::parse("ee:ff:ff:ff:ff:ff");

PodEntry pod(std::vector<net::IpAddress> addresses) {
  PodEntry entry;
  entry.number = 7;
  entry.end.ifindex = 12;
  entry.end.mac = kPodMac;
  entry.end.mtu = 1500;
  entry.addresses = std::move(addresses);
  entry.way_out = WayOut{3, *net::Mac::parse("00:16:3e:00:00:03"), kGateway, {}};
  entry.eni_mtu = 1500;
  return entry;
}

TEST_CASE("both families of a pod share its number, and each has its own gateway") {
  const auto endpoints = lay_out_endpoints({pod({ip("10.0.0.7"), ip("fd00::7")})}, {}, {});
  REQUIRE(endpoints.size() == 2);
  const auto& v4 = endpoints.at(ip("10.0.0.7"));
  CHECK(v4.kind == abi::ENDPOINT_POD);
  CHECK(v4.pod == 7);
  CHECK(v4.eni_ifindex == 3);
  CHECK(std::equal(kGateway.bytes.begin(), kGateway.bytes.end(), v4.gateway_mac));
  // Its gateway is not known yet: nothing leaves.
  CHECK(endpoints.at(ip("fd00::7")).pod == 7);
  CHECK(endpoints.at(ip("fd00::7")).eni_ifindex == 0);
}

TEST_CASE("a pod's address goes before the node's, and that before what is blocked") {
  const auto address = ip("10.0.0.7");
  CHECK(lay_out_endpoints({pod({address})}, {address}, {address}).at(address).kind ==
        abi::ENDPOINT_POD);
  CHECK(lay_out_endpoints({}, {address}, {address}).at(address).kind == abi::ENDPOINT_HOST);
  CHECK(lay_out_endpoints({}, {}, {address}).at(address).kind == abi::ENDPOINT_BLOCKED);
}

TEST_CASE("a pod with a smaller MTU than its ENI's says so") {
  PodEntry small = pod({ip("10.0.0.7")});
  small.end.mtu = 1400;
  CHECK((lay_out_endpoints({small}, {}, {}).begin()->second.flags & abi::ENDPOINT_SMALL_MTU) != 0);
  CHECK((lay_out_endpoints({pod({ip("10.0.0.7")})}, {}, {}).begin()->second.flags &
         abi::ENDPOINT_SMALL_MTU) == 0);
}

TEST_CASE("a pod keeps its number over a restart, and nobody else gets it") {
  const auto before = lay_out_endpoints({pod({ip("10.0.0.7")})}, {}, {});
  PodNumbers numbers;
  for (const auto& [address, entry] : before) numbers.recall(address, entry);
  const PodEnd end = pod({}).end;
  PodEnd other = end;
  other.mac = *net::Mac::parse("02:00:00:00:00:02");
  CHECK(numbers.number_of({"b", "eth0"}, {ip("10.0.0.8")}, other) == 8);
  CHECK(numbers.number_of({"a", "eth0"}, {ip("10.0.0.7")}, end) == 7);
  CHECK(numbers.number_of({"a", "eth0"}, {ip("10.0.0.7")}, end) == 7);
  // The same address, but somebody else's now.
  PodNumbers again;
  for (const auto& [address, entry] : before) again.recall(address, entry);
  CHECK(again.number_of({"c", "eth0"}, {ip("10.0.0.7")}, other) == 8);
}

TEST_CASE("a prefix is written with the bits of the mapped address") {
  CHECK(to_abi(*net::Prefix::parse("10.1.2.3/8")).length == 104);
  CHECK(from_abi(to_abi(*net::Prefix::parse("10.1.2.3/8")).address) == ip("10.0.0.0"));
  CHECK(to_abi(*net::Prefix::parse("fd00::/8")).length == 8);
}

TEST_CASE("of another version's maps flows are kept, longer or shorter, and all else is dropped") {
  const ebpf::Entry old{std::vector<std::uint8_t>(40, 1), {1, 2, 3, 4}};
  const auto longer = migrate(0, "flows", old, 40, 6);
  REQUIRE(longer);
  CHECK(longer->key == old.key);
  CHECK(longer->value == std::vector<std::uint8_t>{1, 2, 3, 4, 0, 0});
  CHECK(migrate(9, "flows", old, 40, 2)->value == std::vector<std::uint8_t>{1, 2});
  CHECK_FALSE(migrate(0, "flows", old, 44, 4));
  CHECK_FALSE(migrate(0, "endpoints", old, 40, 4));
}

TEST_CASE("what goes on is remembered longer than what is over") {
  abi::flow_key key{};
  abi::flow flow{};
  key.protocol = IPPROTO_TCP;
  flow.flags = abi::FLOW_SYN;
  const Duration begun = lifetime_of(key, flow);
  flow.flags |= abi::FLOW_REPLIED;
  const Duration established = lifetime_of(key, flow);
  flow.flags |= abi::FLOW_FIN_LOW;
  const Duration half = lifetime_of(key, flow);
  flow.flags |= abi::FLOW_FIN_HIGH;
  const Duration closed = lifetime_of(key, flow);
  flow.flags |= abi::FLOW_RESET;
  CHECK(established > half);
  CHECK(half > closed);
  CHECK(closed >= begun);
  CHECK(lifetime_of(key, flow) < closed);
  // Picked up in the middle: no reply may ever be needed.
  flow.flags = abi::FLOW_BY_STACK;
  CHECK(lifetime_of(key, flow) == established);
}

}  // namespace
}  // namespace terway::datapath
