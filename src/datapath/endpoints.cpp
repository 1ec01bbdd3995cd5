// SPDX-License-Identifier: Apache-2.0
#include "datapath/endpoints.h"

#include <algorithm>
#include <cstring>

namespace terway::datapath {

namespace {

void put(std::uint8_t (&out)[6], const net::Mac& mac) {
  std::copy(mac.bytes.begin(), mac.bytes.end(), out);
}

std::uint32_t index_of(int ifindex) { return static_cast<std::uint32_t>(ifindex); }

abi::endpoint entry_of(const PodEntry& pod, net::Family family) {
  const PodEnd& end = pod.end;
  abi::endpoint entry{};
  entry.kind = abi::ENDPOINT_POD;
  entry.mode = static_cast<std::uint8_t>(end.mode);
  entry.flags = end.flags;
  if (end.mtu != 0 && end.mtu < pod.eni_mtu) entry.flags |= abi::ENDPOINT_SMALL_MTU;
  entry.pod = pod.number;
  entry.ifindex = index_of(end.ifindex);
  put(entry.mac, end.mac);
  if (pod.way_out) {
    const auto& gateway =
        family == net::Family::V4 ? pod.way_out->gateway_v4 : pod.way_out->gateway_v6;
    // Without the gateway's MAC there is no way yet.
    if (gateway) {
      entry.eni_ifindex = index_of(pod.way_out->ifindex);
      put(entry.eni_mac, pod.way_out->mac);
      put(entry.gateway_mac, *gateway);
    }
  }
  entry.mtu = static_cast<std::uint16_t>(std::min(end.mtu, 65535U));
  entry.netns = end.netns;
  entry.shaper_egress = index_of(end.shaper_egress);
  entry.shaper_ingress = index_of(end.shaper_ingress);
  entry.priority = end.priority;
  entry.egress_rate = end.egress_rate;
  entry.ingress_rate = end.ingress_rate;
  entry.peer_ifindex = index_of(end.peer_ifindex);
  entry.peer_inner_ifindex = index_of(end.peer_inner_ifindex);
  put(entry.peer_mac, end.peer_mac);
  return entry;
}

}  // namespace

Endpoints lay_out_endpoints(const std::vector<PodEntry>& pods,
                            const std::vector<net::IpAddress>& node,
                            const std::vector<net::IpAddress>& blocked) {
  Endpoints endpoints;
  for (const PodEntry& pod : pods) {
    for (const net::IpAddress& address : pod.addresses) {
      endpoints.emplace(address, entry_of(pod, address.family()));
    }
  }
  const auto put_all = [&](const std::vector<net::IpAddress>& addresses, abi::endpoint_kind kind) {
    abi::endpoint entry{};
    entry.kind = static_cast<std::uint8_t>(kind);
    for (const net::IpAddress& address : addresses) endpoints.emplace(address, entry);
  };
  put_all(node, abi::ENDPOINT_HOST);
  put_all(blocked, abi::ENDPOINT_BLOCKED);
  return endpoints;
}

void PodNumbers::recall(const net::IpAddress& address, const abi::endpoint& entry) {
  if (entry.kind != abi::ENDPOINT_POD) return;
  recalled_[address] = entry;
  last_ = std::max(last_, entry.pod);
}

std::uint32_t PodNumbers::number_of(const model::AttachmentKey& key,
                                    const std::vector<net::IpAddress>& addresses,
                                    const PodEnd& end) {
  const auto known = numbers_.find(key);
  if (known != numbers_.end()) return known->second;
  for (const net::IpAddress& address : addresses) {
    const auto found = recalled_.find(address);
    if (found == recalled_.end()) continue;
    const abi::endpoint entry = found->second;
    recalled_.erase(found);
    if (entry.ifindex == index_of(end.ifindex) && entry.mode == end.mode &&
        std::equal(end.mac.bytes.begin(), end.mac.bytes.end(), entry.mac)) {
      return numbers_[key] = entry.pod;
    }
  }
  if (++last_ == 0) ++last_;
  return numbers_[key] = last_;
}

abi::ip_address to_abi(const net::IpAddress& address) {
  abi::ip_address out;
  std::memcpy(&out, address.bytes.data(), sizeof(out));
  return out;
}

net::IpAddress from_abi(const abi::ip_address& address) {
  net::IpAddress out;
  std::memcpy(out.bytes.data(), &address, sizeof(address));
  return out;
}

abi::prefix_key to_abi(const net::Prefix& prefix) {
  return {prefix.length + (prefix.address.is_v4() ? 96U : 0U), to_abi(prefix.network().address)};
}

bool same(const abi::endpoint& a, const abi::endpoint& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

}  // namespace terway::datapath
