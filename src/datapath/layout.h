// SPDX-License-Identifier: Apache-2.0
// The kernel state that NICs and pods imply: pure values, no kernel. The one place that knows the
// layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "datapath/marks.h"
#include "kernel/neighbour.h"
#include "kernel/nftables.h"
#include "kernel/route.h"
#include "kernel/rule.h"
#include "model/pod.h"

namespace terway::datapath {

struct NodeLayout {
  std::uint32_t pods_table = 0;
  MarkBits marks;
  bool ipv4 = true;
  bool ipv6 = false;
  bool exclusive = false;  // pods have ENIs of their own: by the primary NIC leaves what is theirs
  bool pods_reach_metadata = true;
};

// A NIC that packets may leave by: an ENI, or the primary one (for what came in on it).
struct NicLayout {
  int ifindex = 0;
  std::uint32_t mark = 0;
  bool primary = false;
  std::vector<kernel::Route> routes;          // of its table
  std::vector<kernel::Neighbour> neighbours;  // its gateways; none for the primary one
};

struct PodLayout {
  int ifindex = 0;  // of its host end; 0 while it has none
  std::vector<net::IpAddress> addresses;
  std::optional<net::Mac> pod_mac;  // absent where somebody else chose it
  std::uint32_t mark = 0;           // of the NIC it leaves by; 0 while there is none
};

std::uint32_t nic_table(int ifindex);
// The ENI's way out: default through the gateway, whatever the ENI's own (absent) address says.
kernel::Route nic_default_route(int ifindex, const net::IpAddress& gateway);
// Behind it, for when it is not there (the NIC is down, the family has no gateway): without it the
// search would go on in the main table, and what is a pod's would leave by the primary NIC.
kernel::Route nic_last_route(int ifindex, net::Family family);
kernel::Route pod_route(const NodeLayout& node, int ifindex, const net::IpAddress& address);

std::vector<kernel::Rule> node_rules(const NodeLayout& node);
std::vector<kernel::Rule> nic_rules(const NodeLayout& node, const NicLayout& nic);

// Map names of the nftables table, and the chains that its elements go to.
inline constexpr const char* kPodsMapV4 = "pods4";
inline constexpr const char* kPodsMapV6 = "pods6";
std::string leave_chain(std::uint32_t mark);
kernel::nft::Element pod_element(const net::IpAddress& address, std::uint32_t mark);
inline const char* pods_map(net::Family family) {
  return family == net::Family::V4 ? kPodsMapV4 : kPodsMapV6;
}

struct Layout {
  std::vector<kernel::Rule> rules;
  std::vector<kernel::Route> routes;
  std::vector<kernel::Neighbour> neighbours;
  kernel::nft::Table table;
};
Layout lay_out(const NodeLayout& node, const std::vector<NicLayout>& nics,
               const std::vector<PodLayout>& pods);

}  // namespace terway::datapath
