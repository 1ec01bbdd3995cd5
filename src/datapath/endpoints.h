// SPDX-License-Identifier: Apache-2.0
// What the programs are told of addresses (bpf/abi.h: `endpoints`, `host_stack`), from what the
// node knows. Pure values, no kernel.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "bpf/abi.h"
#include "model/pod.h"
#include "net/address.h"

namespace terway::datapath {

// The NIC that a pod's packets leave by.
struct WayOut {
  int ifindex = 0;
  net::Mac mac;
  std::optional<net::Mac> gateway_v4;  // absent while it is not known
  std::optional<net::Mac> gateway_v6;
};

// Where the programs meet a pod. The file of its mode says it (wire.cpp, ipvlan.cpp,
// exclusive.cpp), in WiredPod::end, at ADD and again at each resync; its endpoint entries follow
// from it.
struct PodEnd {
  abi::endpoint_mode mode = abi::MODE_VETH;
  int ifindex = 0;  // as endpoint.ifindex
  net::Mac mac;     // of the pod's interface
  std::uint32_t mtu = 0;
  std::uint32_t netns = 0;  // inode number; IPVLAN only
  // EXCLUSIVE only: the pair to the host's stack.
  int peer_ifindex = 0;
  int peer_inner_ifindex = 0;
  net::Mac peer_mac;
  // Bandwidth and priority: as in the entry.
  std::uint16_t flags = 0;  // enum endpoint_flag, without ENDPOINT_SMALL_MTU
  int shaper_egress = 0;
  int shaper_ingress = 0;
  std::uint64_t egress_rate = 0;
  std::uint64_t ingress_rate = 0;
  std::uint32_t priority = 0;

  bool operator==(const PodEnd&) const = default;
};

struct PodEntry {
  std::uint32_t number = 0;
  PodEnd end;
  std::vector<net::IpAddress> addresses;
  std::optional<WayOut> way_out;  // absent: what leaves is dropped
  std::uint32_t eni_mtu = 0;
};

using Endpoints = std::map<net::IpAddress, abi::endpoint>;

// A pod's address goes before the node's, and that before what is blocked.
Endpoints lay_out_endpoints(const std::vector<PodEntry>& pods,
                            const std::vector<net::IpAddress>& node,
                            const std::vector<net::IpAddress>& blocked);

// Numbers of pods: a pod keeps the one that it has in the map (its entries say which MAC and
// device they are of), so that a restart changes nothing; a new one is one that nobody had since.
class PodNumbers {
 public:
  // What is in the map when the daemon starts.
  void recall(const net::IpAddress& address, const abi::endpoint& entry);
  std::uint32_t number_of(const model::AttachmentKey& key,
                          const std::vector<net::IpAddress>& addresses, const PodEnd& end);
  void forget(const model::AttachmentKey& key) { numbers_.erase(key); }
  const std::map<model::AttachmentKey, std::uint32_t>& all() const { return numbers_; }

 private:
  std::map<net::IpAddress, abi::endpoint> recalled_;
  std::map<model::AttachmentKey, std::uint32_t> numbers_;
  std::uint32_t last_ = 0;
};

// Map keys: 16 bytes in network order.
abi::ip_address to_abi(const net::IpAddress& address);
net::IpAddress from_abi(const abi::ip_address& address);
abi::prefix_key to_abi(const net::Prefix& prefix);
bool same(const abi::endpoint& a, const abi::endpoint& b);

}  // namespace terway::datapath
