// SPDX-License-Identifier: Apache-2.0
// src/kernel against a real kernel, in namespaces of its own.
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "kernel/address.h"
#include "kernel/conntrack.h"
#include "kernel/link.h"
#include "kernel/monitor.h"
#include "kernel/neighbour.h"
#include "kernel/nftables.h"
#include "kernel/probe.h"
#include "kernel/route.h"
#include "kernel/rule.h"
#include "kernel/sysctl.h"
#include "tests/netns/namespace.h"

namespace terway::kernel {
namespace {

using test::must;
using test::Namespace;

const net::Mac kNearMac{{2, 0, 0, 0, 0, 1}};
const net::Mac kFarMac{{2, 0, 0, 0, 0, 2}};

net::IpAddress address(std::string_view text) { return *net::IpAddress::parse(text); }
net::Prefix prefix(std::string_view text) { return *net::Prefix::parse(text); }

// Two namespaces and a veth between them, up, with addresses 10.9.0.1/24 and 10.9.0.2/24.
struct Pair {
  Namespace near_ns, far_ns;
  Socket near_socket = near_ns.route_socket();
  Socket far_socket = far_ns.route_socket();
  int near_index = 0, far_index = 0;

  Pair() {
    VethEnd far{.name = "eth0", .mac = kFarMac, .mtu = 1400, .netns = far_ns.fd()};
    VethEnd near{.name = "cali0", .mac = kNearMac, .mtu = 1400, .group = 77};
    must(near_socket.request(make_veth(near, far)), "make a veth");
    near_index = must(get_link(near_socket, "cali0")).ifindex;
    far_index = must(get_link(far_socket, "eth0")).ifindex;
    for (auto* end : {&near_socket, &far_socket}) {
      const int index = end == &near_socket ? near_index : far_index;
      const auto own = prefix(end == &near_socket ? "10.9.0.1/24" : "10.9.0.2/24");
      const auto own6 = prefix(end == &near_socket ? "fd09::1/64" : "fd09::2/64");
      LinkChange quiet;
      quiet.no_ipv6_address = true;
      LinkChange up;
      up.up = true;
      std::vector<Message> messages;
      messages.push_back(change_link(index, quiet));
      messages.push_back(change_link(index, up));
      messages.push_back(change_link("lo", up));
      messages.push_back(add_address(index, own));
      messages.push_back(add_address(index, own6, IFA_F_NODAD));
      must(end->request_all(messages), "configure");
    }
    // A carrier that came on is seen by a worker of the kernel, and until then nothing is sent;
    // asking for the link runs it (6.9).
    must(get_link(near_socket, near_index));
    must(get_link(far_socket, far_index));
  }
};

TEST_CASE("a veth is made with its peer inside another namespace, as it was asked for") {
  if (!test::can_run("veth")) return;
  Pair pair;
  const Link near = must(get_link(pair.near_socket, "cali0"));
  CHECK(near.kind == "veth");
  CHECK(near.mac == kNearMac);
  CHECK(near.mtu == 1400);
  CHECK(near.group == 77);
  CHECK(near.up());
  CHECK(near.lower == pair.far_index);
  CHECK(near.lower_elsewhere);
  CHECK_FALSE(near.stacked());
  const Link far = must(get_link(pair.far_socket, pair.far_index));
  CHECK(far.name == "eth0");
  CHECK(far.mac == kFarMac);
  CHECK(pair.far_ns.run([] { return read_sysctl("net/ipv4/conf/eth0/forwarding").ok(); }));
  CHECK_FALSE(pair.near_ns.run([] { return read_sysctl("net/ipv4/conf/eth0/forwarding").ok(); }));
}

TEST_CASE("alias, name, MAC, MTU and group of a link are changed in one message") {
  if (!test::can_run("link change")) return;
  Pair pair;
  LinkChange change;
  change.alias = "terway:abc/eth0";
  change.mac = net::Mac{{2, 0, 0, 0, 0, 9}};
  change.mtu = 1300;
  change.group = 78;
  must(pair.near_socket.request(change_link(pair.near_index, change)));
  Link link = must(get_link(pair.near_socket, pair.near_index));
  CHECK(link.alias == "terway:abc/eth0");
  CHECK(link.mac == *change.mac);
  CHECK(link.mtu == 1300);
  CHECK(link.group == 78);
  must(pair.near_socket.request(delete_link_group(78)));
  CHECK(get_link(pair.near_socket, "cali0").is(Error::Kind::NotFound));
  CHECK(pair.near_socket.request(delete_link_group(78)).is(Error::Kind::NotFound));
}

TEST_CASE("a link is found by MAC, and one stacked on it is told apart") {
  if (!test::can_run("find by MAC")) return;
  Pair pair;
  must(pair.near_socket.request(make_macvlan("mv0", pair.near_index, kNearMac)));
  const auto links = must(find_links(pair.near_socket, kNearMac));
  REQUIRE(links.size() == 2);
  CHECK(std::count_if(links.begin(), links.end(), [](auto& l) { return l.stacked(); }) == 1);
}

TEST_CASE("each message of a batch is answered by itself, in the kernel's own words") {
  if (!test::can_run("batch")) return;
  Pair pair;
  Route good;
  good.destination = prefix("10.200.0.7/32");
  good.table = 4242;
  good.oif = pair.near_index;
  good.scope = 253;
  good.protocol = 77;
  Route bad = good;
  bad.oif = 9999;
  std::vector<Message> messages;
  messages.push_back(add_route(good));
  messages.push_back(add_route(bad));
  messages.push_back(add_route(good));
  const auto results = must(pair.near_socket.batch(messages));
  REQUIRE(results.size() == 3);
  CHECK(results[0].ok());
  CHECK(results[1].is(Error::Kind::NotFound));
  CHECK(results[1].error().message().find("10.200.0.7/32 dev 9999 table 4242") !=
        std::string::npos);
  CHECK(results[2].is(Error::Kind::Exists));
  const auto routes = must(list_routes(pair.near_socket, net::Family::V4, {.table = 4242}));
  REQUIRE(routes.size() == 1);
  CHECK(routes[0] == good);
  must(pair.near_socket.request(delete_route(good)));
  CHECK(must(list_routes(pair.near_socket, net::Family::V4, {.table = 4242})).empty());
  CHECK(pair.near_socket.request(delete_route(good)).is(Error::Kind::NotFound));
}

TEST_CASE("a table that nobody wrote to is empty, in both families") {
  if (!test::can_run("empty table")) return;
  Namespace ns;
  auto socket = ns.route_socket();
  for (const auto family : {net::Family::V4, net::Family::V6}) {
    CHECK(must(list_routes(socket, family, {.table = 987654})).empty());
  }
}

TEST_CASE("onlink default routes of both families are read as they were written") {
  if (!test::can_run("default routes")) return;
  Pair pair;
  for (const bool v6 : {false, true}) {
    Route route;
    route.destination = prefix(v6 ? "::/0" : "0.0.0.0/0");
    route.gateway = address(v6 ? "fe80::1" : "169.254.1.1");
    route.oif = pair.near_index;
    route.table = 1000;
    route.onlink = true;
    route.protocol = 77;
    must(pair.near_socket.request(replace_route(route)));
    const auto routes =
        must(list_routes(pair.near_socket, route.destination.family(), {.table = 1000}));
    REQUIRE(routes.size() == 1);
    Route expected = route;
    if (v6) expected.priority = 1024;
    CHECK(routes[0] == expected);
  }
}

TEST_CASE("thousands of routes come out of one dump") {
  if (!test::can_run("many routes")) return;
  Pair pair;
  std::vector<Message> messages;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    Route route;
    route.destination = net::Prefix::host(net::IpAddress::from_v4(0x0ac80000 + i));
    route.table = 4242;
    route.oif = pair.near_index;
    route.scope = 253;
    messages.push_back(add_route(route));
  }
  must(pair.near_socket.request_all(messages));
  CHECK(must(list_routes(pair.near_socket, net::Family::V4, {.table = 4242})).size() == 5000);
}

TEST_CASE("rules are listed per family, with who made them") {
  if (!test::can_run("rules")) return;
  Namespace ns;
  auto socket = ns.route_socket();
  for (const auto family : {net::Family::V4, net::Family::V6}) {
    Rule rule;
    rule.family = family;
    rule.priority = 2048;
    rule.mark = 0x20;
    rule.mask = 0xe0;
    rule.table = 1042;
    rule.protocol = 77;
    must(socket.request(add_rule(rule)));
    CHECK(socket.request(add_rule(rule)).is(Error::Kind::Exists));
    Rule nowhere;
    nowhere.family = family;
    nowhere.priority = 2049;
    nowhere.mark = 0xe0;
    nowhere.mask = 0xe0;
    nowhere.action = RuleAction::Unreachable;
    nowhere.protocol = 77;
    must(socket.request(add_rule(nowhere)));
    const auto rules = must(list_rules(socket, family));
    CHECK(std::count(rules.begin(), rules.end(), rule) == 1);
    CHECK(std::count(rules.begin(), rules.end(), nowhere) == 1);
    must(socket.request(delete_rule(rule)));
    CHECK(socket.request(delete_rule(rule)).is(Error::Kind::NotFound));
  }
}

TEST_CASE("an IPv6 address without duplicate detection is never tentative") {
  if (!test::can_run("nodad")) return;
  Pair pair;
  const auto addresses = must(list_addresses(pair.near_socket, net::Family::V6, pair.near_index));
  REQUIRE(addresses.size() == 1);  // no link-local of the kernel's own making
  CHECK(addresses[0].prefix == prefix("fd09::1/64"));
  CHECK_FALSE(addresses[0].tentative());
}

TEST_CASE("permanent neighbours are written, replaced, listed and deleted") {
  if (!test::can_run("neighbours")) return;
  Pair pair;
  auto& socket = pair.near_socket;
  for (const char* text : {"10.9.0.99", "fd09::99"}) {
    const auto far = address(text);
    must(socket.request(set_neighbour(pair.near_index, far, kNearMac)));
    must(socket.request(set_neighbour(pair.near_index, far, kFarMac)));
    const auto all = must(list_neighbours(socket, far.family(), pair.near_index));
    const auto found =
        std::find_if(all.begin(), all.end(), [&](auto& n) { return n.address == far; });
    REQUIRE(found != all.end());
    CHECK(found->mac == kFarMac);
    CHECK(found->permanent());
    must(flush_neighbour(socket, far));  // leaves permanent ones
    must(socket.request(delete_neighbour(pair.near_index, far)));
    CHECK(socket.request(delete_neighbour(pair.near_index, far)).is(Error::Kind::NotFound));
  }
}

// Sends one UDP datagram from inside `ns`.
void send_udp(const Namespace& ns, const char* to, std::uint16_t port) {
  ns.run([&] {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM, 0));
    sockaddr_in far{};
    far.sin_family = AF_INET;
    far.sin_port = htons(port);
    ::inet_pton(AF_INET, to, &far.sin_addr);
    CHECK(::sendto(fd.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&far), sizeof(far)) == 1);
  });
}

// Once there are so many, for the other end is reached when the kernel gets round to it.
std::vector<Connection> connections(Socket& socket, std::size_t count) {
  auto all = must(list_connections(socket, net::Family::V4));
  for (int i = 0; i < 1000 && all.size() != count; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    all = must(list_connections(socket, net::Family::V4));
  }
  return all;
}

std::vector<std::uint8_t> bytes_of(std::uint32_t value) {
  std::vector<std::uint8_t> bytes(sizeof(value));
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

// Marks the connections of what comes in on `ifindex` with 0x20 in 0xe0.
nft::Table tracking_table(int ifindex) {
  nft::Table table;
  table.name = "terway-test";
  nft::Chain in{"in", {{"filter", NF_INET_PRE_ROUTING, -150}}, {}};
  // Replies, and ICMP errors about what we sent, are not what "came in".
  in.rules.push_back({"by NIC",
                      {nft::LoadCt{NFT_CT_DIRECTION}, nft::Compare{true, {IP_CT_DIR_ORIGINAL}},
                       nft::LoadMeta{NFT_META_IIF}, nft::VerdictMap{"nics"}}});
  nft::Chain mark{"mark", {}, {}};
  mark.rules.push_back(
      {"remember the NIC",
       {nft::LoadCt{NFT_CT_MARK}, nft::Bitwise{~0xe0U, 0x20}, nft::StoreCt{NFT_CT_MARK}}});
  nft::Chain out{"out", {{"filter", NF_INET_LOCAL_OUT, 0}}, {}};
  out.rules.push_back({"all", {nft::LoadCt{NFT_CT_MARK}}});
  table.chains = {in, mark, out};
  table.maps = {
      {"nics", nft::KeyType::Interface, {{bytes_of(static_cast<std::uint32_t>(ifindex)), "mark"}}}};
  return table;
}

TEST_CASE("a table is written whole, read back, changed by element and deleted") {
  if (!test::can_run("nftables")) return;
  Pair pair;
  auto socket = pair.near_ns.netfilter_socket();
  const nft::Table table = tracking_table(pair.near_index);
  CHECK(nft::read_table(socket, table.name).is(Error::Kind::NotFound));
  for (int round = 0; round < 2; ++round) {
    must(nft::replace_table(socket, table));
    const auto state = must(nft::read_table(socket, table.name));
    REQUIRE(state.chains.size() == 3);
    CHECK(state.chains[0].name == "in");
    CHECK(state.chains[0].rule_marks == std::vector{nft::rule_mark(table.chains[0].rules[0])});
    REQUIRE(state.maps.size() == 1);
    CHECK(state.maps[0].elements == table.maps[0].elements);
  }
  const nft::Element more{bytes_of(77), "mark"};
  must(nft::change_maps(socket, table.name, {{"nics", {more}, table.maps[0].elements}}));
  CHECK(must(nft::read_table(socket, table.name)).maps[0].elements == std::vector{more});
  // All or nothing: the second removal fails, so the addition is undone.
  CHECK_FALSE(nft::change_maps(socket, table.name,
                               {{"nics", {{bytes_of(78), "mark"}}, {{bytes_of(99), "mark"}}}})
                  .ok());
  CHECK(must(nft::read_table(socket, table.name)).maps[0].elements.size() == 1);
  CHECK_FALSE(
      nft::change_maps(socket, table.name, {{"nics", {{bytes_of(79), "nosuch"}}, {}}}).ok());
  must(nft::delete_table(socket, table.name));
  must(nft::delete_table(socket, table.name));
  CHECK(nft::read_table(socket, table.name).is(Error::Kind::NotFound));
}

TEST_CASE("hundreds of elements go in and come out") {
  if (!test::can_run("nftables elements")) return;
  Pair pair;
  auto socket = pair.near_ns.netfilter_socket();
  nft::Table table = tracking_table(pair.near_index);
  for (std::uint32_t i = 100; i < 1600; ++i) {
    table.maps[0].elements.push_back({bytes_of(i), "mark"});
  }
  must(nft::replace_table(socket, table));
  auto read = must(nft::read_table(socket, table.name)).maps[0].elements;
  std::sort(read.begin(), read.end());
  std::sort(table.maps[0].elements.begin(), table.maps[0].elements.end());
  CHECK(read == table.maps[0].elements);
}

TEST_CASE("connections of one address are forgotten, others stay") {
  if (!test::can_run("conntrack")) return;
  Pair pair;
  auto socket = pair.near_ns.netfilter_socket();
  must(nft::replace_table(socket, tracking_table(pair.near_index)));
  must(pair.far_socket.request(add_address(pair.far_index, prefix("10.9.0.3/24"))));
  send_udp(pair.near_ns, "10.9.0.2", 5000);  // reaches 10.9.0.2
  send_udp(pair.near_ns, "10.9.0.3", 5000);
  send_udp(pair.far_ns, "10.9.0.1", 5001);  // opened by 10.9.0.2
  auto all = connections(socket, 3);
  REQUIRE(all.size() == 3);
  CHECK(std::count_if(all.begin(), all.end(), [](auto& c) { return c.mark == 0x20; }) == 1);
  CHECK(must(flush_connections_of(socket, {address("10.9.0.2")})) == 2);
  all = must(list_connections(socket, net::Family::V4));
  REQUIRE(all.size() == 1);
  CHECK(all[0].destination == address("10.9.0.3"));
  CHECK(all[0].destination_port == 5000);
  CHECK(must(flush_connections_of(socket, {address("10.9.0.2")})) == 0);
  CHECK(must(flush_connections_of(socket, {address("fd09::2")})) == 0);
}

TEST_CASE("connections are forgotten by mark, and never all of them") {
  if (!test::can_run("conntrack mark")) return;
  Pair pair;
  auto socket = pair.near_ns.netfilter_socket();
  must(nft::replace_table(socket, tracking_table(pair.near_index)));
  send_udp(pair.near_ns, "10.9.0.2", 5000);
  send_udp(pair.far_ns, "10.9.0.1", 5001);
  REQUIRE(connections(socket, 2).size() == 2);
  CHECK(flush_connections_marked(socket, 0, 0).is(Error::Kind::Invalid));
  must(flush_connections_marked(socket, 0x40, 0xe0));
  CHECK(must(list_connections(socket, net::Family::V4)).size() == 2);
  must(flush_connections_marked(socket, 0x20, 0xe0));
  const auto left = must(list_connections(socket, net::Family::V4));
  REQUIRE(left.size() == 1);
  CHECK(left[0].mark == 0);
}

bool readable(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, 5000) == 1;
}

TEST_CASE("a gateway answers probes that claim no address") {
  if (!test::can_run("probe")) return;
  Pair pair;
  // The near side has no address at all now: its NIC is a bare ENI.
  must(pair.near_socket.request(delete_address(pair.near_index, prefix("10.9.0.1/24"))));
  must(pair.near_socket.request(delete_address(pair.near_index, prefix("fd09::1/64"))));
  for (const char* gateway : {"10.9.0.2", "fd09::2"}) {
    const auto target = address(gateway);
    auto probe =
        must(pair.near_ns.run([&] { return Probe::open(pair.near_index, target.family()); }));
    CHECK(must(probe.receive()).empty());
    must(probe.send(kNearMac, target));
    REQUIRE(readable(probe.fd()));
    const auto replies = must(probe.receive());
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].address == target);
    CHECK(replies[0].mac == kFarMac);
  }
}

TEST_CASE("changes are told as values, with who made them") {
  if (!test::can_run("monitor")) return;
  Pair pair;
  auto monitor = must(pair.near_ns.run([] {
    return Monitor::open(
        {.links = true, .addresses = true, .routes = true, .rules = true, .neighbours = true});
  }));
  Rule rule;
  rule.priority = 512;
  rule.table = 52;
  rule.protocol = 77;
  must(pair.near_socket.request(add_rule(rule)));
  LinkChange change;
  change.mac = net::Mac{{2, 0, 0, 0, 0, 9}};
  must(pair.near_socket.request(change_link(pair.near_index, change)));
  must(pair.near_socket.request(delete_address(pair.near_index, prefix("10.9.0.1/24"))));
  REQUIRE(readable(monitor.fd()));
  bool saw_rule = false, saw_mac = false, saw_address = false, saw_route = false;
  const auto batch = must(monitor.read());
  CHECK_FALSE(batch.lost);
  for (const Event& event : batch.events) {
    if (const auto* r = std::get_if<Rule>(&event.what)) {
      saw_rule = !event.removed && *r == rule && event.by_port == pair.near_socket.port();
    }
    if (const auto* l = std::get_if<Link>(&event.what)) saw_mac |= l->mac == *change.mac;
    if (const auto* a = std::get_if<Address>(&event.what)) {
      saw_address |= event.removed && a->prefix == prefix("10.9.0.1/24");
    }
    if (const auto* r = std::get_if<Route>(&event.what)) {
      saw_route |= event.removed && r->destination == prefix("10.9.0.0/24");
    }
  }
  CHECK(saw_rule);
  CHECK(saw_mac);
  CHECK(saw_address);
  CHECK(saw_route);

  auto tables = must(pair.near_ns.run([] { return Monitor::open_nftables(); }));
  auto socket = pair.near_ns.netfilter_socket();
  must(nft::replace_table(socket, tracking_table(pair.near_index)));
  REQUIRE(readable(tables.fd()));
  bool saw_table = false;
  for (const Event& event : must(tables.read()).events) {
    const auto* changed = std::get_if<TableChange>(&event.what);
    saw_table |=
        changed != nullptr && changed->table == "terway-test" && event.by_port == socket.port();
  }
  CHECK(saw_table);
}

TEST_CASE("an overflowing monitor says that events are lost") {
  if (!test::can_run("monitor overflow")) return;
  Pair pair;
  auto monitor = must(pair.near_ns.run([] { return Monitor::open({.rules = true}); }));
  int small = 4096;
  ::setsockopt(monitor.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &small, sizeof(small));
  std::vector<Message> messages;
  for (std::uint32_t i = 0; i < 200; ++i) {
    Rule rule;
    rule.priority = 10000 + i;
    rule.table = 52;
    messages.push_back(add_rule(rule));
  }
  must(pair.near_socket.request_all(messages));
  CHECK(must(monitor.read()).lost);
  CHECK_FALSE(must(monitor.read()).lost);
}

TEST_CASE("namespaces have an identity, and a path that is none is refused") {
  if (!test::can_run("identity")) return;
  Namespace one, other;
  CHECK(must(netns_inode(one.fd())) != must(netns_inode(other.fd())));
  if (auto cookie = netns_cookie(one.fd());
      !cookie.is(Error::Kind::Unavailable)) {  // 5.10 has none
    CHECK(must(std::move(cookie)) != must(netns_cookie(other.fd())));
  }
  const auto before = must(netns_inode(must(current_netns()).get()));
  one.run([] {});
  CHECK(must(netns_inode(must(current_netns()).get())) == before);
  CHECK(open_netns("/proc/self/ns/mnt").is(Error::Kind::Invalid));
  CHECK(open_netns("/nonexistent").is(Error::Kind::NotFound));
}

TEST_CASE("sysctls are written only where they differ, in the namespace one is in") {
  if (!test::can_run("sysctl")) return;
  Namespace ns;
  ns.run([] {
    CHECK(must(set_sysctl("net/ipv4/ip_forward", "1")));
    CHECK_FALSE(must(set_sysctl("net/ipv4/ip_forward", "1")));
    CHECK(must(read_sysctl("net/ipv4/ip_forward")) == "1");
    CHECK(set_sysctl("net/ipv4/conf/nosuch/rp_filter", "2").is(Error::Kind::NotFound));
  });
}

}  // namespace
}  // namespace terway::kernel
