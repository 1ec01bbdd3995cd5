// SPDX-License-Identifier: Apache-2.0
// Each action of the API: its parameters, what it does to the world, which faults touch it.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "vpcsim/api_error.h"
#include "vpcsim/instance_types.h"
#include "vpcsim/openapi.h"
#include "vpcsim/openapi_reply.h"
#include "vpcsim/query.h"

namespace terway::vpcsim {

namespace {

using Body = Result<std::string>;
constexpr std::string_view kEmptyBody = "{}";

void note(ApiCall& call, const Fault& fault) {
  if (!call.faults.empty()) call.faults += ',';
  call.faults += std::to_string(fault.id);
}

std::optional<Fault> strike(Region& region, ApiCall& call, FaultKind kind) {
  const auto fault = region.faults.strike(kind, occasion_of(region, call));
  if (fault) note(call, *fault);
  return fault;
}

Result<> vswitch_has_addresses(Region& region, ApiCall& call) {
  const auto fault = strike(region, call, FaultKind::VSwitchExhausted);
  if (!fault) return Ok{};
  return api_error(fault->code.empty() ? "InvalidVSwitchId.IpNotEnough" : fault->code,
                   fault->message);
}

Result<> refuse_prefixes(const Query& query) {
  for (const std::string_view name :
       {"Ipv4PrefixCount", "Ipv6PrefixCount", "Ipv4Prefix.1", "Ipv6Prefix.1"}) {
    if (query.has(name) && query.text(name) != "0") {
      return api_error("UnsupportedParameter",
                       fmt::format("The parameter \"{}\" is unsupported.", name));
    }
  }
  return Ok{};
}

Result<> exclusive(const Query& query, std::string_view list, std::string_view count) {
  if (!query.has(fmt::format("{}.1", list)) || !query.has(count)) return Ok{};
  return api_error("InvalidParameter.Conflict",
                   fmt::format("\"{}.N\" and \"{}\" exclude each other.", list, count));
}

// --- ENIs

Result<NewEni> parse_new_eni(const Query& query) {
  NewEni wanted;
  wanted.vswitch_id = TRY(query.required("VSwitchId"));
  wanted.security_group_ids = query.list("SecurityGroupIds");
  if (query.has("SecurityGroupId")) {
    if (!wanted.security_group_ids.empty()) {
      return api_error("InvalidParameter.Conflict",
                       "\"SecurityGroupId\" and \"SecurityGroupIds.N\" exclude each other.");
    }
    wanted.security_group_ids.push_back(query.text("SecurityGroupId"));
  }
  const std::string type = query.text("InstanceType");
  if (!type.empty() && type != "Secondary" && type != "Trunk") {
    return api_error("InvalidParameter",
                     "The specified parameter \"InstanceType\" is not valid: it must be Secondary "
                     "or Trunk.");
  }
  if (type == "Trunk") wanted.type = model::EniType::Trunk;
  if (query.has("PrimaryIpAddress")) {
    wanted.primary_address = net::IpAddress::parse(query.text("PrimaryIpAddress"));
    if (!wanted.primary_address) return api_error("InvalidPrivateIpAddress.Malformed");
  }
  TRY(exclusive(query, "PrivateIpAddress", "SecondaryPrivateIpAddressCount"));
  TRY(exclusive(query, "Ipv6Address", "Ipv6AddressCount"));
  TRY(refuse_prefixes(query));
  wanted.addresses = TRY(query.addresses("PrivateIpAddress", net::Family::V4, 10));
  wanted.address_count = TRY(query.number("SecondaryPrivateIpAddressCount", 0, 49)).value_or(0);
  wanted.ipv6 = TRY(query.addresses("Ipv6Address", net::Family::V6, 10));
  wanted.ipv6_count = TRY(query.number("Ipv6AddressCount", 0, 10)).value_or(0);
  wanted.name = query.text("NetworkInterfaceName");
  wanted.description = query.text("Description");
  wanted.resource_group_id = query.text("ResourceGroupId");
  wanted.tags = TRY(query.tags());
  wanted.delete_on_release = TRY(query.boolean("DeleteOnRelease")).value_or(true);
  wanted.source_dest_check = TRY(query.boolean("SourceDestCheck")).value_or(false);
  return wanted;
}

Body create_network_interface(Region& region, ApiCall& call) {
  NewEni wanted = TRY(parse_new_eni(Query(call.parameters)));
  TRY(vswitch_has_addresses(region, call));
  if (wanted.address_count > 0 || wanted.ipv6_count > 0) {
    if (const auto fault = strike(region, call, FaultKind::Partial)) {
      wanted.address_count = std::min(wanted.address_count, fault->limit);
      wanted.ipv6_count = std::min(wanted.ipv6_count, fault->limit);
    }
  }
  const std::string id = TRY(region.world.create_eni(wanted));
  return created_eni_reply(*region.world.find_eni(id));
}

Body attach_network_interface(Region& region, ApiCall& call) {
  const Query query(call.parameters);
  const std::string eni_id = TRY(query.required("NetworkInterfaceId"));
  const std::string instance_id = TRY(query.required("InstanceId"));
  if (query.has("TrunkNetworkInstanceId")) {
    return api_error("UnsupportedParameter",
                     "The parameter \"TrunkNetworkInstanceId\" is unsupported.");
  }
  AttachCourse course;
  course.attach = region.world.settings().attach_delay;
  course.nic = region.world.settings().nic_delay;
  if (const auto fault = strike(region, call, FaultKind::AttachStuck)) {
    course.attach_held_by = fault->id;
  } else if (strike(region, call, FaultKind::AttachFails)) {
    course.fails = true;
  }
  if (const auto fault = strike(region, call, FaultKind::NicNever)) {
    course.nic_held_by = fault->id;
  } else if (const auto late = strike(region, call, FaultKind::NicLate)) {
    course.nic += late->delay;
  }
  TRY(region.world.attach_eni(eni_id, instance_id, course));
  return std::string(kEmptyBody);
}

Body detach_network_interface(Region& region, ApiCall& call) {
  const Query query(call.parameters);
  const std::string eni_id = TRY(query.required("NetworkInterfaceId"));
  const std::string instance_id = TRY(query.required("InstanceId"));
  TRY(region.world.detach_eni(eni_id, instance_id));
  return std::string(kEmptyBody);
}

Body delete_network_interface(Region& region, ApiCall& call) {
  const std::string eni_id = TRY(Query(call.parameters).required("NetworkInterfaceId"));
  TRY(region.world.delete_eni(eni_id));
  return std::string(kEmptyBody);
}

Body modify_network_interface_attribute(Region& region, ApiCall& call) {
  const Query query(call.parameters);
  const std::string eni_id = TRY(query.required("NetworkInterfaceId"));
  EniChange change;
  if (query.has("NetworkInterfaceName")) change.name = query.text("NetworkInterfaceName");
  if (query.has("Description")) change.description = query.text("Description");
  if (const auto groups = query.list("SecurityGroupId"); !groups.empty()) {
    change.security_group_ids = groups;
  }
  change.delete_on_release = TRY(query.boolean("DeleteOnRelease"));
  TRY(region.world.modify_eni(eni_id, change));
  return std::string(kEmptyBody);
}

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

// --- addresses

Body assign(Region& region, ApiCall& call, net::Family family, std::string_view list_name,
            std::string_view count_name, std::uint32_t most) {
  const Query query(call.parameters);
  const std::string eni_id = TRY(query.required("NetworkInterfaceId"));
  TRY(refuse_prefixes(query));
  TRY(exclusive(query, list_name, count_name));
  std::vector<net::IpAddress> named = TRY(query.addresses(list_name, family, most));
  std::uint32_t count = TRY(query.number(count_name, 1, most)).value_or(0);
  if (named.empty() && count == 0) return query.required(count_name).take_error();
  TRY(vswitch_has_addresses(region, call));
  if (const auto fault = strike(region, call, FaultKind::Partial)) {
    count = std::min(count, fault->limit);
    named.resize(std::min<std::size_t>(named.size(), fault->limit));
  }
  const auto assigned = TRY(named.empty() ? region.world.assign_addresses(eni_id, family, count)
                                          : region.world.assign_addresses(eni_id, family, named));
  return assigned_reply(eni_id, family, assigned);
}

Body unassign(Region& region, ApiCall& call, net::Family family, std::string_view list_name) {
  const Query query(call.parameters);
  const std::string eni_id = TRY(query.required("NetworkInterfaceId"));
  TRY(refuse_prefixes(query));
  const auto addresses = TRY(query.addresses(list_name, family, 100));
  if (addresses.empty()) return query.required(fmt::format("{}.1", list_name)).take_error();
  TRY(region.world.unassign_addresses(eni_id, family, addresses));
  return std::string(kEmptyBody);
}

Body assign_private_ip_addresses(Region& region, ApiCall& call) {
  return assign(region, call, net::Family::V4, "PrivateIpAddress", "SecondaryPrivateIpAddressCount",
                49);
}
Body unassign_private_ip_addresses(Region& region, ApiCall& call) {
  return unassign(region, call, net::Family::V4, "PrivateIpAddress");
}
Body assign_ipv6_addresses(Region& region, ApiCall& call) {
  return assign(region, call, net::Family::V6, "Ipv6Address", "Ipv6AddressCount", 10);
}
Body unassign_ipv6_addresses(Region& region, ApiCall& call) {
  return unassign(region, call, net::Family::V6, "Ipv6Address");
}

// --- the rest

Body describe_instance_types(Region&, ApiCall& call) {
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

struct Action {
  std::string_view name;
  std::string_view version;
  Body (*perform)(Region&, ApiCall&);
};

constexpr std::string_view kEcs = "2014-05-26";
constexpr std::string_view kVpc = "2016-04-28";
constexpr std::array kActions = {
    Action{"CreateNetworkInterface", kEcs, create_network_interface},
    Action{"AttachNetworkInterface", kEcs, attach_network_interface},
    Action{"DetachNetworkInterface", kEcs, detach_network_interface},
    Action{"DeleteNetworkInterface", kEcs, delete_network_interface},
    Action{"ModifyNetworkInterfaceAttribute", kEcs, modify_network_interface_attribute},
    Action{"DescribeNetworkInterfaces", kEcs, describe_network_interfaces},
    Action{"DescribeNetworkInterfaceAttribute", kEcs, describe_network_interface_attribute},
    Action{"AssignPrivateIpAddresses", kEcs, assign_private_ip_addresses},
    Action{"UnassignPrivateIpAddresses", kEcs, unassign_private_ip_addresses},
    Action{"AssignIpv6Addresses", kEcs, assign_ipv6_addresses},
    Action{"UnassignIpv6Addresses", kEcs, unassign_ipv6_addresses},
    Action{"DescribeInstanceTypes", kEcs, describe_instance_types},
    Action{"DescribeInstances", kEcs, describe_instances},
    Action{"DescribeSecurityGroups", kEcs, describe_security_groups},
    Action{"DescribeVSwitches", kVpc, describe_vswitches},
};

const Action* find_action(std::string_view name) {
  for (const Action& action : kActions) {
    if (action.name == name) return &action;
  }
  return nullptr;
}

}  // namespace

std::string_view version_of(std::string_view action) {
  const Action* found = find_action(action);
  return found == nullptr ? std::string_view() : found->version;
}

Occasion occasion_of(const Region& region, const ApiCall& call) {
  const auto text = [&](std::string_view name) -> std::string_view {
    const auto found = call.parameters.find(name);
    return found == call.parameters.end() ? std::string_view() : found->second;
  };
  Occasion occasion;
  occasion.action = call.action;
  occasion.eni_id = text("NetworkInterfaceId");
  occasion.vswitch_id = text("VSwitchId");
  if (!call.caller_instance.empty()) occasion.instance_ids.push_back(call.caller_instance);
  if (!text("InstanceId").empty()) occasion.instance_ids.push_back(text("InstanceId"));
  if (const EniRecord* record = region.world.find_eni(occasion.eni_id)) {
    if (occasion.vswitch_id.empty()) occasion.vswitch_id = record->eni.vswitch_id;
    if (!record->eni.instance_id.empty()) {
      occasion.instance_ids.push_back(record->eni.instance_id);
    }
  }
  return occasion;
}

Result<std::string> perform_action(Region& region, ApiCall& call) {
  const Action* action = find_action(call.action);
  VERIFY(action != nullptr);
  const Query query(call.parameters);
  if (query.has("RegionId")) {
    if (query.text("RegionId") != region.world.region_id()) {
      return api_error("InvalidRegionId.NotFound");
    }
  } else if (action->version == kEcs && action->perform != describe_instance_types) {
    return query.required("RegionId").take_error();
  }
  return action->perform(region, call);
}

}  // namespace terway::vpcsim
