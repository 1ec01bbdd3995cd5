// SPDX-License-Identifier: Apache-2.0
#include "datapath/takeover.h"

#include <algorithm>
#include <set>

#include "datapath/names.h"
#include "datapath/state.h"

namespace terway::datapath {

namespace {

bool is_host(const std::optional<net::Prefix>& prefix) {
  return prefix && prefix->length == prefix->address.full_length();
}

bool to_pod(const kernel::Rule& rule) {
  return rule.priority == kToPodPriority && is_host(rule.to) && !rule.from &&
         rule.table == kernel::kMainTable;
}

bool from_pod(const kernel::Rule& rule) {
  return rule.priority == kFromPodPriority && is_host(rule.from) && !rule.to &&
         rule.table > kEniTableBase;
}

bool is_pods_main_route(const kernel::Route& route, const Actual& actual) {
  if (route.table != kernel::kMainTable || route.protocol == kProtocol ||
      route.destination.length != route.destination.address.full_length()) {
    return false;
  }
  const kernel::Link* link = actual.find_link(route.oif);
  return link != nullptr && link->kind == "veth" && link->name.starts_with("cali");
}

bool free_to_take(const kernel::Link& link, const std::string& name) {
  return link.name == name && link.kind == "veth" && link.alias.empty() &&
         link.group != kDyingGroup;
}

}  // namespace

std::vector<kernel::Rule> upstream_rules(const Actual& actual) {
  std::vector<kernel::Rule> found;
  for (const kernel::Rule& rule : actual.rules) {
    if (rule.protocol == kProtocol || rule.mask != 0) continue;
    if (to_pod(rule) || from_pod(rule)) found.push_back(rule);
  }
  return found;
}

const kernel::Link* find_host_end(const Actual& actual, const model::AttachmentKey& key,
                                  const model::Pod& pod) {
  const std::string alias = alias_of(key);
  for (const kernel::Link& link : actual.links) {
    if (link.alias == alias && link.group != kDyingGroup) return &link;
  }
  const std::string own = host_ifname_of(key);
  for (const kernel::Link& link : actual.links) {
    if (free_to_take(link, own)) return &link;
  }
  if (pod.name.empty()) return nullptr;
  const std::string upstream = upstream_ifname_of(pod, key.ifname);
  for (const kernel::Link& link : actual.links) {
    if (free_to_take(link, upstream)) return &link;
  }
  return nullptr;
}

std::vector<Removal> sweep_upstream(const Actual& actual, Datapath::State& state) {
  std::vector<Removal> removals;
  std::set<net::IpAddress> pods_of_upstream;
  for (const kernel::Rule& rule : state.upstream_rules) {
    if (rule.to) pods_of_upstream.insert(rule.to->address);
    removals.push_back({kernel::delete_rule(rule), "upstream's rule removed: " + rule.to_string()});
  }
  std::set<int> wanted;
  for (const auto& [key, pod] : state.pods) wanted.insert(pod.ifindex);
  std::set<int> strays;
  for (const kernel::Route& route : actual.routes) {
    if (!is_pods_main_route(route, actual)) continue;
    const bool known_pod = wanted.contains(route.oif);
    // Another CNI's links may have such names too: upstream's have its rule.
    if (!known_pod && !pods_of_upstream.contains(route.destination.address)) continue;
    if (!known_pod) strays.insert(route.oif);
    removals.push_back(
        {kernel::delete_route(route), "upstream's route removed: " + route.to_string()});
  }
  for (const auto& [id, nic] : state.nics) {
    if (nic.link.ifindex == 0) continue;
    for (const kernel::Route& route : actual.routes) {
      if (route.table != nic_table(nic.link.ifindex) || route.protocol == kProtocol) continue;
      removals.push_back(
          {kernel::delete_route(route), "upstream's route removed: " + route.to_string()});
    }
  }
  for (const int ifindex : strays) {
    kernel::LinkChange change;
    change.group = kDyingGroup;
    removals.push_back({kernel::change_link(ifindex, change),
                        "link " + std::to_string(ifindex) + " of upstream's is nobody's"});
    state.links_marked = true;
  }
  return removals;
}

}  // namespace terway::datapath
