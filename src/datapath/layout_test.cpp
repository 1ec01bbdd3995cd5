// SPDX-License-Identifier: Apache-2.0
#include "datapath/layout.h"

#include <doctest/doctest.h>

#include <bit>
#include <set>

#include "datapath/datapath.h"
#include "datapath/names.h"

namespace terway::datapath {
namespace {

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

NodeLayout node() { return {kPodsTable, *MarkBits::make(kDefaultMarkMask), true, true}; }

TEST_CASE("names and MACs follow from container and interface alone") {
  const model::AttachmentKey key{"0123abcd", "eth0"};
  const std::string name = host_ifname_of(key);
  // printf '0123abcd/eth0' | sha1sum
  CHECK(name == "calib91b9c7a779");
  CHECK(name.size() == 15);
  CHECK(host_ifname_of({"0123abcd", "eth1"}) != name);
  CHECK(host_mac_of(key) == host_mac_of(key));
  CHECK(host_mac_of(key) != pod_mac_of(key));
  for (int i = 0; i < 200; ++i) {
    const auto first = host_mac_of({std::to_string(i), "eth0"}).bytes[0];
    CHECK((first & 3U) == 2U);  // locally administered, unicast
  }
}

TEST_CASE("upstream's names are told by namespace, pod and interface") {
  // printf 'default.nginx' | sha1sum, printf 'default.nginxeth1' | sha1sum
  CHECK(upstream_ifname_of({"default", "nginx", {}, {}}, "eth0") == "calic440f455693");
  CHECK(upstream_ifname_of({"default", "nginx", {}, {}}, "eth1") == "calib2fabf209b3");
}

TEST_CASE("an owner survives being written into an alias; other aliases are nobody's") {
  const model::AttachmentKey key{"0123abcd", "eth0"};
  CHECK(key_of_alias(alias_of(key)) == key);
  for (const char* text :
       {"", "terway:", "terway:x", "terway:/eth0", "terway:x/", "veth of x/eth0"}) {
    CHECK_FALSE(key_of_alias(text));
  }
}

TEST_CASE("numbers of NICs fit into the mask's bits and come back out of them") {
  for (const std::uint32_t mask : {kDefaultMarkMask, 0x7U, 0x0ff00000U, 0x00011012U}) {
    const MarkBits bits = *MarkBits::make(mask);
    std::set<std::uint32_t> seen;
    const std::uint32_t most = std::min(bits.most(), 1000U);
    CHECK(bits.most() == (1U << std::popcount(mask)) - 2);
    for (std::uint32_t number = 1; number <= most; ++number) {
      const std::uint32_t mark = bits.mark_of(number);
      CHECK((mark & ~mask) == 0);
      CHECK(mark != bits.nowhere());
      CHECK(seen.insert(mark).second);
      CHECK(bits.number_of(mark) == number);
      CHECK(bits.number_of(mark | ~mask) == number);
    }
    CHECK(bits.number_of(bits.nowhere()) == 0);
    CHECK(bits.number_of(~mask) == 0);
  }
}

TEST_CASE("masks that cannot work are refused, known users of the bits are named") {
  CHECK(MarkBits::make(0).is(Error::Kind::Invalid));
  CHECK(MarkBits::make(0x3).is(Error::Kind::Invalid));
  CHECK(MarkBits::make(0xf000).is(Error::Kind::Invalid));
  CHECK(known_users_of(kDefaultMarkMask).empty());
  CHECK(known_users_of(0xff0000).size() == 2);  // Calico and Cilium
  CHECK(known_users_of(0x1f).size() == 1);
}

TEST_CASE("rules depend on NICs and families, never on pods") {
  const NicLayout nic{7, 0x2, false, {nic_default_route(7, ip("10.2.0.253"))}, {}};
  std::vector<PodLayout> pods;
  const std::size_t none = lay_out(node(), {nic}, pods).rules.size();
  CHECK(none == 6);  // per family: to pods, nowhere, the NIC's
  for (unsigned n = 0; n < 250; ++n) {
    pods.push_back({100 + static_cast<int>(n), {ip("10.2.0.0").plus(n)}, net::Mac{}, 0x2});
  }
  const Layout layout = lay_out(node(), {nic}, pods);
  CHECK(layout.rules.size() == none);
  CHECK(layout.routes.size() == 251);
  CHECK(layout.neighbours.size() == 250);
}

TEST_CASE(
    "a pod without a NIC keeps its route and has no mark; one without a link keeps its mark") {
  const NicLayout nic{7, 0x2, false, {}, {}};
  const PodLayout no_nic{100, {ip("10.2.0.1")}, {}, 0};
  const PodLayout no_link{0, {ip("10.2.0.2")}, {}, 0x2};
  const Layout layout = lay_out(node(), {nic}, {no_nic, no_link});
  CHECK(layout.routes == std::vector{pod_route(node(), 100, ip("10.2.0.1"))});
  for (const auto& map : layout.table.maps) {
    if (map.name == kPodsMapV4) {
      CHECK(map.elements == std::vector{pod_element(ip("10.2.0.2"), 0x2)});
    }
  }
}

TEST_CASE("every chain that a map or rule goes to exists") {
  const std::vector<NicLayout> nics = {{2, 0x2, true, {}, {}}, {7, 0x4, false, {}, {}}};
  const auto table = lay_out(node(), nics, {{100, {ip("10.2.0.1"), ip("fd02::1")}, {}, 0x4}}).table;
  std::set<std::string> chains;
  for (const auto& chain : table.chains) CHECK(chains.insert(chain.name).second);
  for (const auto& map : table.maps) {
    for (const auto& element : map.elements) CHECK(chains.contains(element.chain));
  }
  for (const auto& chain : table.chains) {
    for (const auto& rule : chain.rules) {
      for (const auto& expression : rule.expressions) {
        const auto* verdict = std::get_if<kernel::nft::GiveVerdict>(&expression);
        if (verdict != nullptr && !verdict->chain.empty()) CHECK(chains.contains(verdict->chain));
      }
    }
  }
}

}  // namespace
}  // namespace terway::datapath
