// SPDX-License-Identifier: Apache-2.0
#include "datapath/layout.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "datapath/names.h"

namespace terway::datapath {

kernel::nft::Table nft_table(const NodeLayout& node, const std::vector<NicLayout>& nics,
                             const std::vector<PodLayout>& pods);

std::uint32_t nic_table(int ifindex) { return kEniTableBase + static_cast<std::uint32_t>(ifindex); }

kernel::Route nic_default_route(int ifindex, const net::IpAddress& gateway) {
  kernel::Route route;
  route.destination = {gateway.is_v4() ? net::IpAddress::from_v4(0) : net::IpAddress{}, 0};
  route.table = nic_table(ifindex);
  route.oif = ifindex;
  route.gateway = gateway;
  route.onlink = true;
  route.protocol = kProtocol;
  if (!gateway.is_v4()) route.priority = 1024;  // what IPv6 writes for 0
  return route;
}

kernel::Route nic_last_route(int ifindex, net::Family family) {
  kernel::Route route;
  route.destination = {family == net::Family::V4 ? net::IpAddress::from_v4(0) : net::IpAddress{},
                       0};
  route.table = nic_table(ifindex);
  route.type = kernel::RouteType::Unreachable;
  route.protocol = kProtocol;
  route.priority = kLastMetric;
  return route;
}

kernel::Route pod_route(const NodeLayout& node, int ifindex, const net::IpAddress& address) {
  kernel::Route route;
  route.destination = net::Prefix::host(address);
  route.table = node.pods_table;
  route.oif = ifindex;
  route.protocol = kProtocol;
  if (address.is_v4()) {
    route.scope = RT_SCOPE_LINK;
  } else {
    route.priority = 1024;
  }
  return route;
}

namespace {

std::vector<net::Family> families(const NodeLayout& node) {
  std::vector<net::Family> families;
  if (node.ipv4) families.push_back(net::Family::V4);
  if (node.ipv6) families.push_back(net::Family::V6);
  return families;
}

kernel::Rule rule_of(net::Family family, std::uint32_t priority) {
  kernel::Rule rule;
  rule.family = family;
  rule.priority = priority;
  rule.protocol = kProtocol;
  return rule;
}

}  // namespace

std::vector<kernel::Rule> node_rules(const NodeLayout& node) {
  std::vector<kernel::Rule> rules;
  for (const net::Family family : families(node)) {
    kernel::Rule to_pods = rule_of(family, kToPodPriority);
    to_pods.table = node.pods_table;
    rules.push_back(to_pods);
    kernel::Rule nowhere = rule_of(family, kFromPodPriority);
    nowhere.mark = node.marks.nowhere();
    nowhere.mask = node.marks.mask();
    nowhere.action = kernel::RuleAction::Unreachable;
    rules.push_back(nowhere);
  }
  return rules;
}

std::vector<kernel::Rule> nic_rules(const NodeLayout& node, const NicLayout& nic) {
  std::vector<kernel::Rule> rules;
  for (const net::Family family : families(node)) {
    kernel::Rule rule = rule_of(family, kFromPodPriority);
    rule.mark = nic.mark;
    rule.mask = node.marks.mask();
    rule.table = nic_table(nic.ifindex);
    rules.push_back(rule);
  }
  return rules;
}

Layout lay_out(const NodeLayout& node, const std::vector<NicLayout>& nics,
               const std::vector<PodLayout>& pods) {
  Layout layout;
  layout.rules = node_rules(node);
  for (const NicLayout& nic : nics) {
    for (auto& rule : nic_rules(node, nic)) layout.rules.push_back(std::move(rule));
    layout.routes.insert(layout.routes.end(), nic.routes.begin(), nic.routes.end());
    layout.neighbours.insert(layout.neighbours.end(), nic.neighbours.begin(), nic.neighbours.end());
  }
  for (const PodLayout& pod : pods) {
    if (pod.ifindex == 0) continue;
    for (const net::IpAddress& address : pod.addresses) {
      layout.routes.push_back(pod_route(node, pod.ifindex, address));
      if (pod.pod_mac) {
        layout.neighbours.push_back({pod.ifindex, address, *pod.pod_mac, NUD_PERMANENT});
      }
    }
  }
  layout.table = nft_table(node, nics, pods);
  return layout;
}

}  // namespace terway::datapath
