// SPDX-License-Identifier: Apache-2.0
// What the kernel of this node should look like, as plain values. The agent says it, the datapath
// makes it so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/pod.h"
#include "net/address.h"

namespace terway::datapath {

// A secondary ENI that carries pods' addresses. The node has no address on it.
struct EniPlan {
  std::string eni_id;
  net::Mac mac;
  std::optional<net::IpAddress> gateway_v4;  // of the ENI's vSwitch; absent in an IPv6-only node
  std::optional<net::IpAddress> gateway_v6;
  // Addresses of this very ENI that a probe may use as its sender; may be empty (then 0.0.0.0,
  // fe80::).
  std::vector<net::IpAddress> own_addresses;
  // MTU to set; 0 keeps the NIC's own.
  std::uint32_t mtu = 0;

  bool operator==(const EniPlan&) const = default;
};

// An ENI whose NIC is up, with gateway neighbours learnt and its table written: fit for pods.
struct EniNic {
  std::string eni_id;
  int ifindex = 0;
  std::string ifname;
  std::uint32_t mtu = 0;
  std::uint32_t table = 0;  // 1000 + ifindex
  std::optional<net::Mac> gateway_mac_v4;
  std::optional<net::Mac> gateway_mac_v6;
};

struct Route {
  net::Prefix destination;
};

// One pod interface.
struct PodPlan {
  model::AttachmentKey key;
  model::Pod pod;
  model::NetworkMode mode = model::NetworkMode::Veth;
  // The namespace, for when nobody hands over a descriptor of it; empty and 0 where not known.
  std::string netns_path;
  std::uint64_t netns_inode = 0;
  std::string eni_id;                     // whose NIC its addresses leave by
  std::vector<net::IpAddress> addresses;  // at most one of each family
  std::uint32_t mtu = 0;                  // 0: the ENI's
  std::vector<Route> extra_routes;        // through the gateway, besides the default route
  model::Bandwidth bandwidth;
  model::NetworkPriority priority = model::NetworkPriority::None;
  // Of a pod with an ENI of its own: the NIC's MAC; whether there is a pair to the host's stack,
  // and what is routed by it besides the node's own addresses.
  net::Mac nic_mac;
  bool host_peer = true;
  std::vector<net::Prefix> host_stack;

  bool has_host_end() const { return mode != model::NetworkMode::Exclusive || host_peer; }
};

// What add_pod() made: for the CNI result and the journal.
struct PodWired {
  std::string host_ifname;
  net::Mac host_mac;
  net::Mac pod_mac;
  std::uint32_t mtu = 0;
  std::vector<net::IpAddress> gateways;  // 169.254.1.1, fe80::1
};

// Everything that should exist: the input of a resync. Pods whose ENI has no NIC (yet) keep their
// links and pods-table routes; only the way out is missing.
struct Desired {
  std::vector<EniPlan> enis;
  std::vector<PodPlan> pods;
};

// What a resync had to change, for logs and metrics; all zero when the kernel was as it should be.
struct Drift {
  std::uint32_t rules = 0;
  std::uint32_t routes = 0;
  std::uint32_t marks = 0;  // nftables elements
  std::uint32_t neighbours = 0;
  std::uint32_t links = 0;
  std::uint32_t sysctls = 0;
  std::uint32_t programs = 0;     // attached, and entries of their maps
  std::vector<std::string> what;  // one line each, for the log
  // Pods that had taken the programs off their own NIC; they are back.
  std::vector<model::Pod> tampered;

  std::uint32_t total() const {
    return rules + routes + marks + neighbours + links + sysctls + programs;
  }
};

}  // namespace terway::datapath
