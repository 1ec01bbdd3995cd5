// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <linux/neighbour.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <random>

#include "kernel/address.h"
#include "kernel/conntrack.h"
#include "kernel/filter.h"
#include "kernel/link.h"
#include "kernel/monitor.h"
#include "kernel/neighbour.h"
#include "kernel/nftables.h"
#include "kernel/probe.h"
#include "kernel/qdisc.h"
#include "kernel/route.h"
#include "kernel/rule.h"

namespace terway::kernel {
namespace {

net::IpAddress address(std::string_view text) { return *net::IpAddress::parse(text); }
net::Prefix prefix(std::string_view text) { return *net::Prefix::parse(text); }

// A message as the kernel would see it: requests and notifications share their layout.
MessageView view_of(const Message& message) {
  Bytes bytes = message.bytes();
  const auto view = next_message(bytes);
  REQUIRE(view);
  CHECK(bytes.empty());
  return *view;
}

TEST_CASE("a route survives being written and read") {
  for (const bool v6 : {false, true}) {
    Route route;
    route.destination = prefix(v6 ? "2001:db8::7/128" : "10.1.2.3/32");
    route.table = 1042;
    route.oif = 7;
    route.gateway = address(v6 ? "fe80::1" : "169.254.1.1");
    route.source = address(v6 ? "2001:db8::1" : "10.1.0.1");
    route.protocol = 77;
    route.priority = 5;
    route.onlink = true;
    route.mtu = 1400;
    const auto read = parse_route(view_of(replace_route(route)));
    REQUIRE(read);
    CHECK(*read == route);
  }
}

TEST_CASE("a default route has no destination attribute and reads as ::/0 or 0.0.0.0/0") {
  Route route;
  route.destination = prefix("::/0");
  CHECK(parse_route(view_of(add_route(route)))->destination == prefix("::/0"));
  route.destination = prefix("0.0.0.0/0");
  CHECK(parse_route(view_of(add_route(route)))->destination == prefix("0.0.0.0/0"));
}

TEST_CASE("a rule survives being written and read") {
  Rule rule;
  rule.family = net::Family::V6;
  rule.priority = 2048;
  rule.from = prefix("2001:db8::/64");
  rule.to = prefix("2001:db8:1::7/128");
  rule.mark = 0x20;
  rule.mask = 0xe0;
  rule.iif = "eth1";
  rule.table = 1042;
  rule.protocol = 77;
  CHECK(*parse_rule(view_of(add_rule(rule))) == rule);
  CHECK(rule.to_string() ==
        "2048: from 2001:db8::/64 to 2001:db8:1::7/128 fwmark 0x20/0xe0 iif eth1 lookup 1042");
  Rule unreachable;
  unreachable.action = RuleAction::Unreachable;
  CHECK(*parse_rule(view_of(add_rule(unreachable))) == unreachable);
}

TEST_CASE("a neighbour and an address survive being written and read") {
  const auto mac = *net::Mac::parse("02:00:00:00:00:07");
  const auto neighbour = parse_neighbour(view_of(set_neighbour(3, address("fe80::1"), mac)));
  REQUIRE(neighbour);
  CHECK(*neighbour == Neighbour{3, address("fe80::1"), mac, NUD_PERMANENT});
  const auto read = parse_address(view_of(add_address(3, prefix("10.0.0.7/24"), 0x80)));
  REQUIRE(read);
  CHECK(read->prefix == prefix("10.0.0.7/24"));
  CHECK(read->flags == 0x80);
}

TEST_CASE("errors name the message") {
  Route route;
  route.destination = prefix("10.1.2.3/32");
  route.table = 1042;
  CHECK(describe(view_of(replace_route(route))) == "write route 10.1.2.3/32 table 1042");
  Rule rule;
  rule.priority = 512;
  rule.table = 52;
  CHECK(describe(view_of(delete_rule(rule))) == "delete rule 512: lookup 52");
  CHECK(describe(view_of(set_filter(7, Hook::Egress, 3, "pod_ingress"))) ==
        "write filter pod_ingress dev 7 egress");
  CHECK(describe(view_of(add_clsact(7))) == "write qdisc clsact dev 7");
}

TEST_CASE("a filter of ours is told from others'") {
  for (const Hook hook : {Hook::Ingress, Hook::Egress}) {
    const Message message = set_filter(7, hook, 3, "pod_egress");
    const auto filter = parse_filter(view_of(message));
    REQUIRE(filter);
    CHECK(filter->ours());
    CHECK(filter->ifindex == 7);
    CHECK(filter->hook == hook);
    CHECK(filter->name == "pod_egress");
    CHECK(parse_filter(view_of(delete_filter(7, hook)))->ours());
  }
  // As the kernel answers: program and tag are its to tell.
  tcmsg header{};
  header.tcm_ifindex = 7;
  header.tcm_handle = 1;
  header.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);
  header.tcm_info = std::uint32_t{kFilterPriority} << 16U;
  Message other(RTM_NEWTFILTER);
  other.header(header).put_text(TCA_KIND, "bpf");
  other.nest(TCA_OPTIONS, [&] {
    other.put_u32(TCA_BPF_ID, 42);
    other.put(TCA_BPF_TAG, "\1\2\3\4\5\6\7\10", 8);
  });
  const auto filter = parse_filter(view_of(other));
  REQUIRE(filter);
  CHECK_FALSE(filter->ours());
  CHECK(filter->hook == Hook::Egress);
  CHECK(filter->program_id == 42);
  CHECK(filter->tag == std::array<std::uint8_t, 8>{1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_CASE("the head of a priority, and a filter at no hook of clsact, are no filters") {
  for (const auto& [handle, parent] :
       {std::pair{0U, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)}, std::pair{1U, TC_H_ROOT}}) {
    tcmsg header{};
    header.tcm_handle = handle;
    header.tcm_parent = parent;
    Message message(RTM_NEWTFILTER);
    message.header(header).put_text(TCA_KIND, "bpf");
    CHECK_FALSE(parse_filter(view_of(message)));
  }
}

TEST_CASE("clsact has the handle that the kernel wants") {
  const auto qdisc = parse_qdisc(view_of(add_clsact(7)));
  REQUIRE(qdisc);
  CHECK(*qdisc == Qdisc{7, "clsact", 0xffff0000, TC_H_CLSACT});
}

TEST_CASE("a stacked link is told from a device of its own") {
  Link link;
  link.ifindex = 5;
  CHECK_FALSE(link.stacked());
  link.lower = 4;  // a macvlan on 4, or a veth whose peer is 4, here
  CHECK(link.stacked());
  link.lower_elsewhere = true;  // the end of a veth
  CHECK_FALSE(link.stacked());
  link.master = 9;
  CHECK(link.stacked());
}

TEST_CASE("reading stops where lengths lie, and keeps what came before") {
  const Message whole = set_neighbour(3, address("10.0.0.1"), net::Mac{{2, 0, 0, 0, 0, 1}});
  for (std::size_t length = 0; length < whole.bytes().size(); ++length) {
    Bytes cut = whole.bytes().first(length);
    CHECK_FALSE(next_message(cut));
  }
  // An attribute longer than its message.
  std::vector<std::uint8_t> bytes(whole.bytes().begin(), whole.bytes().end());
  bytes[sizeof(nlmsghdr) + sizeof(ndmsg)] = 0xff;
  Bytes rest(bytes);
  CHECK_FALSE(parse_neighbour(*next_message(rest)));
}

TEST_CASE("random bytes are read without harm") {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::uint8_t> bytes(random() % 200);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    if (bytes.size() > 6) {
      bytes[0] = static_cast<std::uint8_t>(bytes.size());
      bytes[1] = bytes[2] = bytes[3] = 0;
      bytes[4] = static_cast<std::uint8_t>(RTM_BASE + random() % 24);
      bytes[5] = random() % 4 == 0 ? 10 : 0;
    }
    Bytes rest(bytes);
    while (const auto message = next_message(rest)) {
      (void)parse_event(*message);
      (void)parse_connection(*message);
      (void)nft::parse_elements(*message);
      (void)nft::parse_rule_mark(*message);
      (void)nft::parse_mark_writer(*message);
      (void)describe(*message);
      (void)error_of(*message, "x");
    }
    (void)parse_probe_reply(bytes);
  }
}

TEST_CASE("an ARP probe claims nothing") {
  const auto own = *net::Mac::parse("00:16:3e:01:02:03");
  const auto frame = probe_frame(own, address("10.0.0.253"));
  REQUIRE(frame.size() == 42);
  // RFC 826 layout: sender MAC at 22, sender IP at 28, target IP at 38.
  CHECK(std::equal(own.bytes.begin(), own.bytes.end(), frame.begin() + 22));
  CHECK(net::IpAddress::from_v4_bytes(&frame[28]) == address("0.0.0.0"));
  CHECK(net::IpAddress::from_v4_bytes(&frame[38]) == address("10.0.0.253"));
  CHECK_FALSE(parse_probe_reply(frame));  // a request is no reply
}

TEST_CASE("an ARP reply gives the gateway's MAC") {
  auto frame = probe_frame(*net::Mac::parse("ee:ff:ff:ff:ff:ff"), address("10.0.0.7"),
                           address("10.0.0.253"));
  frame[21] = 2;  // operation: reply
  const auto reply = parse_probe_reply(frame);
  REQUIRE(reply);
  CHECK(reply->address == address("10.0.0.253"));
  CHECK(reply->mac.to_string() == "ee:ff:ff:ff:ff:ff");
  for (std::size_t length = 0; length < frame.size(); ++length) {
    CHECK_FALSE(parse_probe_reply(Bytes(frame).first(length)));
  }
}

TEST_CASE("the link-local address is RFC 4291's example of EUI-64") {
  CHECK(link_local_of(*net::Mac::parse("34:56:78:9a:bc:de")) ==
        address("fe80::3656:78ff:fe9a:bcde"));
}

TEST_CASE("a solicitation's checksum is what a receiver would compute") {
  const auto own = *net::Mac::parse("00:16:3e:01:02:03");
  const auto frame = probe_frame(own, address("2001:db8::1:253"));
  REQUIRE(frame.size() == 14 + 40 + 32);
  // The sum over pseudo header and message with its checksum is all ones (RFC 1071).
  std::uint32_t sum = 32 + 58;
  for (std::size_t i = 14 + 8; i < frame.size(); i += 2) {
    sum += (static_cast<std::uint32_t>(frame[i]) << 8U) | frame[i + 1];
  }
  while (sum >> 16U) sum = (sum & 0xffffU) + (sum >> 16U);
  CHECK(sum == 0xffff);
  CHECK(frame[21] == 255);
  CHECK(frame[0] == 0x33);
  CHECK(frame[5] == 0x53);
}

TEST_CASE("two rules that do different things have different marks") {
  nft::Rule one;
  one.expressions = {nft::LoadMeta{3}, nft::Compare{true, {1, 0, 0, 0}}};
  nft::Rule two = one;
  two.comment = "words do not count";
  CHECK(nft::rule_mark(one) == nft::rule_mark(two));
  two.expressions.pop_back();
  CHECK(nft::rule_mark(one) != nft::rule_mark(two));
  CHECK(nft::rule_mark(one).size() == 9);
}

}  // namespace
}  // namespace terway::kernel
