// SPDX-License-Identifier: Apache-2.0
// Packets on the fast path: where the node's own stack is in the way, and where it is not.
#include "bpf/abi.h"
#include "tests/netns/fast_path/fast_node.h"

namespace terway::datapath {
namespace {

using namespace test;

TEST_CASE("pods and the VPC reach each other past the node's stack") {
  if (!can_load("past the stack")) return;
  FastNode fast;
  Pod& pod = fast.add_pod(11, "eni-1");
  const Echo outside(fast.node.outside, kPort);
  const long before = fast.forwarded();
  CHECK(ask_tcp(pod.ns, ip(kOutside), kPort) == "10.2.0.11");
  CHECK(ask_udp(pod.ns, ip(kOutside), kPort) == "10.2.0.11");
  CHECK(ask_tcp(pod.ns, ip(kOutside6), kPort) == "fd02::11");
  CHECK(ask_udp(pod.ns, ip(kOutside6), kPort) == "fd02::11");
  CHECK(ping(pod.ns, ip(kOutside)));
  CHECK(ping(pod.ns, ip(kOutside6)));
  CHECK(ask_tcp(fast.node.outside, ip("10.2.0.11"), kPort) == kOutside);
  CHECK(ask_udp(fast.node.outside, ip("10.2.0.11"), kPort) == kOutside);
  CHECK(ask_tcp(fast.node.outside, ip("fd02::11"), kPort) == kOutside6);
  CHECK(ping(fast.node.outside, ip("10.2.0.11")));
  CHECK(ping(fast.node.outside, ip("fd02::11")));
  CHECK(fast.forwarded() == before);
  CHECK(fast.node.spoofed() == 0);
}

TEST_CASE("pods of a node reach each other past its stack, on one ENI and on two") {
  if (!can_load("pod to pod")) return;
  FastNode fast;
  Pod& one = fast.add_pod(11, "eni-1");
  fast.add_pod(12, "eni-1");
  fast.add_pod(13, "eni-2");
  const long before = fast.forwarded();
  for (const char* to : {"10.2.0.12", "10.2.0.13"}) {
    CHECK(ask_tcp(one.ns, ip(to), kPort) == "10.2.0.11");
    CHECK(ask_udp(one.ns, ip(to), kPort) == "10.2.0.11");
    CHECK(ping(one.ns, ip(to)));
  }
  for (const char* to : {"fd02::12", "fd02::13"}) {
    CHECK(ask_tcp(one.ns, ip(to), kPort) == "fd02::11");
    CHECK(ping(one.ns, ip(to)));
  }
  CHECK(fast.forwarded() == before);
}

TEST_CASE("a pod and its node reach each other, by each of the node's addresses") {
  if (!can_load("pod and node")) return;
  FastNode fast;
  Pod& pod = fast.add_pod(11, "eni-1");
  const Echo on_node(fast.node.node, kPort);
  CHECK(ask_tcp(fast.node.node, ip("10.2.0.11"), kPort));
  CHECK(ask_udp(fast.node.node, ip("fd02::11"), kPort));
  CHECK(ping(fast.node.node, ip("10.2.0.11")));
  CHECK(ask_tcp(pod.ns, ip(kNodeAddress), kPort) == "10.2.0.11");
  CHECK(ask_udp(pod.ns, ip(kNodeAddress), kPort) == "10.2.0.11");
  CHECK(ask_tcp(pod.ns, ip(kNodeAddress6), kPort) == "fd02::11");
  CHECK(ping(pod.ns, ip(kNodeAddress)));
  // One that comes later, such as a node-local cache's.
  shell(fast.node.node,
        "ip link add cache0 type bridge; "
        "ip link set cache0 up; ip addr add 169.254.20.10/32 dev cache0; "
        "ip addr add 10.55.0.5/32 dev cache0");
  CHECK(fast.heal().programs > 0);
  CHECK(ask_tcp(pod.ns, ip("169.254.20.10"), kPort) == "10.2.0.11");
  CHECK(ask_tcp(pod.ns, ip("10.55.0.5"), kPort) == "10.2.0.11");
}

TEST_CASE("a Service that the node's stack translates works, whatever NIC it is asked through") {
  if (!can_load("services")) return;
  FastNode fast;
  fast.add_pod(12, "eni-2");
  fast.node.translate_services();
  fast.node.check_services();
}

TEST_CASE("a pod reaches a Service that the node's stack translates, to a pod and to itself") {
  if (!can_load("cluster IP")) return;
  FastNode fast;
  Pod& one = fast.add_pod(11, "eni-1");
  fast.add_pod(12, "eni-2");
  const Echo outside(fast.node.outside, kPort);
  shell(fast.node.node,
        "nft 'add table inet svc; "
        "add chain inet svc pre { type nat hook prerouting priority -100; }; "
        "add rule inet svc pre ip daddr 10.99.0.7 tcp dport 80 dnat ip to 10.2.0.12:7000; "
        "add rule inet svc pre ip daddr 10.99.0.8 tcp dport 80 dnat ip to 10.77.0.2:7000; "
        "add rule inet svc pre ip6 daddr fd99::7 tcp dport 80 dnat ip6 to [fd02::12]:7000'");
  CHECK(ask_tcp(one.ns, ip("10.99.0.7"), 80) == "10.2.0.11");
  CHECK(ask_tcp(one.ns, ip("10.99.0.8"), 80) == "10.2.0.11");
  CHECK(ask_tcp(one.ns, ip("fd99::7"), 80) == "fd02::11");
}

TEST_CASE("a pod sends with no address but its own") {
  if (!can_load("spoofing")) return;
  FastNode fast;
  Pod& pod = fast.add_pod(11, "eni-1");
  const Echo outside(fast.node.outside, kPort);
  shell(pod.ns,
        "ip addr add 10.2.0.77/32 dev eth0; ip -6 addr add fd02::77/128 dev eth0 nodad; "
        "ip route replace 10.77.0.0/24 via 169.254.1.1 dev eth0 onlink src 10.2.0.77");
  CHECK_FALSE(ask_udp(pod.ns, ip(kOutside), kPort));
  CHECK(fast.drops(abi::DROP_SPOOFED_IP, abi::DIRECTION_EGRESS) > 0);
  CHECK(fast.node.spoofed() == 0);
}

TEST_CASE("pods do not reach the metadata service where that is switched off") {
  if (!can_load("metadata")) return;
  FastNode fast;
  auto settings = fast.settings();
  settings.pods_reach_metadata = false;
  fast.datapath = fast.node.node.run([&] { return must(Datapath::open(settings)); });
  fast.node.bring_up(*fast.datapath, "eni-1");
  fast.node.bring_up(*fast.datapath, "eni-2");
  Pod& pod = fast.add_pod(11, "eni-1");
  fast.resync();
  CHECK_FALSE(ping(pod.ns, ip("100.100.100.200")));
  CHECK(fast.drops(abi::DROP_BLOCKED, abi::DIRECTION_EGRESS) > 0);
}

}  // namespace
}  // namespace terway::datapath
