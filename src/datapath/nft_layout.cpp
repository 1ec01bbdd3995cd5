// SPDX-License-Identifier: Apache-2.0
// The nftables table: which NIC a packet leaves by. Marks are set by chains of constants, reached
// through verdict maps, because a register cannot be or-ed into a mark with other users' bits
// before Linux 6.13.
#include <fmt/core.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cstring>

#include "datapath/layout.h"
#include "datapath/names.h"

namespace terway::datapath {

namespace {

using namespace kernel::nft;

constexpr std::int32_t kMangle =
    -150;  // NF_IP_PRI_MANGLE: connections are known, nothing is NATed yet
constexpr std::int32_t kFilter = 0;         // NF_IP_PRI_FILTER
constexpr std::int32_t kAfterDnat = -90;    // behind NF_IP_PRI_NAT_DST
constexpr std::int32_t kSourceNat = 100;    // NF_IP_PRI_NAT_SRC
constexpr const char* kNicsMap = "nics";    // ifindex -> remember it
constexpr const char* kEnisMap = "enis";    // ifindex -> refuse what is no pod's
constexpr const char* kExitsMap = "exits";  // ifindex -> drop what has not its mark
constexpr const char* kReturnMap =
    "return_by";  // connection mark -> leave by, for forwarded replies
constexpr const char* kOwnReturnMap = "own_return_by";  // the same, for replies of the node's own

std::vector<std::uint8_t> bytes_of(std::uint32_t value) {
  std::vector<std::uint8_t> bytes(sizeof(value));
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

std::string only_by_chain(std::uint32_t mark) { return fmt::format("only_by_{:x}", mark); }
std::string remember_chain(std::uint32_t mark) { return fmt::format("came_in_{:x}", mark); }

Expression go(const char* chain) { return GiveVerdict{Verdict::Goto, chain}; }
Expression ct_direction(std::uint8_t direction) { return Compare{true, {direction}}; }

// The packet's mark: our bits replaced, all others kept.
Rule set_mark(const NodeLayout& node, std::uint32_t mark, std::string comment) {
  return {std::move(comment),
          {LoadMeta{NFT_META_MARK}, Bitwise{~node.marks.mask(), mark}, StoreMeta{NFT_META_MARK}}};
}

Rule return_rule(const NodeLayout& node, const char* map) {
  return {"replies leave by the NIC their connection came in on",
          {LoadCt{NFT_CT_DIRECTION}, ct_direction(IP_CT_DIR_REPLY), LoadCt{NFT_CT_MARK},
           Bitwise{node.marks.mask(), 0}, VerdictMap{map}}};
}

Rule by_source(const char* map, std::uint8_t protocol, std::uint32_t offset, std::uint32_t length) {
  return {"the NIC of a pod's address",
          {LoadMeta{NFT_META_NFPROTO}, Compare{true, {protocol}}, LoadNetworkHeader{offset, length},
           VerdictMap{map}}};
}

Chain prerouting(const NodeLayout& node) {
  Chain chain{"prerouting", {{"filter", NF_INET_PRE_ROUTING, kMangle}}, {}};
  chain.rules.push_back(return_rule(node, kReturnMap));
  chain.rules.push_back({"from pods, also from those being deleted",
                         {LoadMeta{NFT_META_IIFGROUP}, Bitwise{~(kPodGroup ^ kDyingGroup), 0},
                          Compare{true, bytes_of(kPodGroup)}, go("from_pod")}});
  chain.rules.push_back({"from NICs", {LoadMeta{NFT_META_IIF}, VerdictMap{kNicsMap}}});
  return chain;
}

Rule no_metadata() {
  const net::IpAddress address = *net::IpAddress::parse(kMetadata);
  return {"pods may not reach the metadata service",
          {LoadMeta{NFT_META_NFPROTO}, Compare{true, {NFPROTO_IPV4}}, LoadNetworkHeader{16, 4},
           Compare{true, {address.wire(), address.wire() + address.wire_size()}},
           GiveVerdict{Verdict::Drop, {}}}};
}

Chain from_pod(const NodeLayout& node) {
  Chain chain{"from_pod", {}, {}};
  if (!node.pods_reach_metadata) chain.rules.push_back(no_metadata());
  chain.rules.push_back(set_mark(node, node.marks.nowhere(), "unless a NIC is known"));
  chain.rules.push_back(by_source(kPodsMapV4, NFPROTO_IPV4, 12, 4));
  chain.rules.push_back(by_source(kPodsMapV6, NFPROTO_IPV6, 8, 16));
  return chain;
}

// What comes in on an ENI for no pod (an address just freed) must not be sent on through another
// NIC; what a Service sends elsewhere may.
Chain after_dnat() {
  Chain chain{"after_dnat", {{"filter", NF_INET_PRE_ROUTING, kAfterDnat}}, {}};
  chain.rules.push_back({"from ENIs", {LoadMeta{NFT_META_IIF}, VerdictMap{kEnisMap}}});
  return chain;
}

Chain only_to_pods(const NodeLayout& node) {
  Chain chain{"only_to_pods", {}, {}};
  Rule rule = set_mark(node, node.marks.nowhere(), "unless to a pod, a reply, or by a Service");
  const std::vector<Expression> conditions = {
      LoadMeta{NFT_META_MARK}, Bitwise{node.marks.mask(), 0}, Compare{true, bytes_of(0)},
      LoadCt{NFT_CT_STATUS},   Bitwise{IPS_DST_NAT, 0},       Compare{true, bytes_of(0)}};
  rule.expressions.insert(rule.expressions.begin(), conditions.begin(), conditions.end());
  chain.rules.push_back(std::move(rule));
  return chain;
}

// Only what a Service brought here: all else of the node's own answers from an address of the
// primary NIC, such as its ICMP errors about packets that came in on an ENI.
Chain output(const NodeLayout& node) {
  Chain chain{"output", {{"route", NF_INET_LOCAL_OUT, kMangle}}, {}};
  Rule rule = return_rule(node, kOwnReturnMap);
  const std::vector<Expression> conditions = {
      LoadCt{NFT_CT_STATE},        Bitwise{NF_CT_STATE_BIT(IP_CT_ESTABLISHED), 0},
      Compare{false, bytes_of(0)}, LoadCt{NFT_CT_STATUS},
      Bitwise{IPS_DST_NAT, 0},     Compare{false, bytes_of(0)}};
  rule.expressions.insert(rule.expressions.begin(), conditions.begin(), conditions.end());
  chain.rules.push_back(std::move(rule));
  return chain;
}

// Somebody may flush our rules or routes: until they are back, main's default route would send
// pods' packets out of the primary NIC, where the VPC takes them for forged.
Chain forward() {
  Chain chain{"forward", {{"filter", NF_INET_FORWARD, kFilter}}, {}};
  chain.rules.push_back(
      {"pods leave by their own NIC or not at all",
       {LoadMeta{NFT_META_IIFGROUP}, Bitwise{~(kPodGroup ^ kDyingGroup), 0},
        Compare{true, bytes_of(kPodGroup)}, LoadMeta{NFT_META_OIF}, VerdictMap{kExitsMap}}});
  return chain;
}

// Pods with an ENI of their own have no NIC in the node: what the node's Services sent elsewhere
// leaves with the node's address, and nothing else of theirs leaves here.
Rule services_only(const NodeLayout& node, std::uint32_t primary) {
  return {"of pods with an ENI of their own, only by a Service",
          {LoadMeta{NFT_META_IIFGROUP}, Bitwise{~(kPodGroup ^ kDyingGroup), 0},
           Compare{true, bytes_of(kPodGroup)}, LoadMeta{NFT_META_MARK},
           Bitwise{node.marks.mask(), 0}, Compare{true, bytes_of(primary)},
           LoadCt{NFT_CT_DIRECTION}, ct_direction(IP_CT_DIR_ORIGINAL), LoadCt{NFT_CT_STATUS},
           Bitwise{IPS_DST_NAT, 0}, Compare{true, bytes_of(0)}, GiveVerdict{Verdict::Drop, {}}}};
}

Chain postrouting(const NodeLayout& node, std::uint32_t primary) {
  Chain chain{"postrouting", {{"nat", NF_INET_POST_ROUTING, kSourceNat}}, {}};
  chain.rules.push_back({"of pods with an ENI of their own, by a Service",
                         {LoadMeta{NFT_META_MARK}, Bitwise{node.marks.mask(), 0},
                          Compare{true, bytes_of(primary)}, LoadCt{NFT_CT_STATUS},
                          Bitwise{IPS_DST_NAT, 0}, Compare{false, bytes_of(0)}, Masquerade{}}});
  return chain;
}

Chain only_by(const NodeLayout& node, std::uint32_t mark) {
  return {only_by_chain(mark),
          {},
          {{"meant for another NIC",
            {LoadMeta{NFT_META_MARK}, Bitwise{node.marks.mask(), 0}, Compare{false, bytes_of(mark)},
             GiveVerdict{Verdict::Drop, {}}}}}};
}

Chain leave_by(const NodeLayout& node, std::uint32_t mark) {
  return {leave_chain(mark), {}, {set_mark(node, mark, "leave by this NIC")}};
}

Chain remember(const NodeLayout& node, std::uint32_t mark) {
  Rule rule{"the connection came in here",
            {LoadCt{NFT_CT_DIRECTION}, ct_direction(IP_CT_DIR_ORIGINAL), LoadCt{NFT_CT_MARK},
             Bitwise{~node.marks.mask(), mark}, StoreCt{NFT_CT_MARK}}};
  return {remember_chain(mark), {}, {std::move(rule)}};
}

}  // namespace

std::string leave_chain(std::uint32_t mark) { return fmt::format("leave_by_{:x}", mark); }

Element pod_element(const net::IpAddress& address, std::uint32_t mark) {
  return {{address.wire(), address.wire() + address.wire_size()}, leave_chain(mark)};
}

Table nft_table(const NodeLayout& node, const std::vector<NicLayout>& nics,
                const std::vector<PodLayout>& pods) {
  Table table;
  table.name = kNftTable;
  Chain forwarded = forward();
  const auto primary =
      std::find_if(nics.begin(), nics.end(), [](const NicLayout& nic) { return nic.primary; });
  if (node.exclusive && primary != nics.end()) {
    forwarded.rules.insert(forwarded.rules.begin(), services_only(node, primary->mark));
    table.chains.push_back(postrouting(node, primary->mark));
  }
  for (auto& chain : {prerouting(node), from_pod(node), after_dnat(), only_to_pods(node), forwarded,
                      output(node)}) {
    table.chains.push_back(chain);
  }
  Map nics_map{kNicsMap, KeyType::Interface, {}};
  Map exits_map{kExitsMap, KeyType::Interface, {}};
  Map enis_map{kEnisMap, KeyType::Interface, {}};
  Map return_map{kReturnMap, KeyType::Mark, {}};
  Map own_return_map{kOwnReturnMap, KeyType::Mark, {}};
  Map pods4{kPodsMapV4, KeyType::Ipv4, {}};
  Map pods6{kPodsMapV6, KeyType::Ipv6, {}};
  for (const NicLayout& nic : nics) {
    table.chains.push_back(leave_by(node, nic.mark));
    table.chains.push_back(remember(node, nic.mark));
    table.chains.push_back(only_by(node, nic.mark));
    const auto index = bytes_of(static_cast<std::uint32_t>(nic.ifindex));
    nics_map.elements.push_back({index, remember_chain(nic.mark)});
    exits_map.elements.push_back({index, only_by_chain(nic.mark)});
    return_map.elements.push_back({bytes_of(nic.mark), leave_chain(nic.mark)});
    if (nic.primary) continue;
    enis_map.elements.push_back({index, "only_to_pods"});
    own_return_map.elements.push_back({bytes_of(nic.mark), leave_chain(nic.mark)});
  }
  for (const PodLayout& pod : pods) {
    if (pod.mark == 0) continue;
    for (const net::IpAddress& address : pod.addresses) {
      (address.is_v4() ? pods4 : pods6).elements.push_back(pod_element(address, pod.mark));
    }
  }
  table.maps = {nics_map, exits_map, enis_map, return_map, own_return_map, pods4, pods6};
  return table;
}

}  // namespace terway::datapath
