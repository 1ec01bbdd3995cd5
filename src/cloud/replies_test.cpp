// SPDX-License-Identifier: Apache-2.0
// The replies are the samples of the vendor's pages of each action, with the masked digits
// ("172.17.**.**") filled in.
#include "cloud/replies.h"

#include <doctest/doctest.h>

#include "cloud/error_codes.h"

using namespace terway;
using namespace terway::cloud;

namespace {

constexpr const char* kDescribeNetworkInterfaces = R"({
  "NextToken": "AAAAAdDWBF2", "PageSize": 1, "PageNumber": 1,
  "RequestId": "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E", "TotalCount": 2,
  "NetworkInterfaceSets": { "NetworkInterfaceSet": [ {
    "CreationTime": "2019-12-25T12:31:31Z", "VpcId": "vpc-bp1j7w3gc1cexjqd0000",
    "Type": "Secondary", "Status": "InUse", "NetworkInterfaceTrafficMode": "Standard",
    "NetworkInterfaceName": "my-eni-name", "MacAddress": "00:16:3e:12:34:56",
    "QueuePairNumber": 0, "NetworkInterfaceId": "eni-bp125p95hhdhn3ot0000",
    "ServiceID": 12345678910, "InstanceId": "i-bp1e2l6djkndyuli0000", "OwnerId": "1234560000",
    "ServiceManaged": true, "VSwitchId": "vsw-bp16usj2p27htro30000",
    "Description": "DescriptionTest", "ResourceGroupId": "rg-2ze88m67qx5z0000",
    "ZoneId": "cn-hangzhou-e", "PrivateIpAddress": "172.17.0.10", "QueueNumber": 8,
    "PrivateIpSets": { "PrivateIpSet": [
      { "PrivateIpAddress": "172.17.0.11", "Primary": false },
      { "PrivateIpAddress": "172.17.0.10", "Primary": true,
        "AssociatedPublicIp": { "PublicIpAddress": "116.62.0.1", "AllocationId": null },
        "PrivateDnsName": "DnsTestName" } ] },
    "Ipv6Sets": { "Ipv6Set": [ { "Ipv6Address": "2408:4321:180:1701:94c7:bc38:3bfa:1" } ] },
    "Ipv4PrefixSets": { "Ipv4PrefixSet": [ { "Ipv4Prefix": "192.168.0.0/28" } ] },
    "Ipv6PrefixSets": { "Ipv6PrefixSet": [ { "Ipv6Prefix": "2001:db8:1234:1a00:1::/80" } ] },
    "Tags": { "Tag": [ { "TagValue": "TestValue", "TagKey": "TestKey" } ] },
    "SecurityGroupIds": { "SecurityGroupId": [ "sg-bp18kz60mefsicfg0000" ] },
    "AssociatedPublicIp": { "PublicIpAddress": "116.62.0.1", "AllocationId": null },
    "Attachment": { "DeviceIndex": 0, "InstanceId": null, "TrunkNetworkInterfaceId": null,
                    "NetworkCardIndex": 0 },
    "DeleteOnRelease": true, "SourceDestCheck": false } ] } })";

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  text.replace(text.find(from), from.size(), to);
  return text;
}

}  // namespace

TEST_CASE("DescribeNetworkInterfaces tells all of an ENI, the primary address first") {
  const auto page = parse_enis(kDescribeNetworkInterfaces);
  REQUIRE_MESSAGE(page.ok(), (page.ok() ? "" : page.error().to_string()));
  CHECK(page->next_token == "AAAAAdDWBF2");
  REQUIRE(page->items.size() == 1);
  const model::Eni& eni = page->items[0];
  CHECK(eni.id == "eni-bp125p95hhdhn3ot0000");
  CHECK(eni.type == model::EniType::Secondary);
  CHECK(eni.status == model::EniStatus::InUse);
  CHECK(eni.mac.to_string() == "00:16:3e:12:34:56");
  CHECK(eni.vswitch_id == "vsw-bp16usj2p27htro30000");
  CHECK(eni.vpc_id == "vpc-bp1j7w3gc1cexjqd0000");
  CHECK(eni.zone_id == "cn-hangzhou-e");
  CHECK(eni.instance_id == "i-bp1e2l6djkndyuli0000");
  CHECK(eni.security_group_ids == std::vector<std::string>{"sg-bp18kz60mefsicfg0000"});
  CHECK(eni.primary_address.to_string() == "172.17.0.10");
  REQUIRE(eni.ipv4.size() == 2);
  CHECK(eni.ipv4[0].to_string() == "172.17.0.10");
  CHECK(eni.ipv4[1].to_string() == "172.17.0.11");
  CHECK(eni.ipv6.at(0).to_string() == "2408:4321:180:1701:94c7:bc38:3bfa:1");
  CHECK(eni.ipv4_prefixes.at(0).to_string() == "192.168.0.0/28");
  CHECK(eni.ipv6_prefixes.at(0).length == 80);
  CHECK(eni.tags.at("TestKey") == "TestValue");
  CHECK(eni.description == "DescriptionTest");
  CHECK(eni.creation_time == "2019-12-25T12:31:31Z");
}

TEST_CASE("a reply without what we cannot do without is an error that names action and member") {
  const auto error = [](const char* from, const char* to) {
    const auto page = parse_enis(replaced(kDescribeNetworkInterfaces, from, to));
    REQUIRE(page.is(Error::Kind::Internal));
    CHECK(page.error().message().find("DescribeNetworkInterfaces") == 0);
    return page.error().message();
  };
  CHECK(error("\"NetworkInterfaceId\"", "\"Other\"").find("NetworkInterfaceId") !=
        std::string::npos);
  CHECK(error("\"Status\"", "\"Other\"").find("Status") != std::string::npos);
  CHECK(error("\"MacAddress\"", "\"Other\"").find("MacAddress") != std::string::npos);
  CHECK(error("00:16:3e:12:34:56", "00:16").find("MacAddress") != std::string::npos);
  CHECK(error("172.17.0.11", "172.17.0").find("PrivateIpAddress") != std::string::npos);
  CHECK(error("192.168.0.0/28", "hide").find("Ipv4Prefix") != std::string::npos);
  CHECK(error("\"NetworkInterfaceSet\"", "\"Other\"").find("NetworkInterfaceSet") !=
        std::string::npos);
  CHECK(parse_enis("").is(Error::Kind::Internal));
  CHECK(parse_enis("[]").is(Error::Kind::Internal));
  CHECK(parse_enis(R"({"NetworkInterfaceSets": {"NetworkInterfaceSet": [7]}})")
            .is(Error::Kind::Internal));
}

TEST_CASE("an empty list is an empty list") {
  const auto page = parse_enis(
      R"({"TotalCount": 0, "RequestId": "x", "NetworkInterfaceSets": {"NetworkInterfaceSet": []}})");
  REQUIRE(page.ok());
  CHECK(page->items.empty());
  CHECK(page->next_token.empty());
}

TEST_CASE("a created ENI is known by its id, even when the reply says no more") {
  CHECK(parse_created_eni(R"({"RequestId": "x", "NetworkInterfaceId": "eni-1"})")->id == "eni-1");
  CHECK(parse_created_eni(R"({"RequestId": "x"})").is(Error::Kind::Internal));
  const auto eni = parse_created_eni(R"({
    "Status": "Pending", "Type": "Secondary", "VpcId": "vpc-1", "VSwitchId": "vsw-1",
    "ZoneId": "cn-hangzhou-g", "NetworkInterfaceId": "eni-1", "MacAddress": "00:16:3e:12:00:01",
    "PrivateIpAddress": "10.1.0.1", "RequestId": "r",
    "PrivateIpSets": {"PrivateIpSet": [{"PrivateIpAddress": "10.1.0.1", "Primary": true},
                                       {"PrivateIpAddress": "10.1.0.2", "Primary": false}]},
    "SecurityGroupIds": {"SecurityGroupId": ["sg-1"]}, "Tags": {"Tag": []}})");
  REQUIRE(eni.ok());
  CHECK(eni->status == model::EniStatus::Unknown);
  CHECK(eni->ipv4.size() == 2);
}

TEST_CASE("assigned addresses are read from both actions") {
  const auto v4 = parse_assigned_ipv4(R"({
    "RequestId": "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E",
    "AssignedPrivateIpAddressesSet": {
      "PrivateIpSet": { "PrivateIpAddress": [ "192.168.0.7", "192.168.0.8" ] },
      "NetworkInterfaceId": "eni-bp125p95hhdhn3ot0000" } })");
  REQUIRE(v4.ok());
  REQUIRE(v4->size() == 2);
  CHECK(v4->at(1).to_string() == "192.168.0.8");
  const auto v6 = parse_assigned_ipv6(R"({
    "RequestId": "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E",
    "NetworkInterfaceId": "eni-bp125p95hhdhn3ot0000",
    "Ipv6Sets": { "Ipv6Address": [ "2001:db8:1234:1a00::1" ] } })");
  REQUIRE(v6.ok());
  CHECK(v6->at(0).to_string() == "2001:db8:1234:1a00::1");
  CHECK(parse_assigned_ipv4(R"({"RequestId": "x"})").is(Error::Kind::Internal));
  CHECK(parse_assigned_ipv6(R"({"Ipv6Sets": {"Ipv6Address": ["nonsense"]}})")
            .is(Error::Kind::Internal));
}

TEST_CASE("DescribeInstanceTypes tells the limits of a type") {
  const auto page = parse_instance_types(R"({
    "RequestId": "CEC8A6BA-6805-4807-AB93-EB2E4B59EAF3",
    "InstanceTypes": { "InstanceType": [ {
      "MemorySize": 256, "InstancePpsTx": 4000000, "EniIpv6AddressQuantity": 1,
      "PrimaryEniQueueNumber": 32, "CpuCoreCount": 64, "TotalEniQueueQuantity": 256,
      "EniTotalQuantity": 60, "EniTrunkSupported": true, "InstanceTypeFamily": "ecs.g6",
      "EniQuantity": 8, "InstanceTypeId": "ecs.g6.16xlarge", "EniPrivateIpAddressQuantity": 20 },
    { "MemorySize": 0.5, "EniQuantity": 2, "InstanceTypeId": "ecs.old",
      "EniTotalQuantity": 0, "EniPrivateIpAddressQuantity": 6 } ] } })");
  REQUIRE(page.ok());
  REQUIRE(page->items.size() == 2);
  const model::InstanceType& type = page->items[0];
  CHECK(type.id == "ecs.g6.16xlarge");
  CHECK(type.eni_quantity == 8);
  CHECK(type.eni_total_quantity == 60);
  CHECK(type.ipv4_per_eni == 20);
  CHECK(type.ipv6_per_eni == 1);
  CHECK(type.trunk_supported);
  CHECK(type.cpu_cores == 64);
  CHECK(type.memory_gib == 256);
  CHECK(page->items[1].eni_total_quantity == 2);
  CHECK(page->items[1].memory_gib == 0.5);
  CHECK(parse_instance_types(
            R"({"InstanceTypes": {"InstanceType": [{"InstanceTypeId": "a", "EniQuantity": -1}]}})")
            .is(Error::Kind::Internal));
}

TEST_CASE("DescribeInstances tells where an instance is and which ENI is its own") {
  const auto page = parse_instances(R"({
    "NextToken": "caeba0bbb2be03f84eb48b699f0a4883", "TotalCount": 1,
    "RequestId": "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E",
    "Instances": { "Instance": [ {
      "InstanceId": "i-bp67acfmxazb4p0000", "InstanceType": "ecs.g5.large",
      "ZoneId": "cn-hangzhou-g", "RegionId": "cn-hangzhou", "Status": "Running",
      "SecurityGroupIds": { "SecurityGroupId": [ "sg-bp67acfmxazb4p0000" ] },
      "NetworkInterfaces": { "NetworkInterface": [
        { "Type": "Secondary", "MacAddress": "00:16:3e:32:b4:01", "PrimaryIpAddress": "172.17.0.3",
          "NetworkInterfaceId": "eni-2" },
        { "Type": "Primary", "MacAddress": "00:16:3e:32:b4:00", "PrimaryIpAddress": "172.17.0.2",
          "NetworkInterfaceId": "eni-2zeh9atclduxvf1z0000" } ] },
      "VpcAttributes": { "VpcId": "vpc-2zeuphj08tt7q3brd0000", "NatIpAddress": "",
        "VSwitchId": "vsw-2zeh0r1pabwtg6wcs0000",
        "PrivateIpAddress": { "IpAddress": [ "172.17.0.2" ] } } } ] } })");
  REQUIRE(page.ok());
  const model::Instance& instance = page->items.at(0);
  CHECK(instance.id == "i-bp67acfmxazb4p0000");
  CHECK(instance.type == "ecs.g5.large");
  CHECK(instance.vpc_id == "vpc-2zeuphj08tt7q3brd0000");
  CHECK(instance.vswitch_id == "vsw-2zeh0r1pabwtg6wcs0000");
  CHECK(instance.primary_eni_id == "eni-2zeh9atclduxvf1z0000");
  CHECK(instance.primary_address.to_string() == "172.17.0.2");
  CHECK(instance.security_group_ids.size() == 1);
}

TEST_CASE("DescribeVSwitches tells how many addresses are left") {
  const auto page = parse_vswitches(R"({
    "TotalCount": 2, "PageSize": 10, "PageNumber": 1,
    "RequestId": "9A572171-4E27-40D1-BD36-D26C9E71E29E",
    "VSwitches": { "VSwitch": [
      { "VpcId": "vpc-25cdvfeq58pl0000", "Status": "Available", "AvailableIpAddressCount": 12,
        "VSwitchId": "vsw-25bcdxs7pv10000", "CidrBlock": "172.16.0.0/24", "IsDefault": true,
        "Ipv6CidrBlock": "2408:XXXX:0:6a::/56", "ZoneId": "cn-hangzhou-d" } ] } })");
  CHECK(page.is(Error::Kind::Internal));  // the sample's mask is no address
  const auto read = parse_vswitches(R"({ "TotalCount": 2, "VSwitches": { "VSwitch": [
      { "VpcId": "vpc-25cdvfeq58pl0000", "AvailableIpAddressCount": 12,
        "VSwitchId": "vsw-25bcdxs7pv10000", "CidrBlock": "172.16.0.0/24",
        "Ipv6CidrBlock": "2408:4321:0:6a::/64", "ZoneId": "cn-hangzhou-d" },
      { "AvailableIpAddressCount": 0, "VSwitchId": "vsw-2", "CidrBlock": "172.16.1.0/24",
        "Ipv6CidrBlock": "", "ZoneId": "cn-hangzhou-d" } ] } })");
  REQUIRE(read.ok());
  CHECK(read->total_count == 2);
  CHECK(read->items[0].cidr.to_string() == "172.16.0.0/24");
  CHECK(read->items[0].ipv6_cidr->length == 64);
  CHECK(read->items[0].available_addresses == 12);
  CHECK(!read->items[1].ipv6_cidr);
}

TEST_CASE("a failure carries the cloud's code and request id, and the kind of the table") {
  const Error error = parse_failure("AssignPrivateIpAddresses", 403, R"({
    "RequestId": "2095E971-E473-4BA0-853F-0C41CF52651D", "HostId": "ecs.aliyuncs.com",
    "Code": "InvalidVSwitchId.IpNotEnough",
    "Message": "The specified VSwitch \"vsw-AAA\" has not enough IpAddress."})");
  CHECK(error.kind() == Error::Kind::Exhausted);
  CHECK(error.code() == "InvalidVSwitchId.IpNotEnough");
  CHECK(error.request_id() == "2095E971-E473-4BA0-853F-0C41CF52651D");
  CHECK(error.message() ==
        "AssignPrivateIpAddresses: The specified VSwitch \"vsw-AAA\" has not enough IpAddress.");
  CHECK(shortage_of(error) == Shortage::VSwitch);
  CHECK(parse_failure("A", 502, "<html>").kind() == Error::Kind::Unavailable);
  CHECK(parse_failure("A", 404, "<html>").kind() == Error::Kind::Internal);
  CHECK(parse_failure("A", 500, "{}").kind() == Error::Kind::Unavailable);
}
