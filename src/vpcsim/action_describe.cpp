// SPDX-License-Identifier: Apache-2.0
// What there is: filters and pages.
#include <fmt/core.h>

#include <algorithm>

#include "vpcsim/action.h"
#include "vpcsim/api_error.h"
#include "vpcsim/instance_types.h"
#include "vpcsim/openapi_reply.h"

namespace terway::vpcsim {

namespace {

bool any_of(const std::vector<std::string>& wanted, const std::string& value) {
  return wanted.empty() || std::ranges::find(wanted, value) != wanted.end();
}

bool any_address(const std::vector<net::IpAddress>& wanted,
                 const std::vector<net::IpAddress>& have) {
  if (wanted.empty()) return true;
  return std::ranges::any_of(wanted, [&](const net::IpAddress& address) {
    return std::ranges::find(have, address) != have.end();
  });
}

// Every filter that is given must match (logical AND).
Result<std::vector<const EniRecord*>> matching_enis(const Region& region, const Query& query) {
  const std::vector<std::string> ids = query.list("NetworkInterfaceId");
  if (ids.size() > 100) {
    return api_error("InvalidParameter",
                     "The specified parameter \"NetworkInterfaceId.N\" is not valid: at most 100 "
                     "can be given.");
  }
  const auto ipv4 = TRY(query.addresses("PrivateIpAddress", net::Family::V4, 100));
  const auto ipv6 = TRY(query.addresses("Ipv6Address", net::Family::V6, 100));
  const model::Tags tags = TRY(query.tags());
  const auto same = [&](std::string_view name, std::string_view value) {
    return !query.has(name) || query.text(name) == value;
  };
  std::vector<const EniRecord*> matching;
  for (const EniRecord* record : region.world.enis()) {
    const model::Eni& eni = record->eni;
    const bool tagged = std::ranges::all_of(tags, [&](const auto& tag) {
      const auto has = eni.tags.find(tag.first);
      return has != eni.tags.end() && (tag.second.empty() || tag.second == has->second);
    });
    const bool grouped = !query.has("SecurityGroupId") ||
                         any_of(eni.security_group_ids, query.text("SecurityGroupId"));
    if (tagged && grouped && any_of(ids, eni.id) && any_address(ipv4, eni.ipv4) &&
        any_address(ipv6, eni.ipv6) && same("InstanceId", eni.instance_id) &&
        same("VSwitchId", eni.vswitch_id) && same("VpcId", eni.vpc_id) &&
        same("Status", to_string(eni.status)) && same("Type", to_string(eni.type)) &&
        same("PrimaryIpAddress", eni.primary_address.to_string()) &&
        same("NetworkInterfaceName", record->name) &&
        same("ResourceGroupId", record->resource_group_id)) {
      matching.push_back(record);
    }
  }
  return matching;
}

// One page of a list, cut out of it. By token where MaxResults or NextToken is given, else by
// number. A token names the last item of the page before, so that what comes and goes meanwhile
// does no harm.
template <class Item, class Sequence>
Result<Page> cut_page(const Query& query, std::vector<const Item*>& items,
                      std::uint32_t most_by_number, Sequence sequence) {
  constexpr std::string_view kTokenPrefix = "AAAAAQ";
  Page page;
  if (!query.has("MaxResults") && !query.has("NextToken")) {
    page.number = TRY(query.number("PageNumber", 1, 1U << 30)).value_or(1);
    page.size = TRY(query.number("PageSize", 1, most_by_number)).value_or(10);
    page.total = items.size();
    const std::uint64_t first =
        std::min<std::uint64_t>(items.size(), std::uint64_t(page.number - 1) * page.size);
    const std::uint64_t last = std::min<std::uint64_t>(items.size(), first + page.size);
    items = std::vector<const Item*>(items.begin() + static_cast<std::ptrdiff_t>(first),
                                     items.begin() + static_cast<std::ptrdiff_t>(last));
    return page;
  }
  const std::uint32_t most = query.clamped("MaxResults", 10, 10, 500);
  if (query.has("NextToken")) {
    const std::string token = query.text("NextToken");
    if (!token.starts_with(kTokenPrefix)) {
      return api_error("InvalidParameter", "The specified parameter \"NextToken\" is not valid.");
    }
    const std::string after = token.substr(kTokenPrefix.size());
    std::erase_if(items, [&](const Item* item) { return sequence(*item) <= after; });
  }
  if (items.size() > most) {
    items.resize(most);
    page.next_token = std::string(kTokenPrefix) + sequence(*items.back());
  }
  return page;
}

std::string eni_sequence(const EniRecord& record) {
  return fmt::format("{:016x}", record.sequence);
}

}  // namespace

Body describe_network_interfaces(Region& region, ApiCall& call) {
  const Query query(call.parameters);
  auto records = TRY(matching_enis(region, query));
  const Page page = TRY(cut_page(query, records, 100, eni_sequence));
  return eni_list_reply(records, page);
}

Body describe_network_interface_attribute(Region& region, ApiCall& call) {
  const std::string id = TRY(Query(call.parameters).required("NetworkInterfaceId"));
  const EniRecord* record = region.world.find_eni(id);
  if (record == nullptr) return api_error("InvalidEniId.NotFound");
  return eni_attribute_reply(*record);
}

Body describe_instance_types(Region& /*region*/, ApiCall& call) {
  const Query query(call.parameters);
  const std::vector<std::string> ids = query.list("InstanceTypes");
  const std::string family = query.text("InstanceTypeFamily");
  std::vector<const model::InstanceType*> types;
  for (const model::InstanceType& type : instance_types()) {
    if (any_of(ids, type.id) && (family.empty() || family == family_of(type.id))) {
      types.push_back(&type);
    }
  }
  // Pages of up to 1600 where the whole table has a few dozen: the rest comes by the same token.
  const std::uint32_t most = query.clamped("MaxResults", 1600, 1, 1600);
  const std::uint32_t skip = query.clamped("NextToken", 0, 0, 1U << 30);
  types.erase(types.begin(), types.begin() + static_cast<std::ptrdiff_t>(
                                                 std::min<std::size_t>(skip, types.size())));
  std::string next_token;
  if (types.size() > most) {
    types.resize(most);
    next_token = std::to_string(skip + most);
  }
  return instance_types_reply(types, next_token);
}

Body describe_instances(Region& region, ApiCall& call) {
  const Query query(call.parameters);
  std::vector<std::string> ids;
  const bool by_id = query.has("InstanceIds");
  if (by_id) {
    const auto parsed = parse_string_array(query.text("InstanceIds"));
    if (!parsed || parsed->size() > 100) {
      return api_error("InvalidParameter",
                       "The specified parameter \"InstanceIds\" is not valid: it must be a JSON "
                       "array of up to 100 strings.");
    }
    ids = *parsed;
  }
  const auto same = [&](std::string_view name, std::string_view value) {
    return !query.has(name) || query.text(name) == value;
  };
  std::vector<const Server*> servers;
  for (const auto& [id, server] : region.world.instances()) {
    if (by_id && std::ranges::find(ids, id) == ids.end()) continue;
    if (same("VpcId", server.info.vpc_id) && same("VSwitchId", server.info.vswitch_id) &&
        same("ZoneId", server.info.zone_id) && same("InstanceName", server.name) &&
        same("InstanceType", server.info.type) && same("Status", "Running")) {
      servers.push_back(&server);
    }
  }
  const Page page =
      TRY(cut_page(query, servers, 100, [](const Server& server) { return server.info.id; }));
  return instance_list_reply(region.world, servers, page);
}

Body describe_vswitches(Region& region, ApiCall& call) {
  const Query query(call.parameters);
  if (!query.has("RegionId") && !query.has("VpcId")) {
    return query.required("RegionId").take_error();
  }
  const auto same = [&](std::string_view name, std::string_view value) {
    return !query.has(name) || query.text(name) == value;
  };
  std::vector<const Switch*> vswitches;
  for (const auto& [id, vswitch] : region.world.vswitches()) {
    if (same("VSwitchId", id) && same("VpcId", vswitch.info.vpc_id) &&
        same("ZoneId", vswitch.info.zone_id) && same("VSwitchName", vswitch.name)) {
      vswitches.push_back(&vswitch);
    }
  }
  const Page page =
      TRY(cut_page(query, vswitches, 50, [](const Switch& vswitch) { return vswitch.info.id; }));
  std::vector<std::uint64_t> available;
  for (const Switch* vswitch : vswitches) {
    Occasion occasion = occasion_of(region, call);
    occasion.vswitch_id = vswitch->info.id;
    occasion.action = {};
    const bool exhausted = region.faults.threatens(FaultKind::VSwitchExhausted, occasion);
    available.push_back(exhausted ? 0 : vswitch->v4.available());
  }
  return vswitch_list_reply(vswitches, available, page);
}

Body describe_security_groups(Region& region, ApiCall& call) {
  const Query query(call.parameters);
  std::vector<std::string> ids;
  if (query.has("SecurityGroupIds")) {
    const auto parsed = parse_string_array(query.text("SecurityGroupIds"));
    if (!parsed || parsed->size() > 100) {
      return api_error("InvalidParameter",
                       "The specified parameter \"SecurityGroupIds\" is not valid: it must be a "
                       "JSON array of up to 100 strings.");
    }
    ids = *parsed;
  }
  std::vector<const SecurityGroup*> groups;
  for (const auto& [id, group] : region.world.security_groups()) {
    const bool wanted = !query.has("SecurityGroupId") || query.text("SecurityGroupId") == id;
    const bool here = !query.has("VpcId") || query.text("VpcId") == group.vpc_id;
    if (wanted && here && any_of(ids, id)) groups.push_back(&group);
  }
  const Page page =
      TRY(cut_page(query, groups, 100, [](const SecurityGroup& group) { return group.id; }));
  return security_group_list_reply(region.world, groups, page);
}

}  // namespace terway::vpcsim
