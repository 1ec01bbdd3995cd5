// SPDX-License-Identifier: Apache-2.0
#include "ipam/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "ipam/per_family.h"

namespace terway::ipam {
namespace {

constexpr std::uint8_t kWidestVSwitch = 16;
constexpr std::uint8_t kNarrowestVSwitch = 29;
constexpr std::uint8_t kNarrowestVpc = 28;

struct Range {
  std::string name;
  net::Prefix prefix;
};

// What a VPC may not use (VPC guide, "Create a VPC"); the cloud's own services are in the first.
std::vector<Range> unusable_ranges() {
  return {{"the cloud's own services (100.64.0.0/10)", *net::Prefix::parse("100.64.0.0/10")},
          {"multicast (224.0.0.0/4)", *net::Prefix::parse("224.0.0.0/4")},
          {"loopback (127.0.0.0/8)", *net::Prefix::parse("127.0.0.0/8")},
          {"link-local (169.254.0.0/16)", *net::Prefix::parse("169.254.0.0/16")}};
}

std::string name_of(const model::VSwitch& vswitch, const char* role) {
  const std::string cidr = vswitch.cidr.to_string();
  return fmt::format("{} vSwitch {}", role,
                     vswitch.id.empty() ? cidr : vswitch.id + " (" + cidr + ")");
}

std::uint64_t addresses_of(const model::VSwitch& vswitch) {
  const std::uint64_t usable = usable_addresses(vswitch.cidr);
  return vswitch.available_addresses > 0 ? std::min(vswitch.available_addresses, usable) : usable;
}

bool same(const model::VSwitch& a, const model::VSwitch& b) {
  return a.cidr.network() == b.cidr.network() && (a.id.empty() || b.id.empty() || a.id == b.id);
}

class Planner {
 public:
  explicit Planner(const PlanRequest& request) : request_(request) {}

  Plan make() {
    check_vpc();
    for (const model::VSwitch& vswitch : request_.node_vswitches) check_vswitch(vswitch, "node");
    for (const model::VSwitch& vswitch : request_.pod_vswitches) check_vswitch(vswitch, "pod");
    check_vswitches_apart();
    check_services();
    check_zones();
    size();
    return std::move(plan_);
  }

 private:
  void mistake(std::string message) {
    plan_.findings.push_back({PlanFinding::Kind::Mistake, std::move(message)});
  }
  void warn(std::string message) {
    plan_.findings.push_back({PlanFinding::Kind::Warning, std::move(message)});
  }

  void check_vpc() {
    const net::Prefix& vpc = request_.vpc;
    if (vpc != vpc.network()) {
      warn(fmt::format("VPC {}: bits behind the mask are set; {} is meant", vpc.to_string(),
                       vpc.network().to_string()));
    }
    if (vpc.family() == net::Family::V4 && vpc.length > kNarrowestVpc) {
      mistake(fmt::format("VPC {}: its mask may be /{} at most", vpc.to_string(), kNarrowestVpc));
    }
    for (const Range& range : unusable_ranges()) {
      if (vpc.overlaps(range.prefix)) {
        mistake(fmt::format("VPC {} overlaps {}", vpc.to_string(), range.name));
      }
    }
  }

  void check_vswitch(const model::VSwitch& vswitch, const char* role) {
    const std::string name = name_of(vswitch, role);
    if (!request_.vpc.contains(vswitch.cidr)) {
      mistake(fmt::format("{} is not within the VPC {}", name, request_.vpc.to_string()));
    }
    if (vswitch.cidr.family() == net::Family::V4 &&
        (vswitch.cidr.length < kWidestVSwitch || vswitch.cidr.length > kNarrowestVSwitch)) {
      mistake(
          fmt::format("{}: its mask may be /{} to /{}", name, kWidestVSwitch, kNarrowestVSwitch));
    }
  }

  void check_vswitches_apart() {
    std::vector<std::pair<model::VSwitch, const char*>> all;
    all.reserve(request_.node_vswitches.size() + request_.pod_vswitches.size());
    for (const model::VSwitch& vswitch : request_.node_vswitches) all.emplace_back(vswitch, "node");
    for (const model::VSwitch& vswitch : request_.pod_vswitches) {
      const bool also_nodes =
          std::any_of(request_.node_vswitches.begin(), request_.node_vswitches.end(),
                      [&](const model::VSwitch& other) { return same(other, vswitch); });
      if (!also_nodes) {
        all.emplace_back(vswitch, "pod");
        continue;
      }
      warn(fmt::format("{} is the nodes' as well: pods can leave no address for a new node",
                       name_of(vswitch, "pod")));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = i + 1; j < all.size(); ++j) {
        if (all[i].first.cidr.overlaps(all[j].first.cidr)) {
          mistake(fmt::format("{} overlaps {}", name_of(all[i].first, all[i].second),
                              name_of(all[j].first, all[j].second)));
        }
      }
    }
  }

  void check_services() {
    for (const net::Prefix& services : request_.service_cidrs) {
      if (services.overlaps(request_.vpc)) {
        mistake(fmt::format("Services {} overlap the VPC {}: an address there could be a pod's",
                            services.to_string(), request_.vpc.to_string()));
      }
      for (const Range& range : unusable_ranges()) {
        if (services.overlaps(range.prefix)) {
          mistake(fmt::format("Services {} overlap {}", services.to_string(), range.name));
        }
      }
      if (services.family() == net::Family::V4 || request_.stack == Stack::V6) {
        plan_.service_addresses += services.size();
      }
    }
    for (std::size_t i = 0; i < request_.service_cidrs.size(); ++i) {
      for (std::size_t j = i + 1; j < request_.service_cidrs.size(); ++j) {
        if (request_.service_cidrs[i].overlaps(request_.service_cidrs[j])) {
          mistake(fmt::format("Services {} and {} overlap", request_.service_cidrs[i].to_string(),
                              request_.service_cidrs[j].to_string()));
        }
      }
    }
    const bool has_v6 =
        std::any_of(request_.service_cidrs.begin(), request_.service_cidrs.end(),
                    [](const net::Prefix& cidr) { return cidr.family() == net::Family::V6; });
    if (request_.stack == Stack::Dual && !request_.service_cidrs.empty() && !has_v6) {
      warn("dual stack without an IPv6 Service CIDR: Services are reached over IPv4 alone");
    }
  }

  void check_zones() {
    if (request_.node_vswitches.empty()) mistake("there is no node vSwitch");
    if (request_.pod_vswitches.empty()) mistake("there is no pod vSwitch");
    std::set<std::string> pod_zones;
    for (const model::VSwitch& vswitch : request_.pod_vswitches) pod_zones.insert(vswitch.zone_id);
    if (pod_zones.contains("")) return;
    for (const model::VSwitch& vswitch : request_.node_vswitches) {
      if (vswitch.zone_id.empty() || pod_zones.contains(vswitch.zone_id)) continue;
      mistake(
          fmt::format("{} is in zone {}, where there is no pod vSwitch: an ENI is attached "
                      "within its zone only",
                      name_of(vswitch, "node"), vswitch.zone_id));
    }
  }

  // Zone by zone: nodes there, and what pods of that zone can have.
  void size() {
    const Capacity capacity = capacity_of(request_.instance_type, request_.stack, request_.caps);
    plan_.pods_per_node = request_.exclusive ? capacity.exclusive_pods : capacity.shared_pods;
    if (!capacity.remark.empty()) warn(capacity.remark);
    for (const model::VSwitch& vswitch : request_.node_vswitches) {
      plan_.node_addresses += addresses_of(vswitch);
    }
    for (const model::VSwitch& vswitch : request_.pod_vswitches) {
      plan_.pod_addresses += addresses_of(vswitch);
    }
    if (plan_.pods_per_node == 0) {
      mistake(fmt::format("{} can have no pods", request_.instance_type.id));
    }
    count_pods();
  }

  void count_pods() {
    const std::size_t switches = request_.node_vswitches.size();
    std::map<std::string, std::uint64_t> nodes_in;  // by zone
    for (std::size_t i = 0; i < switches; ++i) {
      const model::VSwitch& vswitch = request_.node_vswitches[i];
      const std::uint64_t here =
          request_.nodes / switches + (i < request_.nodes % switches ? 1 : 0);
      if (here > addresses_of(vswitch)) {
        mistake(fmt::format("{} has {} addresses for {} nodes", name_of(vswitch, "node"),
                            addresses_of(vswitch), here));
      }
      nodes_in[vswitch.zone_id] += here;
    }
    bool short_of_addresses = false;
    for (const auto& [zone, nodes] : nodes_in) {
      const std::uint64_t addresses = pod_addresses_in(zone);
      const std::uint64_t wanted = nodes * plan_.pods_per_node;
      plan_.pods += std::min(wanted, addresses);
      if (plan_.pods_per_node > 0) plan_.nodes_filled += addresses / plan_.pods_per_node;
      if (wanted <= addresses) continue;
      short_of_addresses = true;
      warn(fmt::format("the pod vSwitches{} have {} addresses, the ENIs of {} nodes could carry {}",
                       zone.empty() ? "" : " of zone " + zone, addresses, nodes, wanted));
    }
    plan_.limited_by =
        short_of_addresses
            ? fmt::format("the pod vSwitches ({} addresses for pods)", plan_.pods)
            : fmt::format("the nodes' ENIs ({} nodes of {} with {} pods each)", request_.nodes,
                          request_.instance_type.id, plan_.pods_per_node);
    if (request_.nodes == 0) plan_.limited_by = "there are no nodes";
  }

  // Those of the zone, less what the nodes themselves take where they share a vSwitch.
  std::uint64_t pod_addresses_in(const std::string& zone) const {
    const std::size_t switches = request_.node_vswitches.size();
    std::uint64_t addresses = 0;
    for (const model::VSwitch& vswitch : request_.pod_vswitches) {
      if (!zone.empty() && !vswitch.zone_id.empty() && vswitch.zone_id != zone) continue;
      std::uint64_t here = addresses_of(vswitch);
      for (std::size_t i = 0; i < switches; ++i) {
        if (!same(request_.node_vswitches[i], vswitch)) continue;
        const std::uint64_t nodes =
            request_.nodes / switches + (i < request_.nodes % switches ? 1 : 0);
        here -= std::min(here, nodes);
      }
      addresses += here;
    }
    return addresses;
  }

  const PlanRequest& request_;
  Plan plan_;
};

}  // namespace

bool Plan::works() const {
  return std::none_of(findings.begin(), findings.end(), [](const PlanFinding& finding) {
    return finding.kind == PlanFinding::Kind::Mistake;
  });
}

std::uint64_t usable_addresses(const net::Prefix& vswitch_cidr) {
  const std::uint64_t reserved = vswitch_cidr.family() == net::Family::V4 ? 4 : 10;
  const std::uint64_t size = vswitch_cidr.size();
  return size > reserved ? size - reserved : 0;
}

Plan make_plan(const PlanRequest& request) { return Planner(request).make(); }

}  // namespace terway::ipam
