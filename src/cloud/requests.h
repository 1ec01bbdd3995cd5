// SPDX-License-Identifier: Apache-2.0
// What is asked of the cloud, as values, and as parameters in the vendor's spelling
// (ECS OpenAPI 2014-05-26, VPC OpenAPI 2016-04-28).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "model/eni.h"

namespace terway::cloud {

inline constexpr std::string_view kEcsVersion = "2014-05-26";
inline constexpr std::string_view kVpcVersion = "2016-04-28";

// Client tokens make a repeated request idempotent: keep one with the intent, reuse it until the
// outcome is known. Up to 64 ASCII characters; empty sends none.

struct CreateEni {
  std::string vswitch_id;
  std::vector<std::string> security_group_ids;
  std::uint32_t secondary_ipv4_count = 0;  // beside the primary address
  std::uint32_t ipv6_count = 0;
  model::EniType type = model::EniType::Secondary;  // or Trunk
  model::Tags tags;
  std::string resource_group_id;
  std::string description = "interface create by terway";
  // The ENI is deleted together with the instance.
  bool delete_on_release = true;
  std::string client_token;
};

// An empty member does not narrow.
struct EniFilter {
  std::vector<std::string> ids;
  std::string instance_id;
  std::string vswitch_id;
  std::string vpc_id;
  model::Tags tags;  // an ENI that has them all
  std::optional<model::EniType> type;
  std::optional<model::EniStatus> status;
};

// Either by id or by VPC; both empty: all of the region.
struct VSwitchFilter {
  std::vector<std::string> ids;
  std::string vpc_id;
};

http::Parameters parameters_of(const CreateEni& request);
// Of one page; `ids` are the ones to ask in this call.
http::Parameters parameters_of(const EniFilter& filter, const std::vector<std::string>& ids,
                               std::string_view next_token);
// "Name.1", "Name.2", …
void add_list(http::Parameters& parameters, std::string_view name,
              const std::vector<std::string>& values);
void add_addresses(http::Parameters& parameters, std::string_view name,
                   const std::vector<net::IpAddress>& addresses);
// Leaves an empty value out.
void add(http::Parameters& parameters, std::string_view name, std::string_view value);

}  // namespace terway::cloud
