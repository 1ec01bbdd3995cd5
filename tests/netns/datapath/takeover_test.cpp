// SPDX-License-Identifier: Apache-2.0
// A node that the Go implementation ran before.
#include "datapath/names.h"
#include "tests/netns/datapath/node.h"

namespace terway::datapath {
namespace {

using namespace test;

// As upstream wires a pod: link named by namespace and pod, route in main, two rules.
void wire_as_upstream(const Node& node, const Pod& pod, const std::string& name,
                      const std::string& table) {
  const std::string pod_ns =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(pod.ns.fd());
  shell(node.node, "ip link add " + name + " type veth peer name eth0 netns " + pod_ns +
                       " && ip link set " + name + " up");
  const std::string host_mac =
      output_of(node.node,
                "ip -o link show " + name + " | sed 's/.*ether \\([^ ]*\\) .*/\\1/' | tr -d '\\n'");
  for (const auto& address : pod.plan.addresses) {
    const std::string tool = address.is_v4() ? "ip " : "ip -6 ";
    const std::string host = net::Prefix::host(address).to_string();
    const std::string gateway = address.is_v4() ? "169.254.1.1" : "fe80::1";
    shell(pod.ns, "ip link set eth0 up; " + tool + "addr add " + host + " dev eth0" +
                      (address.is_v4() ? "" : " nodad") + "; " + tool + "route add default via " +
                      gateway + " dev eth0 onlink; " + tool + "neigh add " + gateway + " lladdr " +
                      host_mac + " nud permanent dev eth0");
    shell(node.node, tool + "route add " + host + " dev " + name + "; " + tool +
                         "rule add pref 512 to " + host + " lookup main; " + tool +
                         "rule add pref 2048 from " + host + " lookup " + table);
  }
}

TEST_CASE("upstream's pods are taken over with traffic running, its leftovers removed") {
  if (!can_run("takeover")) return;
  Node node;
  const std::string index =
      output_of(node.node, "ip -o link show eth1 | cut -d: -f1 | tr -d '\\n'");
  const std::string table = std::to_string(1000 + std::stoi(index));
  shell(node.node,
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; "
        "ip link set eth1 up; ip addr add 10.1.0.10/32 dev eth1; "
        "ip -6 addr add fd01::10/128 dev eth1 nodad 2>/dev/null; "
        "ip neigh add 10.2.0.253 lladdr 0e:00:00:00:02:fd dev eth1; "
        "ip route add default via 10.2.0.253 dev eth1 onlink table " +
            table +
            "; "
            "ip -6 route add fd02::253/128 dev eth1 table " +
            table +
            "; "
            "ip -6 route add default via fd02::253 dev eth1 onlink table " +
            table);
  auto known = node.make_pod(11, "eni-1");
  auto gone = node.make_pod(12, "eni-1");
  const std::string known_link = upstream_ifname_of(known->plan.pod, "eth0");
  const std::string gone_link = upstream_ifname_of(gone->plan.pod, "eth0");
  wire_as_upstream(node, *known, known_link, table);
  wire_as_upstream(node, *gone, gone_link, table);
  known->echo = std::make_unique<Echo>(known->ns, kPort);
  const Echo outside(node.outside, kPort);
  CHECK(ask_tcp(known->ns, ip(kOutside), kPort) == "10.2.0.11");

  auto datapath = node.open();
  node.bring_up(*datapath, "eni-1");
  const Desired desired{{node.eni("eni-1")}, {known->plan}};
  node.node.run([&] { must(datapath->resync(desired, false)); });
  CHECK(ask_tcp(known->ns, ip(kOutside), kPort) == "10.2.0.11");
  CHECK(output_of(node.node, "ip rule").find("from 10.2.0.12") != std::string::npos);

  node.node.run([&] {
    must(datapath->resync(desired, true));
    must(datapath->delete_marked_links());
    CHECK(must(datapath->resync(desired, true)).total() == 0);
  });
  const std::string rules = output_of(node.node, "ip rule; ip -6 rule");
  CHECK(rules.find("10.2.0.1") == std::string::npos);
  CHECK(rules.find("fd02::1") == std::string::npos);
  CHECK(output_of(node.node, "ip route; ip -6 route | grep -v fe80").find("cali") ==
        std::string::npos);
  CHECK(output_of(node.node, "ip -6 route show table " + table + " | grep -v default").empty());
  CHECK(output_of(node.node, "ip -o addr show eth1").find("10.1.0.10") == std::string::npos);
  CHECK(output_of(node.node, "ip link").find(gone_link) == std::string::npos);
  CHECK(output_of(node.node, "ip link show " + known_link).find("terway:container-11/eth0") !=
        std::string::npos);
  CHECK(ask_tcp(known->ns, ip(kOutside), kPort) == "10.2.0.11");
  CHECK(ask_tcp(known->ns, ip(kOutside6), kPort) == "fd02::11");
  CHECK(ask_tcp(node.outside, ip("10.2.0.11"), kPort) == kOutside);
  CHECK(ask_tcp(node.node, ip("fd02::11"), kPort) == kNodeAddress6);
  CHECK(node.spoofed() == 0);
  node.node.run([&] {
    must(datapath->check_pod(known->plan, known->ns.descriptor()));
    must(datapath->remove_pod(known->plan));
    must(datapath->delete_marked_links());
  });
  CHECK(output_of(node.node, "ip link").find("cali") == std::string::npos);
}

TEST_CASE("an address that upstream's rules still point elsewhere works from its first packet") {
  if (!can_run("stale rules")) return;
  Node node;
  shell(node.node,
        "ip rule add pref 512 to 10.2.0.11/32 lookup main; "
        "ip rule add pref 2048 from 10.2.0.11/32 lookup 1077; "
        "ip route add default via 10.1.0.253 table 1077");
  auto datapath = node.open();
  node.bring_up(*datapath, "eni-1");
  auto pod = node.add_pod(*datapath, 11, "eni-1");
  const Echo outside(node.outside, kPort);
  CHECK(ask_tcp(pod->ns, ip(kOutside), kPort) == "10.2.0.11");
  CHECK(ask_tcp(node.outside, ip("10.2.0.11"), kPort) == kOutside);
  CHECK(node.spoofed() == 0);
}

TEST_CASE("another CNI's links of the same kind of name are not upstream's") {
  if (!can_run("calico")) return;
  Node node;
  auto pod = node.make_pod(11, "eni-1");
  shell(node.node,
        "ip link add cali0123456789a type veth peer name eth0 netns /proc/" +
            std::to_string(::getpid()) + "/fd/" + std::to_string(pod->ns.fd()) +
            "; ip link set cali0123456789a up; ip route add 10.244.0.5 dev cali0123456789a");
  auto datapath = node.open();
  node.node.run([&] {
    must(datapath->resync({}, true));
    must(datapath->delete_marked_links());
  });
  CHECK(output_of(node.node, "ip route").find("10.244.0.5 dev cali0123456789a") !=
        std::string::npos);
}

}  // namespace
}  // namespace terway::datapath
