// SPDX-License-Identifier: Apache-2.0
// A packet in, a verdict and a packet out: where the veth pods' packets go, and why they do not.
#include <doctest/doctest.h>
#include <linux/pkt_cls.h>

#include <string>

#include "tests/packet/world.h"

namespace terway::test {
namespace {

using namespace abi;

struct Case {
  std::string what;
  bpf_program* program;
  Device at;
  Packet in;
  int action;
  drop_reason reason = DROP_NONE;
  std::optional<Packet> out = std::nullopt;  // absent: as it came
};

void check(World& world, const Case& c) {
  const Bytes in = c.in.bytes();
  CAPTURE(c.what);
  INFO("in:       ", packet::describe(in));
  const Outcome outcome = world.run(c.program, c.at, in);
  INFO("came out: ", packet::describe(outcome.frame));
  CHECK(outcome.action == c.action);
  CHECK(outcome.reason == c.reason);
  CHECK(outcome.counted.packets == 1);
  CHECK(outcome.counted.bytes == in.size());
  const Bytes expected = c.out ? c.out->bytes() : in;
  INFO("expected: ", packet::describe(expected));
  CHECK(outcome.frame == expected);
}

Packet from_a() { return Packet::from(kMacA).to(kMacHostEnd); }
Packet from_vpc() { return Packet::from(kGateway).to(kMacEni); }
Packet to_vpc() { return Packet::from(kMacEni).to(kGateway); }

TEST_CASE("a pod's packet leaves by its ENI with a hop less, and its reply goes into the pod") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    check(world, {"request", run.pod_egress, kHostEndA,
                  from_a().ip(f.a, f.remote).tcp(1000, 80).payload(9), TC_ACT_REDIRECT, DROP_NONE,
                  to_vpc().ip(f.a, f.remote).hops(63).tcp(1000, 80).payload(9)});
    check(world,
          {"reply", run.eni_ingress, kEni,
           from_vpc().ip(f.remote, f.a).tcp(80, 1000, 0x12).payload(9), TC_ACT_REDIRECT, DROP_NONE,
           Packet::from(kGateway)
               .to(kMacA)
               .ip(f.remote, f.a)
               .hops(63)
               .tcp(80, 1000, 0x12)
               .payload(9)});
    const auto flow = world.flow(f.a, 1000, f.remote, 80, 6);
    REQUIRE(flow.has_value());
    CHECK((flow->flags & FLOW_REPLIED) != 0);
    CHECK((flow->flags & FLOW_SYN) != 0);
    CHECK((flow->flags & FLOW_BY_STACK) == 0);
  }
}

TEST_CASE("what a program sends out by the ENI is marked, and passes the ENI's egress unseen") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const auto sent = world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).udp(1, 2));
    CHECK(sent.mark == MARK_JUDGED);
    __sk_buff context{};
    context.mark = sent.mark;
    const auto left = world.run(run.eni_egress, kEni, sent.frame, context);
    CHECK(left.action == TC_ACT_OK);
    CHECK_FALSE(left.reason.has_value());
    CHECK(left.frame == sent.frame);
  }
}

TEST_CASE("a connection that the VPC begins reaches the pod and its reply leaves straight") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    check(world,
          {"SYN", run.eni_ingress, kEni, from_vpc().ip(f.remote, f.a).tcp(7, 80), TC_ACT_REDIRECT,
           DROP_NONE, Packet::from(kGateway).to(kMacA).ip(f.remote, f.a).hops(63).tcp(7, 80)});
    check(world,
          {"SYN and ACK", run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).tcp(80, 7, 0x12),
           TC_ACT_REDIRECT, DROP_NONE, to_vpc().ip(f.a, f.remote).hops(63).tcp(80, 7, 0x12)});
  }
}

TEST_CASE("pods of one node reach each other without the stack") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    check(world, {"to B", run.pod_egress, kHostEndA, from_a().ip(f.a, f.b).udp(1, 2).payload(5),
                  TC_ACT_REDIRECT, DROP_NONE,
                  Packet::from(kMacA).to(kMacB).ip(f.a, f.b).hops(63).udp(1, 2).payload(5)});
    check(world, {"and back", run.pod_egress, kHostEndB,
                  Packet::from(kMacB).to(kMacHostEnd).ip(f.b, f.a).udp(2, 1), TC_ACT_REDIRECT,
                  DROP_NONE, Packet::from(kMacB).to(kMacA).ip(f.b, f.a).hops(63).udp(2, 1)});
    CHECK((world.flow(f.a, 1, f.b, 2, 17)->flags & FLOW_REPLIED) != 0);
    const auto to_exclusive = world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.x).udp(1, 2));
    CHECK(to_exclusive.frame == to_vpc().ip(f.a, f.x).hops(63).udp(1, 2).bytes());
    const auto to_ipvlan = world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.i).udp(1, 2));
    CHECK(to_ipvlan.mark == kTurnMark);
    CHECK(to_ipvlan.frame ==
          Packet::from(kMacA).to(kMacParent).ip(f.a, f.i).hops(63).udp(1, 2).bytes());
  }
}

TEST_CASE("what ends in the host's stack goes there as it is, without a mark") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const Case cases[] = {
        {"the node", run.pod_egress, kHostEndA, from_a().ip(f.a, f.node).udp(1, 53), TC_ACT_OK},
        {"a Service", run.pod_egress, kHostEndA, from_a().ip(f.a, f.service).tcp(1, 80), TC_ACT_OK},
        {"its second packet", run.pod_egress, kHostEndA,
         from_a().ip(f.a, f.service).tcp(1, 80, 0x10), TC_ACT_OK},
        {"the last hop", run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).hops(1).udp(1, 2),
         TC_ACT_OK},
        {"no hop at all", run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).hops(0).udp(1, 2),
         TC_ACT_OK},
        {"the last hop, to a pod here", run.pod_egress, kHostEndA,
         from_a().ip(f.a, f.b).hops(1).udp(1, 2), TC_ACT_OK},
    };
    for (const auto& c : cases) check(world, c);
    CHECK(world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.node).udp(1, 53)).mark == 0);
    // Counted at the pod's host end, if it comes there.
    const auto last_hop = from_vpc().ip(f.remote, f.a).hops(1).udp(2, 1);
    const auto outcome = world.run(run.eni_ingress, kEni, last_hop);
    CHECK(outcome.action == TC_ACT_OK);
    CHECK(outcome.frame == last_hop.bytes());
    CHECK_FALSE(outcome.reason.has_value());
  }
  for (const char* on_link : {"169.254.1.1", "169.254.20.10"})
    check(world,
          {on_link, run.pod_egress, kHostEndA, from_a().ip(kV4.a, on_link).udp(1, 53), TC_ACT_OK});
}

TEST_CASE("a pod's own ARP, ND and probes pass to the host's stack") {
  World world;
  auto& run = world.programs()->progs;
  const auto solicit = [](const char* source, const char* target, const char* option = kMacA) {
    return Packet::from(kMacA)
        .to("33:33:ff:00:00:01")
        .ip(source, "ff02::1:ff00:1")
        .neighbour_solicitation(target, option);
  };
  const std::pair<const char*, Packet> frames[] = {
      {"asks for the gateway",
       Packet::from(kMacA).to(kBroadcast).arp_request(kMacA, kV4.a, "169.254.1.1")},
      {"is this address free?",
       Packet::from(kMacA).to(kBroadcast).arp_request(kMacA, "0.0.0.0", kV4.a)},
      {"announces itself",
       Packet::from(kMacA).to(kBroadcast).arp_reply(kV4.a, kMacA, kV4.a, kMacA)},
      {"answers", from_a().arp_reply(kV4.a, kMacA, "169.254.1.1", kMacHostEnd)},
      {"solicits the gateway", solicit(kV6.a, "fe80::1")},
      {"solicits, link-local", solicit("fe80::ff:fe00:a", "fe80::1")},
      {"duplicate detection", solicit("::", kV6.a, "")},
      {"duplicate detection, link-local", solicit("::", "fe80::ff:fe00:a", "")},
      {"router solicitation", Packet::from(kMacA)
                                  .to("33:33:00:00:00:02")
                                  .ip("fe80::ff:fe00:a", "ff02::2")
                                  .router_solicitation(kMacA)},
      {"router solicitation, no address yet",
       Packet::from(kMacA).to("33:33:00:00:00:02").ip("::", "ff02::2").router_solicitation("")},
      {"advertises itself",
       from_a().ip(kV6.a, "fe80::1").neighbour_advertisement(kV6.a, kMacA, "S")},
      {"advertises its link-local address",
       from_a()
           .ip("fe80::ff:fe00:a", "fe80::1")
           .neighbour_advertisement("fe80::ff:fe00:a", kMacA, "S")},
      {"pings the gateway", from_a().ip("fe80::ff:fe00:a", "fe80::1").echo_request(1, 1)},
  };
  for (const auto& [what, frame] : frames)
    check(world, {what, run.pod_egress, kHostEndA, frame, TC_ACT_OK});
}

TEST_CASE("each drop has its reason") {
  World world;
  auto& run = world.programs()->progs;
  auto no_way_out = world.endpoint(kV4.b);
  no_way_out.eni_ifindex = 0;
  world.set(kV4.b, no_way_out);
  world.set(kV6.b, no_way_out);
  for (const auto& f : {kV4, kV6}) {
    const auto from_b = [&] { return Packet::from(kMacB).to(kMacHostEnd); };
    const std::string multicast = f.a == kV4.a ? "224.0.0.251" : "ff02::fb";
    const Case cases[] = {
        {"the metadata service", run.pod_egress, kHostEndA, from_a().ip(f.a, f.blocked).tcp(1, 80),
         TC_ACT_SHOT, DROP_BLOCKED},
        {"multicast", run.pod_egress, kHostEndA,
         Packet::from(kMacA).to("01:00:5e:00:00:fb").ip(f.a, multicast).udp(5353, 5353),
         TC_ACT_SHOT, DROP_MULTICAST},
        {"unicast in a broadcast frame", run.pod_egress, kHostEndA,
         Packet::from(kMacA).to(kBroadcast).ip(f.a, f.b).udp(1, 2), TC_ACT_SHOT, DROP_MULTICAST},
        {"no ENI", run.pod_egress, kHostEndB, from_b().ip(f.b, f.remote).udp(1, 2), TC_ACT_SHOT,
         DROP_NO_WAY_OUT},
        {"nobody's address", run.eni_ingress, kEni,
         from_vpc().ip(f.remote, f.a == kV4.a ? "10.0.0.99" : "2001:db8::99").udp(1, 2),
         TC_ACT_SHOT, DROP_UNKNOWN_POD},
        {"an exclusive pod's address", run.eni_ingress, kEni,
         from_vpc().ip(f.remote, f.x).udp(1, 2), TC_ACT_SHOT, DROP_UNKNOWN_POD},
        {"nobody's address, though a Service could have it", run.eni_ingress, kEni,
         from_vpc().ip(f.remote, f.a == kV4.a ? "172.32.0.1" : "2001:db8:6::1").udp(1, 2),
         TC_ACT_SHOT, DROP_UNKNOWN_POD},
        {"multicast of the VPC", run.eni_ingress, kEni,
         Packet::from(kGateway).to("01:00:5e:00:00:fb").ip(f.remote, multicast).udp(1, 2),
         TC_ACT_SHOT, DROP_MULTICAST},
        {"another pod's at the host end", run.pod_ingress, kHostEndA,
         Packet::from(kMacHostEnd).to(kMacA).ip(f.node, f.b).udp(1, 2), TC_ACT_SHOT,
         DROP_UNKNOWN_POD},
        {"an IP header of another version", run.pod_egress, kHostEndA,
         from_a().ip(f.a, f.remote).udp(1, 2).payload(40).set(14, 0x15), TC_ACT_SHOT,
         DROP_MALFORMED},
    };
    for (const auto& c : cases) check(world, c);
  }
  const Case cases[] = {
      {"LLDP", run.pod_egress, kHostEndA, from_a().ethertype(0x88cc).payload(60), TC_ACT_SHOT,
       DROP_NOT_CARRIED},
      {"a VLAN tag", run.pod_egress, kHostEndA, from_a().ethertype(0x8100).payload(60), TC_ACT_SHOT,
       DROP_NOT_CARRIED},
      {"LLDP of the VPC", run.eni_ingress, kEni, from_vpc().ethertype(0x88cc).payload(60),
       TC_ACT_SHOT, DROP_NOT_CARRIED},
      {"half an ARP packet", run.pod_egress, kHostEndA, from_a().ethertype(0x0806).payload(20),
       TC_ACT_SHOT, DROP_MALFORMED},
      {"a header of 16", run.pod_egress, kHostEndA,
       from_a().ip(kV4.a, kV4.remote).udp(1, 2).set(14, 0x44), TC_ACT_SHOT, DROP_MALFORMED},
      {"options behind the end", run.pod_egress, kHostEndA,
       from_a().ip(kV4.a, kV4.remote).udp(1, 2).set(14, 0x4f), TC_ACT_SHOT, DROP_MALFORMED},
      {"half a TCP header", run.pod_egress, kHostEndA,
       from_a().ip(kV4.a, kV4.remote).udp(1, 2).set(23, 6), TC_ACT_SHOT, DROP_MALFORMED},
      {"DHCP", run.pod_egress, kHostEndA,
       Packet::from(kMacA).to(kBroadcast).ip("0.0.0.0", "255.255.255.255").udp(68, 67), TC_ACT_SHOT,
       DROP_MULTICAST},
      {"a multicast report", run.pod_egress, kHostEndA,
       Packet::from(kMacA)
           .to("33:33:00:00:00:16")
           .ip("fe80::ff:fe00:a", "ff02::16")
           .extension(0, 8)
           .udp(1, 2),
       TC_ACT_SHOT, DROP_MULTICAST},
  };
  for (const auto& c : cases) check(world, c);
}

TEST_CASE("a frame to the host end's former MAC is still the host's") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const auto other = [&] { return Packet::from(kMacA).to("02:99:00:00:00:01"); };
    check(world, {"to the VPC", run.pod_egress, kHostEndA, other().ip(f.a, f.remote).udp(1, 2),
                  TC_ACT_REDIRECT, DROP_NONE, to_vpc().ip(f.a, f.remote).hops(63).udp(1, 2)});
    check(world,
          {"to the node", run.pod_egress, kHostEndA, other().ip(f.a, f.node).udp(1, 2), TC_ACT_OK});
  }
}

TEST_CASE("IPv4 options and IPv6 extension headers hide no ports") {
  World world;
  auto& run = world.programs()->progs;
  check(world, {"options", run.pod_egress, kHostEndA,
                from_a().ip(kV4.a, kV4.remote).ip_options(40).tcp(5, 6), TC_ACT_REDIRECT, DROP_NONE,
                to_vpc().ip(kV4.a, kV4.remote).hops(63).ip_options(40).tcp(5, 6)});
  CHECK(world.flow(kV4.a, 5, kV4.remote, 6, 6).has_value());
  const auto v6 = [](Packet p, std::uint8_t hops) { return p.ip(kV6.a, kV6.remote).hops(hops); };
  check(world, {"extensions", run.pod_egress, kHostEndA,
                v6(from_a(), 64).extension(0, 8).extension(60, 64).tcp(5, 6), TC_ACT_REDIRECT,
                DROP_NONE, v6(to_vpc(), 63).extension(0, 8).extension(60, 64).tcp(5, 6)});
  CHECK(world.flow(kV6.a, 5, kV6.remote, 6, 6).has_value());
  const Case refused[] = {
      {"more extensions than are walked", run.pod_egress, kHostEndA,
       v6(from_a(), 64)
           .extension(60, 8)
           .extension(60, 8)
           .extension(60, 8)
           .extension(60, 8)
           .extension(60, 8)
           .extension(60, 8)
           .extension(60, 8)
           .tcp(5, 6),
       TC_ACT_SHOT, DROP_MALFORMED},
      {"longer than is looked at", run.pod_egress, kHostEndA,
       v6(from_a(), 64).extension(60, 512).tcp(5, 6), TC_ACT_SHOT, DROP_MALFORMED},
      {"an extension behind the end", run.pod_egress, kHostEndA,
       v6(from_a(), 64).extension(60, 8).set(54, 60).set(55, 40), TC_ACT_SHOT, DROP_MALFORMED},
  };
  for (const auto& c : refused) check(world, c);
}

TEST_CASE("a pod with a smaller MTU gets what is longer by the stack, GSO by its segments") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    auto small = world.endpoint(f.a);
    small.flags = ENDPOINT_SMALL_MTU;
    small.mtu = 1400;
    world.set(f.a, small);
    const std::size_t header = f.a == kV4.a ? 20 : 40;
    const auto frame = [&](std::size_t ip_bytes) {
      return from_vpc().ip(f.remote, f.a).udp(1, 2).payload(ip_bytes - header - 8);
    };
    CHECK(world.run(run.eni_ingress, kEni, frame(1400)).action == TC_ACT_REDIRECT);
    CHECK(world.run(run.eni_ingress, kEni, frame(1401)).action == TC_ACT_OK);
    const auto from_b = Packet::from(kMacB).to(kMacHostEnd).ip(f.b, f.a).udp(1, 2).payload(1500);
    CHECK(world.run(run.pod_egress, kHostEndB, from_b).action == TC_ACT_OK);

    const Bytes large = from_vpc().ip(f.remote, f.a).tcp(9, 9).payload(3000).bytes();
    __sk_buff segments{};
    segments.gso_segs = 3;
    segments.gso_size = static_cast<__u32>(1400 - header - 20);
    const auto fits = world.run(run.eni_ingress, kEni, large, segments);
    CHECK(fits.action == TC_ACT_REDIRECT);
    CHECK(fits.counted.packets == 3);
    CHECK(fits.counted.bytes == large.size());
    ++segments.gso_size;
    CHECK(world.run(run.eni_ingress, kEni, large, segments).action == TC_ACT_OK);
  }
}

TEST_CASE("bandwidth and priority: marked for the next program on the way") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    auto a = world.endpoint(f.a);
    a.priority = 7;
    a.flags = ENDPOINT_PACED_EGRESS;
    a.egress_rate = 1000000;
    world.set(f.a, a);
    const auto paced = world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).udp(1, 2));
    CHECK(paced.mark == MARK_PACED);
    CHECK(paced.priority == 7);
    __sk_buff context{};
    context.mark = MARK_PACED;
    const auto left = world.run(run.eni_egress, kEni, paced.frame, context);
    CHECK(left.action == TC_ACT_OK);
    CHECK(left.mark == MARK_JUDGED);

    a.flags = ENDPOINT_SHAPED_EGRESS;
    a.shaper_egress = kShaper;
    world.set(f.a, a);
    const auto shaped = world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.remote).udp(1, 2));
    CHECK(shaped.mark == MARK_SHAPED_EGRESS);
    context.mark = shaped.mark;
    const auto on = world.run(run.shaper_exit, kShaper, shaped.frame, context);
    CHECK(on.action == TC_ACT_REDIRECT);
    CHECK(on.mark == MARK_JUDGED);
    CHECK(on.frame == to_vpc().ip(f.a, f.remote).hops(63).udp(1, 2).bytes());

    const auto host = world.run(run.pod_egress, kHostEndA, from_a().ip(f.a, f.node).udp(1, 2));
    CHECK(host.mark == MARK_SHAPED_STACK);
    context.mark = host.mark;
    const auto back = world.run(run.shaper_exit, kShaper, host.frame, context);
    CHECK(back.action == TC_ACT_REDIRECT);
    context.mark = back.mark;
    const auto stack = world.run(run.pod_egress, kHostEndA, back.frame, context);
    CHECK(stack.action == TC_ACT_OK);
    CHECK(stack.mark == 0);

    auto b = world.endpoint(f.b);
    b.flags = ENDPOINT_SHAPED_INGRESS;
    b.shaper_ingress = kShaper;
    world.set(f.b, b);
    const auto in = world.run(run.eni_ingress, kEni, from_vpc().ip(f.remote, f.b).udp(1, 2));
    CHECK(in.mark == MARK_SHAPED_INGRESS);
    context.mark = in.mark;
    const auto delivered = world.run(run.shaper_exit, kShaper, in.frame, context);
    CHECK(delivered.action == TC_ACT_REDIRECT);
    CHECK(delivered.mark == 0);
    context.mark = 0;
    CHECK(world.run(run.shaper_exit, kShaper, in.frame, context).reason == DROP_NO_WAY_OUT);
  }
}

}  // namespace
}  // namespace terway::test
