// SPDX-License-Identifier: Apache-2.0
// Connections: through the host's stack or past it, ICMP errors, fragments, and how they end; drop
// and flow events.
#include <doctest/doctest.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>

#include <string>

#include "tests/packet/world.h"

namespace terway::test {
namespace {

using namespace abi;

constexpr std::uint8_t kFin = 0x11, kSynAck = 0x12, kReset = 0x14, kAck = 0x10;

Packet from_a() { return Packet::from(kMacA).to(kMacHostEnd); }
Packet from_b() { return Packet::from(kMacB).to(kMacHostEnd); }
Packet from_vpc() { return Packet::from(kGateway).to(kMacEni); }
Packet from_stack() { return Packet::from(kMacHostEnd).to(kMacA); }

TEST_CASE("what reached a pod through the stack is answered through the stack") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    // A NodePort: a client of elsewhere, translated by the stack, which sends on to A.
    CHECK(world.run(run.pod_ingress, kHostEndA, from_stack().ip(f.remote, f.a).tcp(9, 80)).action ==
          TC_ACT_OK);
    CHECK(world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).tcp(80, 9, kSynAck))
              .action == TC_ACT_OK);
    // A Service whose backend is B: A asks it through the stack.
    CHECK(world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.service).udp(9, 53)).action ==
          TC_ACT_OK);
    const auto to_b = Packet::from(kMacHostEnd).to(kMacB).ip(f.a, f.b).udp(9, 53);
    CHECK(world.run(run.pod_ingress, kHostEndB, to_b).action == TC_ACT_OK);
    const auto reply = world.run(run.pod_egress, kHostEndB, from_b().ip(f.b, f.a).udp(53, 9));
    CHECK(reply.action == TC_ACT_OK);
    CHECK(reply.frame == from_b().ip(f.b, f.a).udp(53, 9).bytes());
    // Whereas another port of B's goes straight.
    CHECK(world.run(run.pod_egress, kHostEndB, from_b().ip(f.b, f.a).udp(53, 10)).action ==
          TC_ACT_REDIRECT);
  }
}

TEST_CASE("what the stack sends out for a pod comes back through the stack") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const auto out = Packet::from(kMacEni).to(kGateway).ip(f.a, f.remote).tcp(9, 80);
    CHECK(world.run(run.eni_egress, kEni, out).action == TC_ACT_OK);
    const auto reply = from_vpc().ip(f.remote, f.a).tcp(80, 9, kSynAck);
    const auto back = world.run(run.eni_ingress, kEni, reply);
    CHECK(back.action == TC_ACT_OK);
    CHECK(back.frame == reply.bytes());
    // The node's own, probes and answers of ARP included, are nobody's flow.
    const auto own = Packet::from(kMacEni).to(kGateway).ip(f.node, f.remote).udp(1, 2);
    CHECK(world.run(run.eni_egress, kEni, own).action == TC_ACT_OK);
    CHECK_FALSE(world.flow(f.node, 1, f.remote, 2, IPPROTO_UDP).has_value());
  }
  const auto probe = Packet::from(kMacEni).to(kBroadcast).arp_request(kMacEni, "0.0.0.0", kV4.a);
  CHECK(world.run(run.eni_egress, kEni, probe).action == TC_ACT_OK);
}

TEST_CASE("a connection picked up in the middle goes on, through the stack") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    CHECK(world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).tcp(5, 6, kAck)).action ==
          TC_ACT_OK);
    CHECK(world.run(run.eni_ingress, kEni, from_vpc().ip(f.remote, f.a).tcp(6, 5, kAck)).action ==
          TC_ACT_OK);
    CHECK(world.run(run.eni_ingress, kEni, from_vpc().ip(f.remote, f.a).tcp(8, 7, kAck)).action ==
          TC_ACT_OK);
    // When it is over, the next one with the same ports goes straight.
    world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).tcp(5, 6, kReset));
    CHECK(world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).tcp(5, 6)).action ==
          TC_ACT_REDIRECT);
  }
}

TEST_CASE("a reset of a connection that nobody knew does not outlive it") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).tcp(5, 6, kReset));
    CHECK(world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).tcp(5, 6)).action ==
          TC_ACT_REDIRECT);
  }
}

TEST_CASE("a connection's end is seen on both sides, and a SYN begins it anew") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const auto flags = [&] { return world.flow(f.a, 5, f.remote, 6, IPPROTO_TCP)->flags; };
    const auto send = [&](std::uint8_t tcp) {
      world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).tcp(5, 6, tcp));
    };
    const auto receive = [&](std::uint8_t tcp) {
      world.run(run.eni_ingress, kEni, from_vpc().ip(f.remote, f.a).tcp(6, 5, tcp));
    };
    send(2);
    receive(kSynAck);
    send(kAck);
    CHECK(flags() == (FLOW_FROM_LOW | FLOW_SYN | FLOW_REPLIED));  // 10.0.0.10 < 10.0.1.20
    send(kFin);
    CHECK((flags() & FLOW_FIN_LOW) != 0);
    CHECK((flags() & FLOW_FIN_HIGH) == 0);
    send(2);  // not over yet: a stray one changes nothing
    CHECK((flags() & FLOW_FIN_LOW) != 0);
    receive(kFin);
    CHECK((flags() & FLOW_FIN_HIGH) != 0);
    receive(2);  // and the other end may be the one that begins
    CHECK(flags() == FLOW_SYN);
    receive(kReset);
    CHECK((flags() & FLOW_RESET) != 0);
  }
}

TEST_CASE("a flow's age is written when it is old, and then only") {
  World world;
  auto& run = world.programs()->progs;
  const auto frame = from_a().ip(kV4.a, kV4.remote).udp(5, 6);
  world.run(run.pod_egress, kHostEndA, frame);
  auto flow = *world.flow(kV4.a, 5, kV4.remote, 6, IPPROTO_UDP);
  const auto now = [&] {
    return static_cast<std::uint32_t>(world.run(run.read_jiffies, kHostEndA, frame).action);
  };
  CHECK(now() - flow.seen < 100000);
  flow.seen = now() - 1000000;
  world.set_flow(kV4.a, 5, kV4.remote, 6, IPPROTO_UDP, flow);
  world.run(run.pod_egress, kHostEndA, frame);
  CHECK(now() - world.flow(kV4.a, 5, kV4.remote, 6, IPPROTO_UDP)->seen < 100000);
}

TEST_CASE("an ICMP error passes with the flow that it is about, in its direction, and no other") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const bool v4 = f.a == kV4.a;
    const char* router = v4 ? "10.9.9.9" : "2001:db8:9::9";
    const std::uint8_t unreachable = v4 ? 3 : 1;
    const Bytes udp = from_a().ip(f.a, f.remote).udp(5, 6).payload(100).bytes();
    const Bytes tcp = from_a().ip(f.a, f.remote).tcp(7, 8).bytes();
    const Bytes echo = from_a().ip(f.a, f.remote).echo_request(9, 1).bytes();
    const Bytes stacked = from_a().ip(f.a, f.service).udp(5, 6).bytes();
    const Bytes unknown = from_a().ip(f.a, f.remote).udp(99, 98).bytes();
    for (const auto& sent : {udp, tcp, echo, stacked}) world.run(run.pod_egress, kHostEndA, sent);
    const auto from_router = [&](const Bytes& about) {
      return from_vpc().ip(router, f.a).icmp_error(unreachable, 1, about, v4 ? 28 : 100);
    };
    for (const auto& about : {udp, tcp, echo}) {
      const auto outcome = world.run(run.eni_ingress, kEni, from_router(about));
      CHECK(outcome.action == TC_ACT_REDIRECT);
      CHECK(outcome.frame == Packet::from(kGateway)
                                 .to(kMacA)
                                 .ip(router, f.a)
                                 .hops(63)
                                 .icmp_error(unreachable, 1, about, v4 ? 28 : 100)
                                 .bytes());
    }
    CHECK(world.run(run.eni_ingress, kEni, from_vpc().ip(router, f.a).too_big(1400, tcp, 100))
              .action == TC_ACT_REDIRECT);
    CHECK(world.run(run.eni_ingress, kEni, from_router(stacked)).action == TC_ACT_OK);
    CHECK(world.run(run.eni_ingress, kEni, from_router(unknown)).reason == DROP_NO_FLOW);
    // A's flow, told to B.
    const auto astray = from_vpc().ip(router, f.b).icmp_error(unreachable, 1, udp, 60);
    CHECK(world.run(run.eni_ingress, kEni, astray).reason == DROP_NO_FLOW);
    // Cut off in the quoted header.
    const auto cut = from_vpc().ip(router, f.a).icmp_error(unreachable, 1, udp, 16);
    CHECK(world.run(run.eni_ingress, kEni, cut).reason == DROP_NO_FLOW);
    // And a pod's own, about what came to it.
    const Bytes request = from_vpc().ip(f.remote, f.a).udp(6, 7).bytes();
    world.run(run.eni_ingress, kEni, request);
    const auto refused =
        from_a().ip(f.a, f.remote).icmp_error(unreachable, v4 ? 3 : 4, request, 60);
    CHECK(world.run(run.pod_egress, kHostEndA, refused).action == TC_ACT_REDIRECT);
    CHECK_FALSE(world.flow(router, 0, f.a, 0, v4 ? 1 : 58).has_value());
  }
}

TEST_CASE("fragments go the way of their first, and none goes before it") {
  World world;
  auto& run = world.programs()->progs;
  const auto v4 = [](std::uint16_t offset, bool more) {
    return Packet::from(kMacA).to(kMacHostEnd).ip(kV4.a, kV4.remote).fragment(offset, more);
  };
  const auto v6 = [](std::uint16_t offset, bool more) {
    return Packet::from(kMacA).to(kMacHostEnd).ip(kV6.a, kV6.remote).fragment_v6(77, offset, more);
  };
  const auto is_udp_v4 = [](Packet frame) { return frame.set(23, IPPROTO_UDP); };
  const auto is_udp_v6 = [](Packet frame) { return frame.set(54, IPPROTO_UDP); };
  const auto go = [&](const Packet& frame) { return world.run(run.pod_egress, kHostEndA, frame); };
  const Packet firsts[] = {v4(0, true).udp(5, 6).payload(56), v6(0, true).udp(5, 6).payload(56)};
  const Packet laters[] = {is_udp_v4(v4(64, true).payload(64)),
                           is_udp_v6(v6(64, true).payload(64))};
  const Packet lasts[] = {is_udp_v4(v4(128, false).payload(9)),
                          is_udp_v6(v6(128, false).payload(9))};
  const Packet inside[] = {is_udp_v4(v4(8, true).payload(64)), is_udp_v6(v6(8, true).payload(64))};
  for (const int i : {0, 1}) {
    CHECK(go(lasts[i]).reason == DROP_FRAGMENT);
    CHECK(go(firsts[i]).action == TC_ACT_REDIRECT);
    CHECK(go(lasts[i]).action == TC_ACT_REDIRECT);  // those behind may come in any order
    CHECK(go(laters[i]).action == TC_ACT_REDIRECT);
    CHECK(go(inside[i]).reason == DROP_MALFORMED);
  }
  CHECK(world.flow(kV4.a, 5, kV4.remote, 6, IPPROTO_UDP).has_value());
  CHECK(world.flow(kV6.a, 5, kV6.remote, 6, IPPROTO_UDP).has_value());
  CHECK_FALSE(world.flow(kV4.a, 0, kV4.remote, 0, IPPROTO_UDP).has_value());
  // Through the stack, all of them.
  const auto service = [](std::uint16_t offset, bool more) {
    return Packet::from(kMacA).to(kMacHostEnd).ip(kV4.a, kV4.service).fragment(offset, more);
  };
  CHECK(go(service(0, true).udp(5, 6).payload(56)).action == TC_ACT_OK);
  CHECK(go(is_udp_v4(service(64, false).payload(64))).action == TC_ACT_OK);
}

TEST_CASE("an end with rules that nothing knows is closed, also to flows that were open") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const auto out = from_a().ip(f.a, f.remote).udp(5, 6);
    const auto in = from_vpc().ip(f.remote, f.a).udp(6, 5);
    CHECK(world.run(run.pod_egress, kHostEndA, out).action == TC_ACT_REDIRECT);
    auto a = world.endpoint(f.a);
    a.rules_egress = 1;
    a.epoch = 1;
    world.set(f.a, a);
    CHECK(world.run(run.pod_egress, kHostEndA, out).reason == DROP_POLICY);
    CHECK(world.run(run.eni_ingress, kEni, in).reason == DROP_POLICY);
    a.rules_egress = 0;
    a.epoch = 2;
    world.set(f.a, a);
    CHECK(world.run(run.eni_ingress, kEni, in).action == TC_ACT_REDIRECT);
    CHECK(world.run(run.pod_egress, kHostEndA, out).action == TC_ACT_REDIRECT);
    a.rules_ingress = 1;
    a.epoch = 3;
    world.set(f.a, a);
    // A reply to what A began, and what another begins.
    CHECK(world.run(run.eni_ingress, kEni, in).action == TC_ACT_REDIRECT);
    CHECK(world.run(run.eni_ingress, kEni, from_vpc().ip(f.remote, f.a).udp(7, 8)).reason ==
          DROP_POLICY);
    CHECK(world.run(run.pod_egress, kHostEndB, from_b().ip(f.b, f.a).udp(7, 8)).reason ==
          DROP_POLICY);
  }
}

TEST_CASE("a drop is told with what it was, and so is a flow while somebody watches") {
  World world;
  auto& run = world.programs()->progs;
  world.run(run.pod_egress, kHostEndA, from_a().ip(kV4.a, kV4.remote).tcp(5, 6));
  CHECK(world.events().empty());
  world.run(run.pod_egress, kHostEndA, from_a().ip(kV4.b, kV4.remote).tcp(5, 6));
  auto events = world.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == EVENT_DROP);
  CHECK(events[0].reason == DROP_SPOOFED_IP);
  CHECK(events[0].ifindex == kHostEndA);
  CHECK(events[0].length == 54);
  CHECK(events[0].protocol == IPPROTO_TCP);
  const auto source = key_of(kV4.b);
  CHECK(__builtin_memcmp(&events[0].source, &source, sizeof(source)) == 0);
  world.run(run.pod_egress, kHostEndA, from_a().ip(kV6.a, kV6.blocked).tcp(5, 80));
  events = world.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].reason == DROP_BLOCKED);
  CHECK(events[0].pod == 1);
  CHECK(events[0].destination_port == __builtin_bswap16(80));
  CHECK(events[0].tcp_flags == 2);
  // What every kernel does by itself is counted only.
  const auto dhcp = Packet::from(kMacA).to(kBroadcast).ip("0.0.0.0", "255.255.255.255").udp(68, 67);
  CHECK(world.run(run.pod_egress, kHostEndA, dhcp).reason == DROP_MULTICAST);
  CHECK(world.events().empty());

  auto config = world.config();
  config.flags |= CONFIG_WATCH_FLOWS;
  world.set(config);
  const auto flow = from_a().ip(kV6.a, kV6.remote).udp(7, 8);
  world.run(run.pod_egress, kHostEndA, flow);
  world.run(run.pod_egress, kHostEndA, flow);
  events = world.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == EVENT_FLOW);
  CHECK(events[0].pod == 1);
}

TEST_CASE("a flood of drops is counted whole and told in part") {
  World world;
  auto& run = world.programs()->progs;
  auto config = world.config();
  config.events_per_second = 5;
  world.set(config);
  constexpr unsigned kDrops = 200;
  for (unsigned i = 0; i < kDrops; ++i)
    CHECK(world.run(run.pod_egress, kHostEndA, from_a().ip(kV4.b, kV4.remote).udp(5, 6)).reason ==
          DROP_SPOOFED_IP);
  const auto told = world.events().size();
  CHECK(told >= 5);
  CHECK(told + world.events_lost() == kDrops);
  config.events_per_second = 0;
  world.set(config);
  world.run(run.pod_egress, kHostEndA, from_a().ip(kV4.b, kV4.remote).udp(5, 6));
  CHECK(world.events().empty());
}

}  // namespace
}  // namespace terway::test
