// SPDX-License-Identifier: Apache-2.0
// Connections return by the NIC they came in on. An nftables DNAT stands in for a Service.
#include "kernel/sysctl.h"
#include "tests/netns/datapath/node.h"

namespace terway::datapath {
namespace {

using namespace test;

struct Services {
  Node node;
  std::unique_ptr<Datapath> datapath = node.open();
  EniNic nic1 = node.bring_up(*datapath, "eni-1");
  EniNic nic2 = node.bring_up(*datapath, "eni-2");
  std::unique_ptr<Pod> pod = node.add_pod(*datapath, 12, "eni-2");

  Services() { node.translate_services(); }
  void check_all() const { node.check_services(); }
};

TEST_CASE(
    "replies of a pod leave by the NIC that the client came in on, whatever the ENI it is on") {
  if (!can_run("symmetric")) return;
  Services services;
  services.check_all();
}

TEST_CASE("reverse path filters, strict or loose, on all or on the primary NIC, do not matter") {
  if (!can_run("rp_filter")) return;
  for (const char* all : {"0", "1", "2"}) {
    for (const char* primary : {"1", "2"}) {
      CAPTURE(all);
      CAPTURE(primary);
      Services services;
      services.node.node.run([&] {
        must(kernel::set_sysctl("net/ipv4/conf/all/rp_filter", all));
        must(kernel::set_sysctl("net/ipv4/conf/eth0/rp_filter", primary));
      });
      services.check_all();
    }
  }
}

TEST_CASE(
    "a Service whose answer comes from the node itself returns by the ENI it was asked through") {
  if (!can_run("own return")) return;
  Services services;
  const Echo on_node(services.node.node, 7001);
  shell(services.node.node,
        "nft add rule inet svc pre ip daddr 10.99.0.1 tcp dport 81 dnat ip to 10.1.0.10:7001");
  CHECK(ask_tcp(services.node.outside, ip("10.99.0.1"), 81) == kOutside);
  // The node's own, with and without a connection that came in on an ENI.
  CHECK(ask_tcp(services.node.outside, ip(kNodeAddress), 7001) == kOutside);
  CHECK(services.node.spoofed() == 0);
}

TEST_CASE("other users' mark bits are kept, on packets and on connections") {
  if (!can_run("marks kept")) return;
  Services services;
  const Echo on_outside(services.node.outside, kPort);
  shell(services.node.node,
        "nft 'add table inet marks; add counter inet marks kept; "
        "add chain inet marks early { type filter hook prerouting priority -160; }; "
        "add rule inet marks early meta mark set meta mark or 0x4000; "
        "add rule inet marks early ct mark set ct mark or 0x10000; "
        "add chain inet marks late { type filter hook postrouting priority 300; }; "
        "add rule inet marks late oifname \"eth2\" meta mark and 0x4000 == 0x4000 ct mark and "
        "0x10000 == "
        "0x10000 counter name \"kept\"'");
  CHECK(ask_tcp(services.pod->ns, ip(kOutside), kPort) == "10.2.0.12");
  services.check_all();
  CHECK(output_of(services.node.node, "nft list counter inet marks kept").find("packets 0") ==
        std::string::npos);
}

TEST_CASE("bits that kube-proxy uses are refused, others are reported") {
  if (!can_run("mark clash")) return;
  Node node;
  Settings settings = Node::settings();
  settings.mark_mask = 0xf000;
  node.node.run([&] {
    const auto refused = Datapath::open(settings);
    REQUIRE(refused.is(Error::Kind::Invalid));
    CHECK(refused.error().message().find("kube-proxy") != std::string::npos);
  });
  auto datapath = node.open();
  node.node.run([&] { CHECK(must(datapath->find_mark_clashes()).empty()); });
  shell(node.node,
        "ip rule add pref 700 fwmark 0x2/0x2 lookup 100; "
        "nft 'add table ip felix; add chain ip felix m { type filter hook prerouting priority "
        "-150; }; "
        "add rule ip felix m meta mark set meta mark or 0x40; "
        "add rule ip felix m ct mark set ct mark and 0xfffffff7; "
        "add rule ip felix m meta mark set meta mark or 0x4000'");
  node.node.run([&] {
    const auto clashes = must(datapath->find_mark_clashes());
    REQUIRE(clashes.size() == 3);
    CHECK(clashes[0].find("700: fwmark 0x2/0x2") != std::string::npos);
    CHECK(clashes[1].find("felix") != std::string::npos);
    CHECK(clashes[1].find("0x40") != std::string::npos);
    CHECK(clashes[2].find("0x8") != std::string::npos);
  });
}

}  // namespace
}  // namespace terway::datapath
