// SPDX-License-Identifier: Apache-2.0
// Pods come, talk and go.
#include <algorithm>

#include "kernel/address.h"
#include "kernel/conntrack.h"
#include "kernel/link.h"
#include "kernel/rule.h"
#include "kernel/sysctl.h"
#include "tests/netns/datapath/node.h"

namespace terway::datapath {
namespace {

using namespace test;

TEST_CASE(
    "pods reach each other, the node, the VPC and back, in both families, and spoof nothing") {
  if (!can_run("reach")) return;
  Node node;
  auto datapath = node.open();
  node.bring_up(*datapath, "eni-1");
  node.bring_up(*datapath, "eni-2");
  auto a = node.add_pod(*datapath, 11, "eni-1");
  auto b = node.add_pod(*datapath, 12, "eni-2");
  const Echo on_node(node.node, kPort), on_outside(node.outside, kPort);
  check_reach(a->ns, "10.2.0.12", "10.2.0.11");
  check_reach(b->ns, "10.2.0.11", "10.2.0.12");
  check_reach(a->ns, "fd02::12", "fd02::11");
  check_reach(a->ns, kNodeAddress, "10.2.0.11");
  check_reach(b->ns, kNodeAddress6, "fd02::12");
  check_reach(a->ns, kOutside, "10.2.0.11");
  check_reach(b->ns, kOutside, "10.2.0.12");
  check_reach(b->ns, kOutside6, "fd02::12");
  check_reach(node.outside, "10.2.0.11", kOutside);
  check_reach(node.outside, "10.2.0.12", kOutside);
  check_reach(node.outside, "fd02::11", kOutside6);
  check_reach(node.node, "10.2.0.12", kNodeAddress);
  check_reach(node.node, "fd02::11", kNodeAddress6);
  check_reach(a->ns, "10.2.0.11", "10.2.0.11");
  CHECK(node.spoofed() == 0);
}

TEST_CASE("the number of rules does not grow with pods") {
  if (!can_run("rules")) return;
  Node node;
  auto datapath = node.open();
  node.bring_up(*datapath, "eni-1");
  auto socket = node.node.route_socket();
  const auto before = must(kernel::list_rules(socket, net::Family::V4)).size();
  std::vector<std::unique_ptr<Pod>> pods;
  for (unsigned n = 20; n < 30; ++n) pods.push_back(node.add_pod(*datapath, n, "eni-1"));
  CHECK(must(kernel::list_rules(socket, net::Family::V4)).size() == before);
}

TEST_CASE(
    "a pod's end is as promised: addresses at once, MACs, MTU, one queue, no router but ours") {
  if (!can_run("pod end")) return;
  Node node;
  shell(node.node, "ip link set eth1 mtu 1480");
  shell(node.vpc, "ip link set e1 mtu 1480");
  auto datapath = node.open();
  CHECK(node.bring_up(*datapath, "eni-1").mtu == 1480);
  auto pod = node.make_pod(11, "eni-1");
  const PodWired wired =
      node.node.run([&] { return must(datapath->add_pod(pod->plan, pod->ns.descriptor())); });
  CHECK(wired.mtu == 1480);
  CHECK(wired.gateways == std::vector{ip("169.254.1.1"), ip("fe80::1")});
  auto inner = pod->ns.route_socket();
  const auto link = must(kernel::get_link(inner, "eth0"));
  CHECK(link.mac == wired.pod_mac);
  CHECK(link.mtu == 1480);
  for (const auto& address : must(kernel::list_addresses(inner, net::Family::V6, link.ifindex))) {
    CHECK_FALSE(address.tentative());
  }
  CHECK(must(kernel::list_addresses(inner, net::Family::V6, link.ifindex)).size() == 2);
  const auto v4 = must(kernel::list_addresses(inner, net::Family::V4, link.ifindex));
  REQUIRE(v4.size() == 1);
  CHECK(v4[0].prefix == *net::Prefix::parse("10.2.0.11/32"));
  pod->ns.run([] { CHECK(must(kernel::read_sysctl("net/ipv6/conf/eth0/accept_ra")) == "0"); });
  CHECK(output_of(pod->ns, "ip route") ==
        "default via 169.254.1.1 dev eth0 onlink \n169.254.1.1 dev eth0 scope link \n");
  CHECK(output_of(pod->ns, "ls /sys/class/net/ 2>/dev/null; ip -d link show eth0")
            .find("numtxqueues 1") != std::string::npos);
  auto outer = node.node.route_socket();
  const auto host = must(kernel::get_link(outer, wired.host_ifname));
  CHECK(host.mac == wired.host_mac);
  CHECK(host.alias == "terway:container-11/eth0");
  node.node.run([&] { must(datapath->check_pod(pod->plan, pod->ns.descriptor())); });
}

TEST_CASE("an ADD says what is wrong and leaves nothing behind") {
  if (!can_run("bad add")) return;
  Node node;
  auto datapath = node.open();
  auto pod = node.make_pod(11, "eni-1");
  auto socket = node.node.route_socket();
  const auto links = must(kernel::list_links(socket)).size();
  const auto add = [&] {
    return node.node.run([&] { return datapath->add_pod(pod->plan, pod->ns.descriptor()); });
  };
  CHECK(add().is(Error::Kind::Unavailable));  // the ENI is not up
  node.bring_up(*datapath, "eni-1");
  pod->plan.addresses = {ip("10.2.0.11"), ip("10.2.0.12")};
  CHECK(add().is(Error::Kind::Invalid));
  pod->plan.addresses = {};
  CHECK(add().is(Error::Kind::Invalid));
  pod->plan.addresses = {ip("10.2.0.11")};
  shell(pod->ns, "ip link add eth0 type bridge");
  CHECK(add().is(Error::Kind::Exists));
  CHECK(must(kernel::list_links(socket)).size() == links);
  CHECK(output_of(node.node, "ip route show table 999").empty());
  CHECK(output_of(node.node, "nft list map inet terway pods4").find("10.2.0.11") ==
        std::string::npos);
}

TEST_CASE("a DEL removes what is that container's, and only that, as often as it is asked") {
  if (!can_run("del")) return;
  Node node;
  auto datapath = node.open();
  node.bring_up(*datapath, "eni-1");
  auto first = node.add_pod(*datapath, 11, "eni-1");
  auto other = node.add_pod(*datapath, 12, "eni-1");
  // The same pod again, in a new sandbox with the same address, before the old one's DEL.
  auto second = node.make_pod(11, "eni-1");
  second->plan.key.container_id = "container-11-again";
  node.node.run([&] { must(datapath->add_pod(second->plan, second->ns.descriptor())); });
  second->echo = std::make_unique<Echo>(second->ns, kPort);
  check_reach(node.outside, "10.2.0.11", kOutside);
  node.node.run([&] {
    const Desired desired{{node.eni("eni-1")}, {other->plan, second->plan}};
    CHECK(must(datapath->resync(desired, false)).total() == 0);
  });
  node.node.run([&] { must(datapath->remove_pod(first->plan)); });
  node.node.run([&] { must(datapath->remove_pod(first->plan)); });
  check_reach(node.outside, "10.2.0.11", kOutside);
  check_reach(other->ns, "fd02::11", "fd02::12");
  node.node.run([&] {
    CHECK(datapath->has_marked_links());
    must(datapath->delete_marked_links());
    CHECK_FALSE(datapath->has_marked_links());
  });
  check_reach(node.outside, "fd02::11", kOutside6);
  CHECK(output_of(first->ns, "ip link show eth0 2>/dev/null").empty());
  // An unknown one, and one whose namespace is gone.
  PodPlan unknown = first->plan;
  unknown.key.container_id = "never-seen";
  node.node.run([&] { must(datapath->remove_pod(unknown)); });
  check_reach(node.outside, "10.2.0.11", kOutside);
  other->echo.reset();
  PodPlan plan = other->plan;
  other.reset();
  node.node.run([&] { must(datapath->remove_pod(plan)); });
  CHECK(output_of(node.node, "nft list map inet terway pods4").find("10.2.0.12") ==
        std::string::npos);
  CHECK(node.spoofed() == 0);
}

TEST_CASE("an ADD into a namespace whose old link is still dying removes that one itself") {
  if (!can_run("dying")) return;
  Node node;
  auto datapath = node.open();
  node.bring_up(*datapath, "eni-1");
  auto pod = node.add_pod(*datapath, 11, "eni-1");
  for (const char* id : {"container-11", "another", "another"}) {
    PodPlan next = pod->plan;
    next.key.container_id = id;
    node.node.run([&] {
      must(datapath->remove_pod(pod->plan));
      must(datapath->add_pod(next, pod->ns.descriptor()));
    });
    pod->plan = next;
    check_reach(node.outside, "10.2.0.11", kOutside);
  }
  // Repeated without a DEL it replaces what is there.
  node.node.run([&] { must(datapath->add_pod(pod->plan, pod->ns.descriptor())); });
  check_reach(node.outside, "10.2.0.11", kOutside);
}

TEST_CASE("after a DEL nothing leaves by the wrong NIC, neither from the pod nor to it") {
  if (!can_run("after del")) return;
  Node node;
  auto datapath = node.open();
  node.bring_up(*datapath, "eni-1");
  auto pod = node.add_pod(*datapath, 11, "eni-1");
  const Echo on_outside(node.outside, kPort);
  check_reach(pod->ns, kOutside, "10.2.0.11");
  node.node.run([&] { must(datapath->remove_pod(pod->plan)); });
  CHECK_FALSE(ping(pod->ns, ip(kOutside)));
  CHECK_FALSE(ping(node.outside, ip("10.2.0.11")));
  CHECK_FALSE(ping(node.outside, ip("fd02::11")));
  CHECK(node.spoofed() == 0);
  node.node.run([&] { must(datapath->delete_marked_links()); });
  auto netfilter = node.node.netfilter_socket();
  for (const auto& connection : must(kernel::list_connections(netfilter, net::Family::V4))) {
    CHECK(connection.source != ip("10.2.0.11"));
  }
}

TEST_CASE("while an ENI is down, nothing of its pods leaves by another NIC") {
  if (!can_run("eni down")) return;
  Node node;
  auto datapath = node.open();
  node.bring_up(*datapath, "eni-1");
  auto pod = node.add_pod(*datapath, 11, "eni-1");
  shell(node.node, "ip link set eth1 down");
  CHECK_FALSE(ping(pod->ns, ip(kOutside)));
  CHECK(node.spoofed() == 0);
  // A family without a gateway is no way out either.
  EniPlan v4_only = node.eni("eni-2");
  v4_only.gateway_v6.reset();
  for (int i = 0; i < 100; ++i) {
    if (node.node.run([&] { return datapath->bring_up(v4_only).ok(); })) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  auto other = node.add_pod(*datapath, 12, "eni-2");
  CHECK(output_of(node.node, "ip -6 route get fd77::2 from fd02::12 iif " +
                                 host_ifname_of(other->plan.key) + " mark 0x6 2>&1")
            .find("No route to host") != std::string::npos);
}

TEST_CASE("an address that moves to another ENI leaves no trace of the first") {
  if (!can_run("move")) return;
  Node node;
  auto datapath = node.open();
  node.bring_up(*datapath, "eni-1");
  node.bring_up(*datapath, "eni-2");
  auto pod = node.add_pod(*datapath, 11, "eni-1");
  const Echo on_outside(node.outside, kPort);
  check_reach(pod->ns, kOutside, "10.2.0.11");
  node.node.run([&] { must(datapath->remove_pod(pod->plan)); });
  auto moved = node.make_pod(11, "eni-2");
  moved->plan.key.container_id = "moved";
  node.node.run([&] {
    must(datapath->add_pod(moved->plan, moved->ns.descriptor()));
    must(datapath->flush_address(ip("10.2.0.11")));
  });
  moved->echo = std::make_unique<Echo>(moved->ns, kPort);
  check_reach(moved->ns, kOutside, "10.2.0.11");
  check_reach(moved->ns, kOutside6, "fd02::11");
  check_reach(node.outside, "10.2.0.11", kOutside);
  const std::string map = output_of(node.node, "nft list map inet terway pods4");
  CHECK(std::count(map.begin(), map.end(), ':') == 2);  // "type ipv4_addr : verdict", one element
  CHECK(node.spoofed() == 0);
}

TEST_CASE("CHECK names what is missing") {
  if (!can_run("check")) return;
  Node node;
  auto datapath = node.open();
  node.bring_up(*datapath, "eni-1");
  auto pod = node.add_pod(*datapath, 11, "eni-1");
  const auto check = [&] {
    auto result =
        node.node.run([&] { return datapath->check_pod(pod->plan, pod->ns.descriptor()); });
    return result.ok() ? std::string() : result.error().message();
  };
  CHECK(check().empty());
  shell(pod->ns, "ip route del default");
  CHECK(check().find("no route 0.0.0.0/0 via 169.254.1.1") != std::string::npos);
  shell(pod->ns, "ip route add default via 169.254.1.1 dev eth0 onlink");
  CHECK(check().empty());
  shell(pod->ns, "ip -6 addr del fd02::11/128 dev eth0");
  CHECK(check().find("no address fd02::11") != std::string::npos);
  shell(pod->ns, "ip -6 addr add fd02::11/128 dev eth0 nodad");
  CHECK(check().empty());
  shell(node.node, "ip route flush table 999");
  CHECK(check().find("no route 10.2.0.11/32") != std::string::npos);
}

}  // namespace
}  // namespace terway::datapath
