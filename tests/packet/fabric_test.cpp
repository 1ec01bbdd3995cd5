// SPDX-License-Identifier: Apache-2.0
// The fabric's program, a frame at a time: what an ENI sends, what becomes of it, what comes out.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <doctest/doctest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "bpf/fabric.skel.h"
#include "bpf/fabric_abi.h"
#include "tests/packet/packet.h"

namespace terway {
namespace {

using namespace fabric_abi;
using packet::Bytes;
using packet::Packet;

constexpr auto kGateway = "ee:ff:ff:ff:ff:ff";
constexpr auto kA = "00:16:3e:00:00:0a";  // the ENI that sends
constexpr auto kB = "00:16:3e:00:00:0b";  // an ENI of the same VPC, in another vSwitch
constexpr auto kBroadcast = "ff:ff:ff:ff:ff:ff";
constexpr auto kSolicitedNode = "33:33:ff:00:00:01";
// Frames run as if they came in by the loopback interface, so that is A's port.
constexpr std::uint32_t kPortA = 1;
constexpr std::uint32_t kPortB = 7;

ip_address address(std::string_view text) {
  ip_address out;
  __builtin_memcpy(&out, packet::address(text).bytes.data(), sizeof(out));
  return out;
}

fabric_prefix prefix(std::string_view text) {
  const auto parsed = net::Prefix::parse(text);
  VERIFY(parsed.has_value());
  const unsigned ones = parsed->length + (parsed->address.is_v4() ? 96U : 0U);
  fabric_prefix out{};
  __builtin_memcpy(&out.network, parsed->network().address.bytes.data(), 16);
  for (unsigned bit = 0; bit < ones; ++bit)
    reinterpret_cast<std::uint8_t*>(&out.mask)[bit / 8] |=
        static_cast<std::uint8_t>(0x80U >> (bit % 8));
  return out;
}

struct Outcome {
  int action = -1;
  std::optional<fabric_verdict> verdict;  // the one counter that rose, by one
  fabric_count counted{};
  Bytes frame;
};

// Loaded once; A has three addresses, B has two, and another VPC uses B's again.
class Fabric {
 public:
  Fabric() : program_(fabric_bpf::open_and_load(), &fabric_bpf::destroy) {
    REQUIRE(program_);
    add_port();
    for (const char* own : {"10.0.0.10", "10.0.0.11", "2001:db8:0:1::10"}) own_address(own, kPortA);
    for (const char* own : {"10.0.1.20", "2001:db8:0:2::20"}) own_address(own, kPortB);
    own_address("10.0.9.9", 9, 2);
  }

  void set_path_mtu(std::uint32_t mtu) { program_->bss->fabric_path_mtu = mtu; }

  Outcome send(const Bytes& frame, const __sk_buff& context = {}) {
    const auto before = counts();
    std::array<std::uint8_t, 4096> out{};
    auto in_context = context;
    bpf_test_run_opts run{};
    run.sz = sizeof(run);
    run.data_in = frame.data();
    run.data_size_in = static_cast<__u32>(frame.size());
    run.data_out = out.data();
    run.data_size_out = static_cast<__u32>(out.size());
    run.ctx_in = &in_context;
    run.ctx_size_in = sizeof(in_context);
    run.repeat = 1;
    REQUIRE(bpf_prog_test_run_opts(bpf_program__fd(program_->progs.fabric_ingress), &run) == 0);
    Outcome outcome;
    outcome.action = static_cast<int>(run.retval);
    outcome.frame.assign(out.begin(), out.begin() + run.data_size_out);
    const auto after = counts();
    for (std::size_t v = 0; v < FABRIC_VERDICTS; ++v) {
      if (after[v].packets == before[v].packets) continue;
      CHECK_FALSE(outcome.verdict.has_value());
      outcome.verdict = static_cast<fabric_verdict>(v);
      outcome.counted = {after[v].packets - before[v].packets, after[v].bytes - before[v].bytes};
    }
    return outcome;
  }

 private:
  using Counts = std::array<fabric_count, FABRIC_VERDICTS>;

  void add_port() {
    fabric_port port{};
    port.vpc = 1;
    __builtin_memcpy(port.mac, packet::mac(kA).bytes.data(), 6);
    port.vswitch_v4 = prefix("10.0.0.0/24");
    port.vswitch_v6 = prefix("2001:db8:0:1::/64");
    port.gateway_v4 = address("10.0.0.253");
    port.gateway_v6 = address("2001:db8:0:1:ffff:ffff:ffff:fffd");
    REQUIRE(bpf_map__update_elem(program_->maps.fabric_ports, &kPortA, sizeof(kPortA), &port,
                                 sizeof(port), BPF_ANY) == 0);
  }

  void own_address(std::string_view text, std::uint32_t port, std::uint32_t vpc = 1) {
    const fabric_owner_key key{vpc, address(text)};
    fabric_owner owner{port, {}, {}};
    __builtin_memcpy(owner.mac, packet::mac(port == kPortA ? kA : kB).bytes.data(), 6);
    REQUIRE(bpf_map__update_elem(program_->maps.fabric_owners, &key, sizeof(key), &owner,
                                 sizeof(owner), BPF_ANY) == 0);
  }

  Counts counts() const {
    fabric_port port{};
    REQUIRE(bpf_map__lookup_elem(program_->maps.fabric_ports, &kPortA, sizeof(kPortA), &port,
                                 sizeof(port), 0) == 0);
    Counts counts;
    std::copy(port.counts, port.counts + FABRIC_VERDICTS, counts.begin());
    return counts;
  }

  std::unique_ptr<fabric_bpf, decltype(&fabric_bpf::destroy)> program_;
};

struct Case {
  const char* what;
  Packet in;
  fabric_verdict verdict;
  std::optional<Packet> out = std::nullopt;  // of what is sent
};

void check(Fabric& fabric, const Case& c) {
  const Bytes in = c.in.bytes();
  CAPTURE(c.what);
  INFO("in:       ", packet::describe(in));
  const Outcome outcome = fabric.send(in);
  INFO("came out: ", packet::describe(outcome.frame));
  REQUIRE(outcome.verdict.has_value());
  CHECK(*outcome.verdict == c.verdict);
  CHECK(outcome.counted.packets == 1);
  CHECK(outcome.counted.bytes == in.size());
  CHECK(outcome.action == (c.out ? TC_ACT_REDIRECT : TC_ACT_SHOT));
  if (!c.out) return;
  INFO("expected: ", packet::describe(c.out->bytes()));
  CHECK(outcome.frame == c.out->bytes());
}

Packet from_a() { return Packet::from(kA).to(kGateway); }
Packet to_b() { return Packet::from(kGateway).to(kB); }
Packet to_a() { return Packet::from(kGateway).to(kA); }

TEST_CASE("a packet for another ENI of the VPC leaves with the gateway's MAC, else unchanged") {
  Fabric fabric;
  const Case cases[] = {
      {"UDP", from_a().ip("10.0.0.10", "10.0.1.20").udp(1, 2).payload(9), FABRIC_FORWARDED,
       to_b().ip("10.0.0.10", "10.0.1.20").udp(1, 2).payload(9)},
      {"TCP from a secondary address", from_a().ip("10.0.0.11", "10.0.1.20").tcp(1, 2),
       FABRIC_FORWARDED, to_b().ip("10.0.0.11", "10.0.1.20").tcp(1, 2)},
      {"with IP options", from_a().ip("10.0.0.10", "10.0.1.20").ip_options(40).udp(1, 2),
       FABRIC_FORWARDED, to_b().ip("10.0.0.10", "10.0.1.20").ip_options(40).udp(1, 2)},
      {"a later fragment", from_a().ip("10.0.0.10", "10.0.1.20").fragment(1480, false).payload(64),
       FABRIC_FORWARDED, to_b().ip("10.0.0.10", "10.0.1.20").fragment(1480, false).payload(64)},
      {"IPv6", from_a().ip("2001:db8:0:1::10", "2001:db8:0:2::20").tcp(1, 2), FABRIC_FORWARDED,
       to_b().ip("2001:db8:0:1::10", "2001:db8:0:2::20").tcp(1, 2)},
      {"an echo is none of the fabric's", from_a().ip("10.0.0.10", "10.0.1.20").echo_request(1, 1),
       FABRIC_FORWARDED, to_b().ip("10.0.0.10", "10.0.1.20").echo_request(1, 1)},
      {"to the ENI itself", from_a().ip("10.0.0.10", "10.0.0.11").udp(1, 2), FABRIC_HAIRPINNED,
       to_a().ip("10.0.0.10", "10.0.0.11").udp(1, 2)},
      {"as long as can be", from_a().ip("10.0.0.10", "10.0.1.20").udp(1, 2).payload(3000),
       FABRIC_FORWARDED, to_b().ip("10.0.0.10", "10.0.1.20").udp(1, 2).payload(3000)},
  };
  for (const auto& c : cases) check(fabric, c);
}

TEST_CASE("what nobody could deliver is dropped, each for its own reason") {
  Fabric fabric;
  const Case cases[] = {
      {"no such address", from_a().ip("10.0.0.10", "10.0.7.7").udp(1, 2), FABRIC_NO_DESTINATION},
      {"of another VPC", from_a().ip("10.0.0.10", "10.0.9.9").udp(1, 2), FABRIC_NO_DESTINATION},
      {"IPv6, outside", from_a().ip("2001:db8:0:1::10", "2001:db8:ff::1").udp(1, 2),
       FABRIC_NO_DESTINATION},
      {"the gateway serves nothing", from_a().ip("10.0.0.10", "10.0.0.253").tcp(1, 80),
       FABRIC_NO_DESTINATION},
      {"past the gateway", Packet::from(kA).to(kB).ip("10.0.0.10", "10.0.1.20").udp(1, 2),
       FABRIC_WRONG_NEXT_HOP},
      {"unicast IP in a broadcast frame",
       Packet::from(kA).to(kBroadcast).ip("10.0.0.10", "10.0.1.20").udp(1, 2),
       FABRIC_WRONG_NEXT_HOP},
      // Shorter ones the kernel's test run refuses.
      {"IPv4 of another version", from_a().ip("10.0.0.10", "10.0.1.20").udp(1, 2).set(14, 0x55),
       FABRIC_MALFORMED},
      {"IPv4 with a header of 16", from_a().ip("10.0.0.10", "10.0.1.20").udp(1, 2).set(14, 0x44),
       FABRIC_MALFORMED},
      {"IPv4 with options behind its end",
       from_a().ip("10.0.0.10", "10.0.1.20").udp(1, 2).set(14, 0x4f), FABRIC_MALFORMED},
      {"IPv6 of another version",
       from_a().ip("2001:db8:0:1::10", "2001:db8:0:2::20").udp(1, 2).set(14, 0x40),
       FABRIC_MALFORMED},
      {"half an ARP packet", from_a().ethertype(0x0806).payload(20), FABRIC_MALFORMED},
      {"a VLAN tag", from_a().ethertype(0x8100).payload(60), FABRIC_NOT_CARRIED},
      {"LLDP", from_a().ethertype(0x88cc).payload(60), FABRIC_NOT_CARRIED},
  };
  for (const auto& c : cases) check(fabric, c);
}

TEST_CASE("a source that is not of the ENI is dropped and counted as spoofed") {
  Fabric fabric;
  const Case cases[] = {
      {"another MAC", Packet::from(kB).to(kGateway).ip("10.0.0.10", "10.0.1.20").udp(1, 2),
       FABRIC_SPOOFED_MAC},
      {"another MAC, by ARP",
       Packet::from(kB).to(kBroadcast).arp_request(kB, "10.0.0.10", "10.0.0.253"),
       FABRIC_SPOOFED_MAC},
      {"B's address", from_a().ip("10.0.1.20", "10.0.1.20").udp(1, 2), FABRIC_SPOOFED_IP},
      {"an address of nobody", from_a().ip("10.0.0.12", "10.0.1.20").udp(1, 2), FABRIC_SPOOFED_IP},
      {"a pod's gateway", from_a().ip("169.254.1.1", "10.0.1.20").udp(1, 2), FABRIC_SPOOFED_IP},
      {"of another VPC", from_a().ip("10.0.9.9", "10.0.1.20").udp(1, 2), FABRIC_SPOOFED_IP},
      {"no address", from_a().ip("0.0.0.0", "10.0.1.20").udp(1, 2), FABRIC_SPOOFED_IP},
      {"B's address, multicast", from_a().ip("10.0.1.20", "224.0.0.22").udp(1, 2),
       FABRIC_SPOOFED_IP},
      {"B's IPv6 address", from_a().ip("2001:db8:0:2::20", "2001:db8:0:2::20").udp(1, 2),
       FABRIC_SPOOFED_IP},
      {"link-local beyond the link", from_a().ip("fe80::1", "2001:db8:0:2::20").udp(1, 2),
       FABRIC_SPOOFED_IP},
      {"a solicitation from B's address",
       from_a()
           .ip("2001:db8:0:2::20", "2001:db8:0:1:ffff:ffff:ffff:fffd")
           .neighbour_solicitation("2001:db8:0:1:ffff:ffff:ffff:fffd", kA),
       FABRIC_SPOOFED_IP},
  };
  for (const auto& c : cases) check(fabric, c);
}

TEST_CASE("ARP for the gateway and for any neighbour is answered with the gateway's MAC") {
  Fabric fabric;
  const auto ask = [](const char* sender, const char* target) {
    return Packet::from(kA).to(kBroadcast).arp_request(kA, sender, target);
  };
  const auto told = [](const char* sender, const char* target) {
    return to_a().arp_reply(target, kGateway, sender, kA);
  };
  const Case cases[] = {
      {"the gateway", ask("10.0.0.10", "10.0.0.253"), FABRIC_ANSWERED_ARP,
       told("10.0.0.10", "10.0.0.253")},
      {"a probe that claims nothing", ask("0.0.0.0", "10.0.0.253"), FABRIC_ANSWERED_ARP,
       told("0.0.0.0", "10.0.0.253")},
      {"a probe by unicast", from_a().arp_request(kA, "0.0.0.0", "10.0.0.253"), FABRIC_ANSWERED_ARP,
       told("0.0.0.0", "10.0.0.253")},
      {"a neighbour", ask("10.0.0.11", "10.0.0.77"), FABRIC_ANSWERED_ARP,
       told("10.0.0.11", "10.0.0.77")},
      {"gratuitous", ask("10.0.0.11", "10.0.0.11"), FABRIC_ABSORBED},
      {"its own duplicate?", ask("0.0.0.0", "10.0.0.11"), FABRIC_ABSORBED},
      {"an announcement",
       Packet::from(kA).to(kBroadcast).arp_reply("10.0.0.10", kA, "10.0.0.10", kA),
       FABRIC_ABSORBED},
      {"outside the vSwitch", ask("10.0.0.10", "10.0.1.20"), FABRIC_NO_NEIGHBOUR},
      {"a pod's gateway", ask("10.0.0.10", "169.254.1.1"), FABRIC_NO_NEIGHBOUR},
      {"from B's address", ask("10.0.1.20", "10.0.0.253"), FABRIC_SPOOFED_ARP},
      {"from a link-local address", ask("169.254.1.1", "10.0.0.253"), FABRIC_SPOOFED_ARP},
      {"from B's MAC", from_a().arp_request(kB, "10.0.0.10", "10.0.0.253"), FABRIC_SPOOFED_ARP},
      {"an announcement of the gateway",
       Packet::from(kA).to(kBroadcast).arp_reply("10.0.0.253", kA, "10.0.0.253", kA),
       FABRIC_SPOOFED_ARP},
  };
  for (const auto& c : cases) check(fabric, c);
}

TEST_CASE("ND for the gateway and for any neighbour is answered with the gateway's MAC") {
  Fabric fabric;
  constexpr auto kGatewayV6 = "2001:db8:0:1:ffff:ffff:ffff:fffd";
  const auto ask = [](const char* source, const char* target, const char* option = kA) {
    return Packet::from(kA)
        .to(kSolicitedNode)
        .ip(source, "ff02::1:ff00:1")
        .neighbour_solicitation(target, option);
  };
  const auto told = [](const char* source, const char* target, const char* flags) {
    return to_a().ip(target, source).hops(255).neighbour_advertisement(target, kGateway, flags);
  };
  const Case cases[] = {
      {"the gateway", ask("2001:db8:0:1::10", kGatewayV6), FABRIC_ANSWERED_ND,
       told("2001:db8:0:1::10", kGatewayV6, "RSO")},
      {"a probe that claims nothing", ask("fe80::216:3eff:fe00:a", kGatewayV6), FABRIC_ANSWERED_ND,
       told("fe80::216:3eff:fe00:a", kGatewayV6, "RSO")},
      {"a neighbour", ask("2001:db8:0:1::10", "2001:db8:0:1::77"), FABRIC_ANSWERED_ND,
       told("2001:db8:0:1::10", "2001:db8:0:1::77", "SO")},
      {"by unicast and without the option",
       from_a().ip("2001:db8:0:1::10", kGatewayV6).neighbour_solicitation(kGatewayV6, ""),
       FABRIC_ANSWERED_ND, told("2001:db8:0:1::10", kGatewayV6, "RSO")},
      {"duplicate detection", ask("::", "2001:db8:0:1::10", ""), FABRIC_ABSORBED},
      {"duplicate detection, link-local", ask("::", "fe80::216:3eff:fe00:a", ""), FABRIC_ABSORBED},
      {"itself", ask("2001:db8:0:1::10", "2001:db8:0:1::10"), FABRIC_ABSORBED},
      {"outside the vSwitch", ask("2001:db8:0:1::10", "2001:db8:0:2::20"), FABRIC_NO_NEIGHBOUR},
      {"a link-local neighbour", ask("fe80::216:3eff:fe00:a", "fe80::1"), FABRIC_NO_NEIGHBOUR},
      {"with B's MAC as the option", ask("2001:db8:0:1::10", kGatewayV6, kB), FABRIC_SPOOFED_ND},
      {"not from this link", ask("2001:db8:0:1::10", kGatewayV6).hops(254), FABRIC_MALFORMED},
      {"a router solicitation",
       Packet::from(kA).to("33:33:00:00:00:02").ip("fe80::1", "ff02::2").router_solicitation(kA),
       FABRIC_ABSORBED},
      {"a router solicitation with B's MAC",
       Packet::from(kA).to("33:33:00:00:00:02").ip("fe80::1", "ff02::2").router_solicitation(kB),
       FABRIC_SPOOFED_ND},
      {"a router advertisement",
       Packet::from(kA).to("33:33:00:00:00:01").ip("fe80::1", "ff02::1").router_advertisement(),
       FABRIC_SPOOFED_ND},
      {"an announcement of its own",
       Packet::from(kA)
           .to("33:33:00:00:00:01")
           .ip("2001:db8:0:1::10", "ff02::1")
           .neighbour_advertisement("2001:db8:0:1::10", kA, "O"),
       FABRIC_ABSORBED},
      {"an announcement of the gateway",
       Packet::from(kA)
           .to("33:33:00:00:00:01")
           .ip("2001:db8:0:1::10", "ff02::1")
           .neighbour_advertisement(kGatewayV6, kA, "O"),
       FABRIC_SPOOFED_ND},
  };
  for (const auto& c : cases) check(fabric, c);
}

TEST_CASE("the gateway answers pings and multicast is absorbed") {
  Fabric fabric;
  constexpr auto kGatewayV6 = "2001:db8:0:1:ffff:ffff:ffff:fffd";
  const Case cases[] = {
      {"ping", from_a().ip("10.0.0.10", "10.0.0.253").echo_request(7, 1).payload(56),
       FABRIC_ANSWERED_ECHO, to_a().ip("10.0.0.253", "10.0.0.10").echo_reply(7, 1).payload(56)},
      {"ping with options",
       from_a().ip("10.0.0.10", "10.0.0.253").ip_options(8).echo_request(7, 1).payload(3),
       FABRIC_ANSWERED_ECHO,
       to_a().ip("10.0.0.253", "10.0.0.10").ip_options(8).echo_reply(7, 1).payload(3)},
      {"ping, IPv6", from_a().ip("2001:db8:0:1::10", kGatewayV6).echo_request(7, 2).payload(56),
       FABRIC_ANSWERED_ECHO,
       to_a().ip(kGatewayV6, "2001:db8:0:1::10").echo_reply(7, 2).payload(56)},
      {"ping from a link-local address",
       from_a().ip("fe80::216:3eff:fe00:a", kGatewayV6).echo_request(7, 3), FABRIC_ANSWERED_ECHO,
       to_a().ip(kGatewayV6, "fe80::216:3eff:fe00:a").echo_reply(7, 3)},
      {"the other family's ping is none",
       from_a().ip("10.0.0.10", "10.0.0.253").echo_request(7, 1).set(23, 58).set(34, 128),
       FABRIC_NO_DESTINATION},
      {"nor is the other family's ND any",
       from_a().ip("10.0.0.10", "10.0.0.253").echo_request(7, 1).set(23, 58).set(34, 135),
       FABRIC_NO_DESTINATION},
      {"a fragment of a ping",
       from_a().ip("10.0.0.10", "10.0.0.253").echo_request(7, 1).fragment(0, true).payload(64),
       FABRIC_NO_DESTINATION},
      {"DHCP", Packet::from(kA).to(kBroadcast).ip("0.0.0.0", "255.255.255.255").udp(68, 67),
       FABRIC_ABSORBED},
      {"mDNS",
       Packet::from(kA).to("01:00:5e:00:00:fb").ip("10.0.0.10", "224.0.0.251").udp(5353, 5353),
       FABRIC_ABSORBED},
      {"mDNS, IPv6",
       Packet::from(kA).to("33:33:00:00:00:fb").ip("fe80::1", "ff02::fb").udp(5353, 5353),
       FABRIC_ABSORBED},
  };
  for (const auto& c : cases) check(fabric, c);
}

TEST_CASE("a packet longer than the path's MTU is answered by the gateway as a router would") {
  Fabric fabric;
  fabric.set_path_mtu(1400);
  const auto v4 = [](std::size_t payload) {
    return from_a().ip("10.0.0.10", "10.0.1.20").dont_fragment().udp(1, 2).payload(payload);
  };
  const auto v6 = [](std::size_t payload) {
    return from_a().ip("2001:db8:0:1::10", "2001:db8:0:2::20").udp(1, 2).payload(payload);
  };
  const auto may_be_cut = [] {
    return Packet::from(kA).to(kGateway).ip("10.0.0.10", "10.0.1.20").udp(1, 2).payload(1400);
  };
  const Case cases[] = {
      {"as long as the path carries", v4(1372), FABRIC_FORWARDED,
       to_b().ip("10.0.0.10", "10.0.1.20").dont_fragment().udp(1, 2).payload(1372)},
      {"a byte more", v4(1373), FABRIC_TOO_BIG,
       to_a().ip("10.0.0.253", "10.0.0.10").too_big(1400, v4(1373).bytes(), 80)},
      {"a byte more, IPv6", v6(1353), FABRIC_TOO_BIG,
       to_a()
           .ip("2001:db8:0:1:ffff:ffff:ffff:fffd", "2001:db8:0:1::10")
           .too_big(1400, v6(1353).bytes(), 80)},
      {"without DF", may_be_cut(), FABRIC_FORWARDED,
       to_b().ip("10.0.0.10", "10.0.1.20").udp(1, 2).payload(1400)},
      {"to nobody", from_a().ip("10.0.0.10", "10.0.7.7").dont_fragment().udp(1, 2).payload(1400),
       FABRIC_NO_DESTINATION},
  };
  for (const auto& c : cases) check(fabric, c);
  fabric.set_path_mtu(0);
  check(fabric, {"without a limit", v4(1400), FABRIC_FORWARDED,
                 to_b().ip("10.0.0.10", "10.0.1.20").dont_fragment().udp(1, 2).payload(1400)});
}

TEST_CASE("a GSO packet is judged by its segments, and counted as them") {
  Fabric fabric;
  fabric.set_path_mtu(1400);
  const auto large =
      from_a().ip("10.0.0.10", "10.0.1.20").dont_fragment().tcp(1, 2).payload(3000).bytes();
  __sk_buff fits{};
  fits.gso_size = 1360;
  fits.gso_segs = 3;
  const auto passed = fabric.send(large, fits);
  CHECK(passed.verdict == FABRIC_FORWARDED);
  CHECK(passed.counted.packets == 3);
  CHECK(passed.counted.bytes == large.size());

  __sk_buff exceeds{};
  exceeds.gso_size = 1361;
  exceeds.gso_segs = 3;
  const auto refused = fabric.send(large, exceeds);
  CHECK(refused.verdict == FABRIC_TOO_BIG);
  CHECK(refused.frame == to_a().ip("10.0.0.253", "10.0.0.10").too_big(1400, large, 80).bytes());
}

}  // namespace
}  // namespace terway
