// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/openapi_reply.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "vpcsim/instance_types.h"

namespace terway::vpcsim {

namespace {

using Json = nlohmann::json;

// The account's number; there is one account.
constexpr std::string_view kOwner = "1234567890123456";

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json tags_of(const model::Tags& tags) {
  Json list = Json::array();
  for (const auto& [key, value] : tags) list.push_back({{"TagKey", key}, {"TagValue", value}});
  return {{"Tag", list}};
}

Json private_ips_of(const model::Eni& eni, bool with_public) {
  Json list = Json::array();
  for (const net::IpAddress& address : eni.ipv4) {
    Json one = {{"PrivateIpAddress", address.to_string()},
                {"Primary", address == eni.primary_address}};
    if (with_public) one["AssociatedPublicIp"] = Json::object();
    list.push_back(std::move(one));
  }
  return {{"PrivateIpSet", list}};
}

Json ipv6_of(const model::Eni& eni) {
  Json list = Json::array();
  for (const net::IpAddress& address : eni.ipv6) {
    list.push_back({{"Ipv6Address", address.to_string()}});
  }
  return {{"Ipv6Set", list}};
}

// What all answers about an ENI have in common.
Json eni_core(const EniRecord& record) {
  const model::Eni& eni = record.eni;
  return {{"NetworkInterfaceId", eni.id},
          {"NetworkInterfaceName", record.name},
          {"Description", eni.description},
          {"Status", to_string(eni.status)},
          {"Type", to_string(eni.type)},
          {"MacAddress", eni.mac.to_string()},
          {"VSwitchId", eni.vswitch_id},
          {"VpcId", eni.vpc_id},
          {"ZoneId", eni.zone_id},
          {"OwnerId", kOwner},
          {"ResourceGroupId", record.resource_group_id},
          {"PrivateIpAddress", eni.primary_address.to_string()},
          {"Ipv6Sets", ipv6_of(eni)},
          {"Ipv4PrefixSets", {{"Ipv4PrefixSet", Json::array()}}},
          {"Ipv6PrefixSets", {{"Ipv6PrefixSet", Json::array()}}},
          {"SecurityGroupIds", {{"SecurityGroupId", eni.security_group_ids}}},
          {"ServiceManaged", false},
          {"SourceDestCheck", record.source_dest_check},
          {"Tags", tags_of(eni.tags)}};
}

Json eni_full(const EniRecord& record) {
  Json json = eni_core(record);
  json["PrivateIpSets"] = private_ips_of(record.eni, true);
  json["AssociatedPublicIp"] = Json::object();
  json["CreationTime"] = record.eni.creation_time;
  json["DeleteOnRelease"] = record.delete_on_release;
  json["NetworkInterfaceTrafficMode"] = "Standard";
  json["InstanceId"] = record.eni.instance_id;
  json["Attachment"] = Json::object();
  if (!record.eni.instance_id.empty()) {
    json["Attachment"] = {{"InstanceId", record.eni.instance_id},
                          {"DeviceIndex", record.device_index},
                          {"NetworkCardIndex", 0},
                          {"TrunkNetworkInterfaceId", ""}};
  }
  return json;
}

void add_page(Json& json, const Page& page) {
  json["NextToken"] = page.next_token;
  json["PageNumber"] = page.number;
  json["PageSize"] = page.size;
  json["TotalCount"] = page.total;
}

Json instance_nic(const model::Eni& eni) {
  return {{"NetworkInterfaceId", eni.id},
          {"MacAddress", eni.mac.to_string()},
          {"PrimaryIpAddress", eni.primary_address.to_string()},
          {"Type", to_string(eni.type)},
          {"PrivateIpSets", private_ips_of(eni, false)},
          {"Ipv6Sets", ipv6_of(eni)}};
}

Json instance_of(const World& world, const Server& server) {
  const model::Instance& info = server.info;
  Json nics = Json::array();
  for (const EniRecord* record : world.enis_of(info.id)) nics.push_back(instance_nic(record->eni));
  return {{"InstanceId", info.id},
          {"InstanceName", server.name},
          {"HostName", server.name},
          {"InstanceType", info.type},
          {"InstanceTypeFamily", family_of(info.type)},
          {"Status", "Running"},
          {"RegionId", world.region_id()},
          {"ZoneId", info.zone_id},
          {"InstanceNetworkType", "vpc"},
          {"InstanceChargeType", "PostPaid"},
          {"IoOptimized", true},
          {"OSType", "linux"},
          {"OSName", "Debian 12"},
          {"Cpu", server.type->cpu_cores},
          {"Memory", static_cast<std::uint32_t>(server.type->memory_gib * 1024)},
          {"CreationTime", server.creation_time},
          {"StartTime", server.creation_time},
          {"ResourceGroupId", server.resource_group_id},
          {"SecurityGroupIds", {{"SecurityGroupId", info.security_group_ids}}},
          {"VpcAttributes",
           {{"VpcId", info.vpc_id},
            {"VSwitchId", info.vswitch_id},
            {"NatIpAddress", ""},
            {"PrivateIpAddress", {{"IpAddress", {info.primary_address.to_string()}}}}}},
          {"PublicIpAddress", {{"IpAddress", Json::array()}}},
          {"InnerIpAddress", {{"IpAddress", Json::array()}}},
          {"NetworkInterfaces", {{"NetworkInterface", nics}}},
          {"Tags", {{"Tag", Json::array()}}}};
}

}  // namespace

std::string created_eni_reply(const EniRecord& record) {
  Json json = eni_core(record);
  json["PrivateIpSets"] = private_ips_of(record.eni, false);
  return text_of(json);
}

std::string eni_list_reply(const std::vector<const EniRecord*>& records, const Page& page) {
  Json list = Json::array();
  for (const EniRecord* record : records) list.push_back(eni_full(*record));
  Json json = {{"NetworkInterfaceSets", {{"NetworkInterfaceSet", std::move(list)}}}};
  add_page(json, page);
  return text_of(json);
}

std::string eni_attribute_reply(const EniRecord& record) { return text_of(eni_full(record)); }

std::string assigned_reply(const std::string& eni_id, net::Family family,
                           const std::vector<net::IpAddress>& addresses) {
  Json list = Json::array();
  for (const net::IpAddress& address : addresses) list.push_back(address.to_string());
  if (family == net::Family::V6) {
    return text_of({{"NetworkInterfaceId", eni_id}, {"Ipv6Sets", {{"Ipv6Address", list}}}});
  }
  return text_of({{"AssignedPrivateIpAddressesSet",
                   {{"NetworkInterfaceId", eni_id},
                    {"PrivateIpSet", {{"PrivateIpAddress", list}}},
                    {"Ipv4PrefixSet", {{"Ipv4Prefixes", Json::array()}}}}}});
}

std::string instance_types_reply(const std::vector<const model::InstanceType*>& types,
                                 const std::string& next_token) {
  Json list = Json::array();
  for (const model::InstanceType* type : types) {
    list.push_back({{"InstanceTypeId", type->id},
                    {"InstanceTypeFamily", family_of(type->id)},
                    {"InstanceFamilyLevel", "EnterpriseLevel"},
                    {"CpuArchitecture", "X86"},
                    {"CpuCoreCount", type->cpu_cores},
                    {"MemorySize", type->memory_gib},
                    {"EniQuantity", type->eni_quantity},
                    {"EniTotalQuantity", type->eni_total_quantity},
                    {"EniPrivateIpAddressQuantity", type->ipv4_per_eni},
                    {"EniIpv6AddressQuantity", type->ipv6_per_eni},
                    {"EniTrunkSupported", type->trunk_supported},
                    {"EriQuantity", 0},
                    {"NetworkCardQuantity", 1},
                    {"GPUAmount", 0},
                    {"GPUSpec", ""}});
  }
  return text_of({{"InstanceTypes", {{"InstanceType", list}}}, {"NextToken", next_token}});
}

std::string instance_list_reply(const World& world, const std::vector<const Server*>& servers,
                                const Page& page) {
  Json list = Json::array();
  for (const Server* server : servers) list.push_back(instance_of(world, *server));
  Json json = {{"Instances", {{"Instance", list}}}};
  add_page(json, page);
  return text_of(json);
}

std::string vswitch_list_reply(const std::vector<const Switch*>& vswitches,
                               const std::vector<std::uint64_t>& available, const Page& page) {
  Json list = Json::array();
  for (std::size_t i = 0; i < vswitches.size(); ++i) {
    const model::VSwitch& info = vswitches[i]->info;
    list.push_back({{"VSwitchId", info.id},
                    {"VSwitchName", vswitches[i]->name},
                    {"Description", ""},
                    {"Status", "Available"},
                    {"VpcId", info.vpc_id},
                    {"ZoneId", info.zone_id},
                    {"CidrBlock", info.cidr.to_string()},
                    {"Ipv6CidrBlock", info.ipv6_cidr ? info.ipv6_cidr->to_string() : ""},
                    {"AvailableIpAddressCount", available[i]},
                    {"CreationTime", vswitches[i]->creation_time},
                    {"IsDefault", false},
                    {"ResourceGroupId", ""},
                    {"Tags", {{"Tag", Json::array()}}}});
  }
  Json json = {{"VSwitches", {{"VSwitch", list}}}};
  add_page(json, page);
  json.erase("NextToken");  // DescribeVSwitches pages by number alone
  return text_of(json);
}

std::string security_group_list_reply(const World& world,
                                      const std::vector<const SecurityGroup*>& groups,
                                      const Page& page) {
  Json list = Json::array();
  for (const SecurityGroup* group : groups) {
    list.push_back({{"SecurityGroupId", group->id},
                    {"SecurityGroupName", group->name},
                    {"SecurityGroupType", "normal"},
                    {"Description", ""},
                    {"VpcId", group->vpc_id},
                    {"CreationTime", group->creation_time},
                    {"ResourceGroupId", ""},
                    {"ServiceManaged", false},
                    {"Tags", {{"Tag", Json::array()}}}});
  }
  Json json = {{"RegionId", world.region_id()}, {"SecurityGroups", {{"SecurityGroup", list}}}};
  add_page(json, page);
  return text_of(json);
}

std::string error_reply(const std::string& request_id, const std::string& host,
                        const Error& error) {
  return text_of({{"RequestId", request_id},
                  {"HostId", host},
                  {"Code", error.code().empty() ? "InternalError" : error.code()},
                  {"Message", error.message()},
                  {"Recommend", fmt::format("https://api.alibabacloud.com/troubleshoot?q={}&"
                                            "requestId={}",
                                            error.code(), request_id)}});
}

std::optional<std::vector<std::string>> parse_string_array(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_array()) return std::nullopt;
  std::vector<std::string> values;
  for (const Json& value : json) {
    if (!value.is_string()) return std::nullopt;
    values.push_back(value.get<std::string>());
  }
  return values;
}

}  // namespace terway::vpcsim
