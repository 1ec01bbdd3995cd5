// SPDX-License-Identifier: Apache-2.0
// ENIs come, go and change.
#include <fmt/core.h>

#include <algorithm>

#include "vpcsim/action.h"
#include "vpcsim/api_error.h"
#include "vpcsim/openapi_reply.h"

namespace terway::vpcsim {

namespace {

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

}  // namespace

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

}  // namespace terway::vpcsim
