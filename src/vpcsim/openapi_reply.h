// SPDX-License-Identifier: Apache-2.0
// The bodies that the API answers, in the shapes of the ECS and VPC documentation; without
// RequestId.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vpcsim/world.h"

namespace terway::vpcsim {

// Which part of a list an answer holds. By token: next_token, total 0 as documented; by page: the
// rest.
struct Page {
  std::string next_token;
  std::uint32_t number = 0;
  std::uint32_t size = 0;
  std::uint64_t total = 0;
};

std::string created_eni_reply(const EniRecord& record);
std::string eni_list_reply(const std::vector<const EniRecord*>& records, const Page& page);
std::string eni_attribute_reply(const EniRecord& record);
std::string assigned_reply(const std::string& eni_id, net::Family family,
                           const std::vector<net::IpAddress>& addresses);
std::string instance_types_reply(const std::vector<const model::InstanceType*>& types,
                                 const std::string& next_token);
std::string instance_list_reply(const World& world, const std::vector<const Server*>& servers,
                                const Page& page);
std::string vswitch_list_reply(const std::vector<const Switch*>& vswitches,
                               const std::vector<std::uint64_t>& available, const Page& page);
std::string security_group_list_reply(const World& world,
                                      const std::vector<const SecurityGroup*>& groups,
                                      const Page& page);
// {"RequestId", "HostId", "Code", "Message", "Recommend"}.
std::string error_reply(const std::string& request_id, const std::string& host, const Error& error);

// A JSON array of strings, as InstanceIds is. Nullopt: it is none.
std::optional<std::vector<std::string>> parse_string_array(std::string_view text);

}  // namespace terway::vpcsim
