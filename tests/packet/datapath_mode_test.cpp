// SPDX-License-Identifier: Apache-2.0
// The other two ways to attach the core: IPVLAN pods behind a shared ENI, pods with an ENI of their
// own; and between the modes.
#include <doctest/doctest.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>

#include "tests/packet/world.h"

namespace terway::test {
namespace {

using namespace abi;

Packet from_i() { return Packet::from(kMacParent).to(kGateway); }
Packet turned() { return Packet::from(kMacParent).to(kMacParent); }
Packet by_stack() { return Packet::from(kMacParent).to(kMacStack); }

TEST_CASE("an IPVLAN pod's packet for the VPC leaves as it is, and the answer comes in") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const auto out = from_i().ip(f.i, f.remote).tcp(5, 6);
    const auto sent = world.run_as(kNetnsI, run.ipvlan_egress, kParent, out);
    CHECK(sent.action == TC_ACT_OK);
    CHECK(sent.reason == DROP_NONE);
    CHECK(sent.frame == out.bytes());
    const auto reply = Packet::from(kGateway).to(kMacParent).ip(f.remote, f.i).tcp(6, 5, 0x12);
    const auto got = world.run(run.ipvlan_ingress, kParent, reply);
    CHECK(got.action == TC_ACT_OK);
    CHECK(got.frame == reply.bytes());
    CHECK((world.flow(f.i, 5, f.remote, 6, IPPROTO_TCP)->flags & FLOW_REPLIED) != 0);
  }
}

TEST_CASE("between IPVLAN pods of one ENI the frame is turned around, judged once") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const auto out =
        world.run_as(kNetnsI, run.ipvlan_egress, kParent, from_i().ip(f.i, f.j).udp(5, 6));
    CHECK(out.action == TC_ACT_REDIRECT);
    CHECK(out.mark == kTurnMark);
    CHECK(out.frame == turned().ip(f.i, f.j).udp(5, 6).bytes());
    __sk_buff context{};
    context.mark = out.mark;
    const auto in = world.run(run.ipvlan_ingress, kParent, out.frame, context);
    CHECK(in.action == TC_ACT_OK);
    CHECK(in.mark == 0);  // J may read it
    CHECK_FALSE(in.reason.has_value());
    const auto back =
        world.run_as(kNetnsJ, run.ipvlan_egress, kParent, from_i().ip(f.j, f.i).udp(6, 5));
    CHECK(back.action == TC_ACT_REDIRECT);
    CHECK((world.flow(f.i, 5, f.j, 6, IPPROTO_UDP)->flags & FLOW_REPLIED) != 0);
  }
}

TEST_CASE("no mark of a pod's own lets it pass") {
  World world;
  auto& run = world.programs()->progs;
  for (const std::uint32_t mark : {MARK_JUDGED, MARK_PACED, MARK_SHAPED_EGRESS}) {
    __sk_buff context{};
    context.mark = mark;
    const auto frame = Packet::from(kGateway).to(kMacParent).ip(kV4.remote, "10.0.0.99").udp(1, 2);
    CHECK(world.run(run.ipvlan_ingress, kParent, frame.bytes(), context).reason ==
          DROP_UNKNOWN_POD);
  }
  // Where there is no mark for what is turned, none is it.
  auto config = world.config();
  config.turn_mark = 0;
  world.set(config);
  const auto frame = Packet::from(kGateway).to(kMacParent).ip(kV4.remote, "10.0.0.99").udp(1, 2);
  CHECK(world.run(run.ipvlan_ingress, kParent, frame).reason == DROP_UNKNOWN_POD);
}

TEST_CASE("an IPVLAN pod and its node reach each other, and Services of the stack") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    for (const char* to : {f.node, f.service}) {
      const auto out =
          world.run_as(kNetnsI, run.ipvlan_egress, kParent, from_i().ip(f.i, to).tcp(5, 6));
      CHECK(out.action == TC_ACT_REDIRECT);
      CHECK(out.mark == 0);
      CHECK(out.frame == by_stack().ip(f.i, to).tcp(5, 6).bytes());
    }
    // The stack, for the Service, to J; J's answer has to go there again, and so has a remote one.
    const auto from_host = [] { return Packet::from(kMacParent).to(kMacParent); };
    const auto to_j =
        world.run_as(0, run.ipvlan_egress, kParent, from_host().ip(f.i, f.j).tcp(7, 8));
    CHECK(to_j.action == TC_ACT_REDIRECT);
    CHECK(to_j.mark == kTurnMark);
    const auto answer =
        world.run_as(kNetnsJ, run.ipvlan_egress, kParent, from_i().ip(f.j, f.i).tcp(8, 7, 0x12));
    CHECK(answer.frame == by_stack().ip(f.j, f.i).tcp(8, 7, 0x12).bytes());
    const auto far =
        world.run_as(0, run.ipvlan_egress, kParent, from_i().ip(f.i, f.remote).tcp(9, 8));
    CHECK(far.action == TC_ACT_OK);
    const auto reply = Packet::from(kGateway).to(kMacParent).ip(f.remote, f.i).tcp(8, 9, 0x12);
    CHECK(world.run(run.ipvlan_ingress, kParent, reply).frame ==
          Packet::from(kGateway).to(kMacStack).ip(f.remote, f.i).tcp(8, 9, 0x12).bytes());
    // A probe by the kubelet.
    const auto probe =
        world.run_as(0, run.ipvlan_egress, kParent, from_host().ip(f.node, f.i).tcp(3, 80));
    CHECK(probe.action == TC_ACT_REDIRECT);
    CHECK(probe.direction == DIRECTION_INGRESS);
  }
  // Probes for the gateway, and their answers. A broadcast of the host's has another type than the
  // test run gives it: that one is ipvlan's, of a pod.
  const auto ask = [](const char* to) {
    return Packet::from(kMacParent).to(to).arp_request(kMacParent, "0.0.0.0", kV4.j);
  };
  CHECK(world.run_as(0, run.ipvlan_egress, kParent, ask(kGateway)).action == TC_ACT_OK);
  CHECK(world.run_as(0, run.ipvlan_egress, kParent, ask(kBroadcast)).reason == DROP_MULTICAST);
  const auto told =
      Packet::from(kGateway).to(kMacParent).arp_reply(kV4.j, kGateway, "0.0.0.0", kMacParent);
  CHECK(world.run(run.ipvlan_ingress, kParent, told).action == TC_ACT_OK);
  // Without the device there is no way.
  auto config = world.config();
  config.stack_ifindex = 0;
  world.set(config);
  CHECK(world.run_as(kNetnsI, run.ipvlan_egress, kParent, from_i().ip(kV4.i, kV4.node).udp(1, 2))
            .reason == DROP_NO_WAY_OUT);
}

TEST_CASE("an address is whose the map says, not whoever's slave has it") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const auto in = [&](const char* to) {
      return Packet::from(kGateway).to(kMacParent).ip(f.remote, to).udp(1, 2);
    };
    CHECK(world.run(run.ipvlan_ingress, kParent, in(f.a)).reason == DROP_UNKNOWN_POD);
    const char* nobody = f.a == kV4.a ? "10.0.0.99" : "2001:db8::99";
    CHECK(world.run(run.ipvlan_ingress, kParent, in(nobody)).reason == DROP_UNKNOWN_POD);
    CHECK(world.run(run.ipvlan_ingress, kParent, in(f.node)).frame ==
          Packet::from(kGateway).to(kMacStack).ip(f.remote, f.node).udp(1, 2).bytes());
  }
}

TEST_CASE("from an IPVLAN pod to a veth pod of the node and back") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const auto out =
        world.run_as(kNetnsI, run.ipvlan_egress, kParent, from_i().ip(f.i, f.a).udp(5, 6));
    CHECK(out.action == TC_ACT_REDIRECT);
    CHECK(out.mark == MARK_JUDGED);
    CHECK(out.frame == Packet::from(kMacParent).to(kMacA).ip(f.i, f.a).udp(5, 6).bytes());
    __sk_buff context{};
    context.mark = out.mark;
    const auto in = world.run(run.pod_ingress, kHostEndA, out.frame, context);
    CHECK(in.action == TC_ACT_OK);
    CHECK_FALSE(in.reason.has_value());
  }
}

TEST_CASE("an exclusive pod's packets pass its NIC as they are") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    for (const char* to : {f.remote, f.a}) {
      const auto out = Packet::from(kMacNic).to(kGateway).ip(f.x, to).tcp(5, 6);
      const auto sent = world.run(run.exclusive_egress, kNic, out);
      CHECK(sent.action == TC_ACT_OK);
      CHECK(sent.reason == DROP_NONE);
      CHECK(sent.frame == out.bytes());
      const auto reply = Packet::from(kGateway).to(kMacNic).ip(to, f.x).tcp(6, 5, 0x12);
      const auto got = world.run(run.exclusive_ingress, kNic, reply);
      CHECK(got.action == TC_ACT_OK);
      CHECK(got.frame == reply.bytes());
    }
    const auto astray = Packet::from(kGateway).to(kMacNic).ip(f.remote, f.a).udp(1, 2);
    CHECK(world.run(run.exclusive_ingress, kNic, astray).reason == DROP_UNKNOWN_POD);
    const auto blocked = Packet::from(kMacNic).to(kGateway).ip(f.x, f.blocked).tcp(1, 80);
    CHECK(world.run(run.exclusive_egress, kNic, blocked).reason == DROP_BLOCKED);
  }
  const auto ask = Packet::from(kMacNic).to(kBroadcast).arp_request(kMacNic, kV4.x, "10.0.0.253");
  CHECK(world.run(run.exclusive_egress, kNic, ask).action == TC_ACT_OK);
}

TEST_CASE("an exclusive pod's way to the host's stack is its pair") {
  World world;
  auto& run = world.programs()->progs;
  for (const auto& f : {kV4, kV6}) {
    const auto pair = [] { return Packet::from(kMacPeer).to(kMacHostEnd); };
    CHECK(world.run(run.pod_egress, kPeer, pair().ip(f.x, f.node).udp(5, 6)).action == TC_ACT_OK);
    // What the node began (a NodePort) and the pod's routes would answer by its NIC.
    const auto to_x = Packet::from(kMacHostEnd).to(kMacPeer).ip(f.remote, f.x).tcp(9, 80);
    CHECK(world.run(run.pod_ingress, kPeer, to_x).action == TC_ACT_OK);
    const auto answer = Packet::from(kMacNic).to(kGateway).ip(f.x, f.remote).tcp(80, 9, 0x12);
    const auto turned = world.run(run.exclusive_egress, kNic, answer);
    CHECK(turned.action == TC_ACT_REDIRECT);
    CHECK(turned.frame ==
          Packet::from(kMacPeer).to(kGateway).ip(f.x, f.remote).tcp(80, 9, 0x12).bytes());
    CHECK(world.run(run.pod_egress, kPeer, turned.frame).action == TC_ACT_OK);
    auto x = world.endpoint(f.x);
    x.peer_inner_ifindex = 0;
    world.set(f.x, x);
    CHECK(world.run(run.exclusive_egress, kNic, answer).reason == DROP_NO_WAY_OUT);
  }
}

}  // namespace
}  // namespace terway::test
