// SPDX-License-Identifier: Apache-2.0
// What somebody else changes comes back, and nothing else is touched.
#include <functional>

#include "datapath/names.h"
#include "kernel/link.h"
#include "kernel/sysctl.h"
#include "tests/netns/datapath/node.h"

namespace terway::datapath {
namespace {

using namespace test;

struct Wired {
  Node node;
  std::unique_ptr<Datapath> datapath = node.open();
  EniNic nic1 = node.bring_up(*datapath, "eni-1");
  EniNic nic2 = node.bring_up(*datapath, "eni-2");
  std::unique_ptr<Pod> a = node.add_pod(*datapath, 11, "eni-1");
  std::unique_ptr<Pod> b = node.add_pod(*datapath, 12, "eni-2");
  Echo outside{node.outside, kPort};

  Desired desired() const { return {{node.eni("eni-1"), node.eni("eni-2")}, {a->plan, b->plan}}; }
  Drift resync(bool authoritative = true) {
    return node.node.run([&] { return must(datapath->resync(desired(), authoritative)); });
  }
  void drain() {
    node.node.run([&] { must(datapath->drain_events()); });
  }
  void check_traffic() const {
    CHECK(ask_tcp(a->ns, ip(kOutside), kPort) == "10.2.0.11");
    CHECK(ask_tcp(b->ns, ip(kOutside6), kPort) == "fd02::12");
    CHECK(ask_tcp(node.outside, ip("10.2.0.12"), kPort) == kOutside);
    CHECK(ask_tcp(a->ns, ip("fd02::12"), kPort) == "fd02::11");
    CHECK(ask_tcp(node.node, ip("10.2.0.11"), kPort) == kNodeAddress);
    CHECK(node.spoofed() == 0);
  }
};

std::string joined(const Drift& drift) {
  std::string text;
  for (const auto& line : drift.what) text += line + "; ";
  return text;
}

TEST_CASE("a second apply changes nothing, authoritative or not") {
  if (!can_run("idempotent")) return;
  Wired wired;
  for (const bool authoritative : {true, false, true}) {
    const Drift drift = wired.resync(authoritative);
    CHECK_MESSAGE(drift.total() == 0, joined(drift));
  }
  wired.check_traffic();
}

TEST_CASE("our own work is no reason to look again") {
  if (!can_run("own events")) return;
  Wired wired;
  wired.drain();
  auto pod = wired.node.add_pod(*wired.datapath, 13, "eni-1");
  wired.node.node.run([&] {
    CHECK_FALSE(must(wired.datapath->drain_events()));
    must(wired.datapath->remove_pod(pod->plan));
    CHECK_FALSE(must(wired.datapath->drain_events()));
    must(wired.datapath->delete_marked_links());
    CHECK_FALSE(must(wired.datapath->drain_events()));
  });
}

TEST_CASE("what is flushed or changed is seen at once and healed") {
  if (!can_run("heal")) return;
  Wired wired;
  const std::string cali = host_ifname_of(wired.a->plan.key);
  const std::vector<std::string> damages = {
      "ip rule flush; ip rule add pref 32766 lookup main; ip rule add pref 32767 lookup default",
      "ip -6 rule del pref 512",
      "ip rule del pref 2048 fwmark 0xee/0xee",
      "ip route flush table 999",
      "ip -6 route flush table 999",
      "ip route flush table " + std::to_string(wired.nic1.table),
      "ip -6 route flush table " + std::to_string(wired.nic2.table),
      "nft delete table inet terway",
      "nft flush map inet terway pods4",
      "nft flush chain inet terway from_pod",
      "nft insert rule inet terway prerouting counter drop",
      "ip neigh flush nud permanent dev eth1",
      "ip -6 neigh flush nud permanent dev " + cali,
      "ip link set eth1 down",
      "ip link set " + cali + " down",
      "ip link set " + cali + " address 02:00:00:00:00:99",
      "ip link set " + cali + " group 0",
      "ip addr flush dev eth1",
      "ip addr add 10.2.0.11/24 dev eth1",
  };
  for (const std::string& damage : damages) {
    CAPTURE(damage);
    wired.drain();
    shell(wired.node.node, damage);
    CHECK(wait_for_event(wired.node, *wired.datapath));
    // As the daemon does before its caches have synced: what is missing is added all the same.
    const bool adds_nothing = damage.find(" add ") == std::string::npos;
    CHECK(wired.resync(!adds_nothing).total() > 0);
    wired.check_traffic();
    wired.drain();
    const Drift again = wired.resync();
    CHECK_MESSAGE(again.total() == 0, joined(again));
  }
}

TEST_CASE("the node's addresses coming and going take nothing along") {
  if (!can_run("networkd")) return;
  Wired wired;
  shell(wired.node.node,
        "ip addr flush dev eth0 scope global; ip link set eth0 down; ip link set eth0 up; "
        "ip addr add 10.1.0.10/24 dev eth0; ip -6 addr add fd01::10/64 dev eth0 nodad; "
        "ip route add default via 10.1.0.253; ip -6 route add default via fd01::253");
  CHECK(wait_for_event(wired.node, *wired.datapath));
  wired.resync();
  wired.check_traffic();
  CHECK(wired.resync().total() == 0);
}

// Everything about rules, routes, addresses, neighbours, links, tables and sysctls that is not
// ours.
std::string foreign_state(const Node& node) {
  return output_of(
      node.node,
      "ip rule | grep -v 'proto 84'; ip -6 rule | grep -v 'proto 84'; "
      "ip route show table all | grep -v 'proto 84' | grep -v ' cali' | grep -v 'eth[12]'; "
      "ip -6 route show table all | grep -v 'proto 84' | grep -v ' cali' | "
      "grep -v 'eth[12]' | grep -v ' ff00::' | grep -v fe80; "
      "ip addr show eth0; ip addr show eth9; ip -d link show eth9; "
      "nft list tables | grep -v terway; nft list table inet other; "
      "for d in eth0 eth9 all default lo; do for f in rp_filter arp_ignore "
      "accept_redirects; do cat /proc/sys/net/ipv4/conf/$d/$f; done; done");
}

TEST_CASE("foreign rules, routes, tables and NICs are left alone") {
  if (!can_run("foreign")) return;
  Node node;
  shell(node.vpc, "ip link add e9 type veth peer name eth9 netns /proc/" +
                      std::to_string(::getpid()) + "/fd/" + std::to_string(node.node.fd()) +
                      " address 0e:00:00:00:09:09");
  shell(
      node.node,
      "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; "
      "ip link set eth9 up; ip addr add 10.9.0.1/24 dev eth9; "
      "ip rule add pref 512 to 10.200.0.0/16 lookup 77; ip rule add pref 600 fwmark 0x10/0x10 "
      "lookup 100; "
      "ip rule add pref 2048 iif eth9 lookup 78; ip route add 10.201.0.0/16 via 10.9.0.2 table 77; "
      "ip route add 10.202.0.1/32 dev eth9; nft add table inet other; nft add chain inet other c");
  const std::string before = foreign_state(node);
  auto settings = Node::settings();
  settings.unmanaged = {*net::Mac::parse("0e:00:00:00:09:09")};
  auto datapath = node.node.run([&] { return must(Datapath::open(settings)); });
  node.bring_up(*datapath, "eni-1");
  EniPlan not_ours = node.eni("eni-1");
  not_ours.eni_id = "eni-9";
  not_ours.mac = settings.unmanaged[0];
  EniPlan primary = not_ours;
  primary.eni_id = "eni-0";
  primary.mac = *net::Mac::parse("0e:00:00:00:01:10");
  node.node.run([&] {
    CHECK(datapath->bring_up(not_ours).is(Error::Kind::Invalid));
    CHECK(datapath->bring_up(primary).is(Error::Kind::Invalid));
  });
  auto pod = node.add_pod(*datapath, 11, "eni-1");
  node.node.run([&] {
    must(datapath->resync({{node.eni("eni-1"), not_ours, primary}, {pod->plan}}, true));
    must(datapath->remove_pod(pod->plan));
    must(datapath->delete_marked_links());
    must(datapath->resync({{node.eni("eni-1")}, {}}, true));
    must(datapath->tear_down("eni-1"));
    must(datapath->resync({}, true));
  });
  CHECK(foreign_state(node) == before);
}

TEST_CASE("an ENI taken out of use leaves no rule, route, neighbour or connection mark") {
  if (!can_run("tear down")) return;
  Wired wired;
  wired.check_traffic();
  wired.node.node.run([&] {
    must(wired.datapath->remove_pod(wired.b->plan));
    must(wired.datapath->tear_down("eni-2"));
    must(wired.datapath->tear_down("eni-2"));
  });
  const std::string table = std::to_string(wired.nic2.table);
  CHECK(output_of(wired.node.node, "ip rule; ip -6 rule").find(table) == std::string::npos);
  CHECK(output_of(wired.node.node, "ip route show table " + table + " 2>/dev/null").empty());
  CHECK(output_of(wired.node.node, "ip neigh show dev eth2 nud permanent").empty());
  CHECK(output_of(wired.node.node, "ip link show eth2 up").empty());
  CHECK(ask_tcp(wired.a->ns, ip(kOutside), kPort) == "10.2.0.11");
}

TEST_CASE("a restart finds everything and changes nothing, and traffic never stops") {
  if (!can_run("restart")) return;
  Wired wired;
  wired.datapath.reset();
  CHECK(ask_tcp(wired.a->ns, ip(kOutside), kPort) == "10.2.0.11");
  const std::string before = output_of(wired.node.node, "nft -a list table inet terway; ip rule");
  wired.datapath = wired.node.open();
  wired.node.node.run([&] {
    auto found = must(wired.datapath->find_attachments());
    REQUIRE(found.size() == 2);
    for (const auto& attachment : found) {
      const auto& plan = attachment.key == wired.a->plan.key ? wired.a->plan : wired.b->plan;
      CHECK(attachment.key == plan.key);
      CHECK(attachment.addresses == plan.addresses);
    }
  });
  wired.check_traffic();
  const Drift drift = wired.resync(false);
  CHECK_MESSAGE(drift.total() == 0, joined(drift));
  const Drift pruned = wired.resync(true);
  CHECK_MESSAGE(pruned.total() == 0, joined(pruned));
  CHECK(output_of(wired.node.node, "nft -a list table inet terway; ip rule") == before);
  wired.check_traffic();
}

TEST_CASE("a pod that vanished while nobody looked is swept, but only when that is certain") {
  if (!can_run("sweep")) return;
  Wired wired;
  Desired without = wired.desired();
  without.pods.pop_back();
  wired.datapath.reset();
  wired.datapath = wired.node.open();
  wired.node.node.run([&] { CHECK(must(wired.datapath->resync(without, false)).total() == 0); });
  wired.check_traffic();
  wired.node.node.run([&] {
    CHECK(must(wired.datapath->resync(without, true)).total() > 0);
    CHECK(wired.datapath->has_marked_links());
    must(wired.datapath->delete_marked_links());
    CHECK(must(wired.datapath->resync(without, true)).total() == 0);
    CHECK(must(wired.datapath->find_attachments()).size() == 1);
  });
  CHECK_FALSE(ping(wired.node.outside, ip("10.2.0.12")));
  CHECK(wired.node.spoofed() == 0);
}

TEST_CASE("a NIC that comes late is waited for without waiting, and taken when it is there") {
  if (!can_run("late")) return;
  Node node(false);
  auto datapath = node.open();
  const auto step = [&] {
    return node.node.run([&] { return datapath->bring_up(node.eni("eni-1")); });
  };
  const auto missing = step();
  REQUIRE(missing.is(Error::Kind::NotFound));
  CHECK(missing.error().message().find("no NIC with MAC 0e:00:00:00:02:01") != std::string::npos);
  node.node.run([&] { must(datapath->drain_events()); });
  node.attach_eni("eni-1");
  CHECK(wait_for_event(node, *datapath));
  CHECK(node.bring_up(*datapath, "eni-1").ifname == "eth1");
  // Gone again, and back under another index.
  shell(node.vpc, "ip link del e1");
  CHECK(wait_for_event(node, *datapath));
  CHECK(step().is(Error::Kind::NotFound));
  node.attach_eni("eni-1");
  auto nic = node.bring_up(*datapath, "eni-1");
  auto pod = node.add_pod(*datapath, 11, "eni-1");
  const Echo outside(node.outside, kPort);
  CHECK(ask_tcp(pod->ns, ip(kOutside), kPort) == "10.2.0.11");
}

TEST_CASE("a gateway that is silent is named, and a macvlan with the ENI's MAC is not the ENI") {
  if (!can_run("silent")) return;
  Node node;
  shell(node.vpc, "ip addr flush dev e1");
  shell(node.node,
        "ip link add link eth1 name aaa0 address 0e:00:00:00:02:01 type macvlan mode bridge");
  auto datapath = node.open();
  const auto step = [&] {
    return node.node.run([&] { return datapath->bring_up(node.eni("eni-1")); });
  };
  std::string last;
  for (int i = 0; i < 100 && last.find("gateway") == std::string::npos; ++i) {
    last = step().error().message();  // at first: no carrier yet
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CAPTURE(last);
  CHECK(last.find("gateway 10.2.0.253 has not answered on eth1") != std::string::npos);
  shell(node.vpc, "ip addr add 10.2.0.253/32 dev e1; ip -6 addr add fd02::253/128 dev e1 nodad");
  CHECK(node.bring_up(*datapath, "eni-1").ifname == "eth1");
}

TEST_CASE("a gateway that changes its MAC is learnt again") {
  if (!can_run("gateway MAC")) return;
  Wired wired;
  shell(wired.node.vpc,
        "ip link set e1 down; ip link set e1 address 0e:00:00:00:02:aa; "
        "ip link set e1 up; ip route add 10.2.0.11 dev e1; "
        "ip -6 addr add fd02::253/128 dev e1 nodad 2>/dev/null; "
        "ip -6 route add fd02::11 dev e1 2>/dev/null; true");
  wired.node.assign(ip("10.2.0.11"), "eni-1");
  wired.node.assign(ip("fd02::11"), "eni-1");
  // The regular look asks again; its answer is an event.
  for (int i = 0;
       i < 100 && output_of(wired.node.node, "ip neigh show dev eth1; ip -6 neigh show dev eth1")
                          .find("02:aa") == std::string::npos;
       ++i) {
    wired.resync();
    (void)wait_for_event(wired.node, *wired.datapath);
  }
  wired.resync();
  wired.check_traffic();
}

}  // namespace
}  // namespace terway::datapath
