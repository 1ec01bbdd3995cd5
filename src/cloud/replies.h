// SPDX-License-Identifier: Apache-2.0
// The OpenAPI's JSON replies as values of model/. Unknown members are passed over; one that we
// cannot do without and that is missing or of another type is an Error (Internal) naming action and
// member.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/eni.h"

namespace terway::cloud {

// The reply to a request that failed: any HTTP status but 2xx. Always an error; its code and
// request id are the cloud's, its kind comes from error_codes.h. A body that is no such reply (a
// proxy's) is Unavailable with 5xx, else Internal.
Error parse_failure(std::string_view action, int http_status, std::string_view body);

// One page of a list.
template <class T>
struct Page {
  std::vector<T> items;
  std::string next_token;         // empty: the last one; where paged by tokens
  std::uint64_t total_count = 0;  // where paged by numbers
};

// CreateNetworkInterface. Only the id is sure to be there; what else the reply says is filled in.
Result<model::Eni> parse_created_eni(std::string_view body);
Result<Page<model::Eni>> parse_enis(std::string_view body);
// AssignPrivateIpAddresses and AssignIpv6Addresses: the addresses that are new.
Result<std::vector<net::IpAddress>> parse_assigned_ipv4(std::string_view body);
Result<std::vector<net::IpAddress>> parse_assigned_ipv6(std::string_view body);
Result<Page<model::InstanceType>> parse_instance_types(std::string_view body);
Result<Page<model::Instance>> parse_instances(std::string_view body);
Result<Page<model::VSwitch>> parse_vswitches(std::string_view body);

}  // namespace terway::cloud
