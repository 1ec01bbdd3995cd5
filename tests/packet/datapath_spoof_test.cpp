// SPDX-License-Identifier: Apache-2.0
// What a pod may not claim: another's MAC or address, in Ethernet, IP, ARP, neighbour discovery, or
// hidden in fragments and mapped addresses.
#include <doctest/doctest.h>
#include <linux/pkt_cls.h>

#include "tests/packet/world.h"

namespace terway::test {
namespace {

using namespace abi;

struct Claim {
  const char* what;
  Packet frame;
  drop_reason reason;
};

void check(World& world, bpf_program* program, Device at, const Claim& claim,
           std::uint32_t netns = 0) {
  const Bytes in = claim.frame.bytes();
  CAPTURE(claim.what);
  INFO("in: ", packet::describe(in));
  const auto outcome =
      netns == 0 ? world.run(program, at, in) : world.run_as(netns, program, at, claim.frame);
  CHECK(outcome.action == TC_ACT_SHOT);
  CHECK(outcome.reason == claim.reason);
  CHECK(outcome.direction == DIRECTION_EGRESS);
}

Packet from_a() { return Packet::from(kMacA).to(kMacHostEnd); }
Packet to_all(const char* from) { return Packet::from(from).to(kBroadcast); }

TEST_CASE("a pod cannot send from another MAC or address") {
  World world;
  auto* program = world.programs()->progs.pod_egress;
  for (const auto& f : {kV4, kV6}) {
    const Claim claims[] = {
        {"B's MAC", Packet::from(kMacB).to(kMacHostEnd).ip(f.a, f.remote).udp(1, 2),
         DROP_SPOOFED_MAC},
        {"nobody's MAC", Packet::from("02:00:00:00:0a:0a").to(kMacHostEnd).ip(f.a, f.b).udp(1, 2),
         DROP_SPOOFED_MAC},
        {"B's address", from_a().ip(f.b, f.remote).udp(1, 2), DROP_SPOOFED_IP},
        {"B's address and MAC", Packet::from(kMacB).to(kMacHostEnd).ip(f.b, f.remote).tcp(1, 2, 4),
         DROP_SPOOFED_IP},
        {"an IPVLAN pod's address", from_a().ip(f.i, f.remote).udp(1, 2), DROP_SPOOFED_IP},
        {"an exclusive pod's address", from_a().ip(f.x, f.remote).udp(1, 2), DROP_SPOOFED_IP},
        {"a remote pod's address", from_a().ip(f.remote, f.b).udp(1, 2), DROP_SPOOFED_IP},
        {"the node's address", from_a().ip(f.node, f.b).udp(1, 2), DROP_SPOOFED_IP},
        {"the metadata service's address", from_a().ip(f.blocked, f.b).udp(1, 2), DROP_SPOOFED_IP},
        {"a Service's address", from_a().ip(f.service, f.b).udp(1, 2), DROP_SPOOFED_IP},
        {"B's address, to the node", from_a().ip(f.b, f.node).udp(1, 2), DROP_SPOOFED_IP},
        {"B's address, reset", from_a().ip(f.b, f.remote).tcp(1, 2, 4), DROP_SPOOFED_IP},
    };
    for (const auto& claim : claims) check(world, program, kHostEndA, claim);
  }
  const Claim claims[] = {
      {"no address, beyond the link", from_a().ip("0.0.0.0", kV4.remote).udp(68, 67),
       DROP_SPOOFED_IP},
      {"no IPv6 address, beyond the link", from_a().ip("::", kV6.remote).udp(1, 2),
       DROP_SPOOFED_IP},
      {"a link-local address, beyond the link", from_a().ip("fe80::1", kV6.b).udp(1, 2),
       DROP_SPOOFED_IP},
      {"loopback", from_a().ip("127.0.0.1", kV4.node).udp(1, 2), DROP_SPOOFED_IP},
      {"broadcast", from_a().ip("255.255.255.255", kV4.node).udp(1, 2), DROP_SPOOFED_IP},
      {"multicast", from_a().ip("224.0.0.1", kV4.node).udp(1, 2), DROP_SPOOFED_IP},
      {"IPv6 loopback", from_a().ip("::1", kV6.node).udp(1, 2), DROP_SPOOFED_IP},
      {"B's address, multicast",
       Packet::from(kMacA).to("01:00:5e:00:00:16").ip(kV4.b, "224.0.0.22").udp(1, 2),
       DROP_SPOOFED_IP},
      {"the link-local gateway", from_a().ip("169.254.1.1", kV4.b).udp(1, 2), DROP_SPOOFED_IP},
      {"a redirect",
       from_a()
           .ip(kV4.a, kV4.b)
           .icmp_error(5, 1, from_a().ip(kV4.b, kV4.remote).udp(1, 2).bytes(), 28),
       DROP_SPOOFED_ND},
  };
  for (const auto& claim : claims) check(world, program, kHostEndA, claim);
}

TEST_CASE("an IPv4 address inside of an IPv6 header is nobody's") {
  World world;
  auto& run = world.programs()->progs;
  // The text form of a mapped address is taken for IPv4, so its bytes are written.
  const auto mapped = [](Packet frame, std::size_t at, const char* v4) {
    for (std::size_t i = 0; i < 16; ++i) frame.set(at + i, packet::address(v4).bytes[i]);
    return frame;
  };
  const auto frame = from_a().ip(kV6.a, kV6.remote).udp(1, 2);
  const auto both = mapped(mapped(frame, 22, kV4.a), 38, kV4.b);
  const Claim claims[] = {
      {"A's own as the source", mapped(frame, 22, kV4.a), DROP_MALFORMED},
      {"B's as the source", mapped(frame, 22, kV4.b), DROP_MALFORMED},
      {"B's as the destination", mapped(frame, 38, kV4.b), DROP_MALFORMED},
      {"both", both, DROP_MALFORMED},
  };
  for (const auto& claim : claims) check(world, run.pod_egress, kHostEndA, claim);
  const auto from_vpc = Packet::from(kGateway).to(kMacEni).ip(kV6.remote, kV6.a).udp(1, 2);
  CHECK(world.run(run.eni_ingress, kEni, mapped(from_vpc, 38, kV4.a)).reason == DROP_MALFORMED);
}

TEST_CASE("a pod cannot answer ARP for others, nor claim their addresses") {
  World world;
  auto* program = world.programs()->progs.pod_egress;
  const Claim claims[] = {
      {"asks in B's name", to_all(kMacA).arp_request(kMacA, kV4.b, "169.254.1.1"),
       DROP_SPOOFED_ARP},
      {"announces B's address", to_all(kMacA).arp_reply(kV4.b, kMacA, kV4.b, kMacA),
       DROP_SPOOFED_ARP},
      {"claims the gateway", to_all(kMacA).arp_reply("169.254.1.1", kMacA, kV4.a, kMacA),
       DROP_SPOOFED_ARP},
      {"claims the node's address", to_all(kMacA).arp_request(kMacA, kV4.node, kV4.a),
       DROP_SPOOFED_ARP},
      {"with B's MAC inside", to_all(kMacA).arp_request(kMacB, kV4.a, "169.254.1.1"),
       DROP_SPOOFED_ARP},
      {"with B's MAC inside and outside", to_all(kMacB).arp_request(kMacB, kV4.a, "169.254.1.1"),
       DROP_SPOOFED_MAC},
      {"B's claim, from A's port", to_all(kMacB).arp_reply(kV4.b, kMacB, kV4.b, kMacB),
       DROP_SPOOFED_ARP},
      {"0.0.0.0 is at A", to_all(kMacA).arp_reply("0.0.0.0", kMacA, "0.0.0.0", kMacA),
       DROP_SPOOFED_ARP},
  };
  for (const auto& claim : claims) check(world, program, kHostEndA, claim);
}

TEST_CASE("a pod cannot claim others' addresses by neighbour discovery, nor be a router") {
  World world;
  auto* program = world.programs()->progs.pod_egress;
  const auto to_nodes = [](const char* source) {
    return Packet::from(kMacA).to("33:33:00:00:00:01").ip(source, "ff02::1");
  };
  constexpr auto kLinkLocal = "fe80::ff:fe00:a";
  const auto padded = [&] {
    // An option of two units in front, as a nonce is, and a forged address behind it.
    auto frame = to_nodes(kV6.a).neighbour_solicitation("fe80::1", kMacA);
    return frame.payload(10)
        .set(14 + 40 + 24, 14)
        .set(14 + 40 + 25, 1)
        .set(14 + 40 + 32, 1)
        .set(14 + 40 + 33, 1);
  };
  const Claim claims[] = {
      {"B's address", to_nodes(kV6.a).neighbour_advertisement(kV6.b, kMacA, "O"), DROP_SPOOFED_ND},
      {"B's address, link-local", to_nodes(kLinkLocal).neighbour_advertisement(kV6.b, kMacA, "O"),
       DROP_SPOOFED_ND},
      {"the gateway", to_nodes(kV6.a).neighbour_advertisement("fe80::1", kMacA, "RO"),
       DROP_SPOOFED_ND},
      {"its own address at B's MAC", to_nodes(kV6.a).neighbour_advertisement(kV6.a, kMacB, "O"),
       DROP_SPOOFED_ND},
      {"from B's address", to_nodes(kV6.b).neighbour_advertisement(kV6.b, kMacA, "O"),
       DROP_SPOOFED_IP},
      {"duplicate detection of B's", to_nodes("::").neighbour_solicitation(kV6.b, ""),
       DROP_SPOOFED_ND},
      {"duplicate detection of the gateway's", to_nodes("::").neighbour_solicitation("fe80::1", ""),
       DROP_SPOOFED_ND},
      {"B's MAC as the option", to_nodes(kV6.a).neighbour_solicitation("fe80::1", kMacB),
       DROP_SPOOFED_ND},
      {"a forged option behind another", padded(), DROP_SPOOFED_ND},
      {"not from this link", to_nodes(kV6.a).neighbour_solicitation("fe80::1", kMacA).hops(254),
       DROP_MALFORMED},
      {"router advertisement", to_nodes(kLinkLocal).router_advertisement(), DROP_SPOOFED_ND},
      {"B's MAC in a router solicitation", to_nodes(kLinkLocal).router_solicitation(kMacB),
       DROP_SPOOFED_ND},
      {"in a fragment",
       to_nodes(kV6.a).fragment_v6(1, 0, true).neighbour_advertisement(kV6.a, kMacA, "O"),
       DROP_MALFORMED},
  };
  for (const auto& claim : claims) check(world, program, kHostEndA, claim);
}

TEST_CASE("fragments are as forged as anything else") {
  World world;
  auto& run = world.programs()->progs;
  const auto v4 = [](const char* source, std::uint16_t offset, bool more) {
    return from_a().ip(source, kV4.remote).fragment(offset, more);
  };
  const Claim claims[] = {
      {"first", v4(kV4.b, 0, true).udp(1, 2).payload(64), DROP_SPOOFED_IP},
      {"later", v4(kV4.b, 64, false).payload(64), DROP_SPOOFED_IP},
      {"later, IPv6", from_a().ip(kV6.b, kV6.remote).fragment_v6(1, 64, false).payload(64),
       DROP_SPOOFED_IP},
      {"later, without the first", v4(kV4.a, 64, false).payload(64), DROP_FRAGMENT},
  };
  for (const auto& claim : claims) check(world, run.pod_egress, kHostEndA, claim);
}

TEST_CASE("an IPVLAN pod sends only as itself, whatever its neighbours behind the ENI are") {
  World world;
  auto* program = world.programs()->progs.ipvlan_egress;
  const auto from_i = [] { return Packet::from(kMacParent).to(kGateway); };
  for (const auto& f : {kV4, kV6}) {
    const Claim claims[] = {
        {"J's address", from_i().ip(f.j, f.remote).udp(1, 2), DROP_SPOOFED_IP},
        {"J's address, reset", from_i().ip(f.j, f.remote).tcp(1, 2, 4), DROP_SPOOFED_IP},
        {"a veth pod's address", from_i().ip(f.a, f.remote).udp(1, 2), DROP_SPOOFED_IP},
        {"the node's address", from_i().ip(f.node, f.j).udp(1, 2), DROP_SPOOFED_IP},
        {"a free address", from_i().ip(f.service, f.j).udp(1, 2), DROP_SPOOFED_IP},
        {"another MAC", Packet::from(kMacA).to(kGateway).ip(f.i, f.remote).udp(1, 2),
         DROP_SPOOFED_MAC},
        {"unicast in a broadcast frame", to_all(kMacParent).ip(f.i, f.j).udp(1, 2), DROP_MULTICAST},
    };
    for (const auto& claim : claims) check(world, program, kParent, claim, kNetnsI);
  }
  const Claim claims[] = {
      {"claims J's address by ARP",
       to_all(kMacParent).arp_reply(kV4.j, kMacParent, kV4.j, kMacParent), DROP_SPOOFED_ARP},
      {"asks, though neighbours are known",
       to_all(kMacParent).arp_request(kMacParent, kV4.i, kV4.j), DROP_MULTICAST},
      {"claims J's address by ND",
       Packet::from(kMacParent)
           .to("33:33:00:00:00:01")
           .ip(kV6.i, "ff02::1")
           .neighbour_advertisement(kV6.j, kMacParent, "O"),
       DROP_SPOOFED_ND},
      {"link-local talk", from_i().ip("fe80::1", "fe80::2").udp(1, 2), DROP_MULTICAST},
  };
  for (const auto& claim : claims) check(world, program, kParent, claim, kNetnsI);
}

TEST_CASE("without knowing who sends, nothing leaves an ENI in IPVLAN mode") {
  World world;
  auto config = world.config();
  config.flags &= ~std::uint32_t{CONFIG_SENDERS};
  world.set(config);
  check(world, world.programs()->progs.ipvlan_egress, kParent,
        {"a genuine packet", Packet::from(kMacParent).to(kGateway).ip(kV4.i, kV4.remote).udp(1, 2),
         DROP_UNKNOWN_SENDER},
        kNetnsI);
}

TEST_CASE("an exclusive pod sends only as itself, by its NIC and by its pair") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    check(world, run.exclusive_egress, kNic,
          {"B's address", Packet::from(kMacNic).to(kGateway).ip(f.b, f.remote).udp(1, 2),
           DROP_SPOOFED_IP});
    check(world, run.exclusive_egress, kNic,
          {"another MAC", Packet::from(kMacB).to(kGateway).ip(f.x, f.remote).udp(1, 2),
           DROP_SPOOFED_MAC});
    check(world, run.pod_egress, kPeer,
          {"B's address", Packet::from(kMacPeer).to(kMacHostEnd).ip(f.b, f.node).udp(1, 2),
           DROP_SPOOFED_IP});
    check(world, run.pod_egress, kPeer,
          {"the NIC's MAC", Packet::from(kMacNic).to(kMacHostEnd).ip(f.x, f.node).udp(1, 2),
           DROP_SPOOFED_MAC});
    check(world, run.pod_egress, kPeer,
          {"what should leave by the NIC",
           Packet::from(kMacPeer).to(kMacHostEnd).ip(f.x, f.remote).udp(1, 2), DROP_NO_WAY_OUT});
  }
}

}  // namespace
}  // namespace terway::test
