// SPDX-License-Identifier: Apache-2.0
#include "cloud/requests.h"

#include <fmt/core.h>

namespace terway::cloud {
namespace {

// The most that the vendor allows a page of DescribeNetworkInterfaces.
constexpr std::string_view kEnisPerPage = "500";

void add_tags(http::Parameters& parameters, const model::Tags& tags) {
  std::size_t index = 0;
  for (const auto& [key, value] : tags) {
    ++index;
    parameters[fmt::format("Tag.{}.Key", index)] = key;
    parameters[fmt::format("Tag.{}.Value", index)] = value;
  }
}

}  // namespace

void add(http::Parameters& parameters, std::string_view name, std::string_view value) {
  if (!value.empty()) parameters.insert_or_assign(std::string(name), std::string(value));
}

void add_list(http::Parameters& parameters, std::string_view name,
              const std::vector<std::string>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    parameters[fmt::format("{}.{}", name, i + 1)] = values[i];
  }
}

void add_addresses(http::Parameters& parameters, std::string_view name,
                   const std::vector<net::IpAddress>& addresses) {
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    parameters[fmt::format("{}.{}", name, i + 1)] = addresses[i].to_string();
  }
}

http::Parameters parameters_of(const CreateEni& request) {
  http::Parameters parameters;
  add(parameters, "VSwitchId", request.vswitch_id);
  add_list(parameters, "SecurityGroupIds", request.security_group_ids);
  add(parameters, "InstanceType", model::to_string(request.type));
  if (request.secondary_ipv4_count > 0) {
    parameters["SecondaryPrivateIpAddressCount"] = std::to_string(request.secondary_ipv4_count);
  }
  if (request.ipv6_count > 0) parameters["Ipv6AddressCount"] = std::to_string(request.ipv6_count);
  add_tags(parameters, request.tags);
  add(parameters, "ResourceGroupId", request.resource_group_id);
  add(parameters, "Description", request.description);
  parameters["DeleteOnRelease"] = request.delete_on_release ? "true" : "false";
  add(parameters, "ClientToken", request.client_token);
  return parameters;
}

http::Parameters parameters_of(const EniFilter& filter, const std::vector<std::string>& ids,
                               std::string_view next_token) {
  http::Parameters parameters;
  add_list(parameters, "NetworkInterfaceId", ids);
  add(parameters, "InstanceId", filter.instance_id);
  add(parameters, "VSwitchId", filter.vswitch_id);
  add(parameters, "VpcId", filter.vpc_id);
  add_tags(parameters, filter.tags);
  if (filter.type) add(parameters, "Type", model::to_string(*filter.type));
  if (filter.status) add(parameters, "Status", model::to_string(*filter.status));
  parameters["MaxResults"] = kEnisPerPage;
  add(parameters, "NextToken", next_token);
  return parameters;
}

}  // namespace terway::cloud
