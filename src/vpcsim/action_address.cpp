// SPDX-License-Identifier: Apache-2.0
// Addresses come to ENIs and go.
#include <fmt/core.h>

#include <algorithm>

#include "vpcsim/action.h"
#include "vpcsim/api_error.h"
#include "vpcsim/openapi_reply.h"

namespace terway::vpcsim {

namespace {

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

}  // namespace

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

}  // namespace terway::vpcsim
