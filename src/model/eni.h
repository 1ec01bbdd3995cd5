// SPDX-License-Identifier: Apache-2.0
// Elastic network interfaces, vSwitches and instance types as the cloud describes them
// (ECS OpenAPI 2014-05-26, VPC OpenAPI 2016-04-28), without the cloud's spelling.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace terway::model {

using Tags = std::map<std::string, std::string>;

// ECS NetworkInterfaceSet.Status.
enum class EniStatus : std::uint8_t {
  Available,  // exists, attached to nothing
  Attaching,
  InUse,
  Detaching,
  Deleting,
  Unknown,  // a word that the API does not document
};
std::string_view to_string(EniStatus status);
EniStatus eni_status_from(std::string_view text);

enum class EniType : std::uint8_t { Primary, Secondary, Trunk, Member };
std::string_view to_string(EniType type);
EniType eni_type_from(std::string_view text);

struct Eni {
  std::string id;  // "eni-…"
  EniType type = EniType::Secondary;
  EniStatus status = EniStatus::Unknown;
  net::Mac mac;
  std::string vswitch_id;
  std::string vpc_id;
  std::string zone_id;
  std::string instance_id;  // empty while attached to nothing
  std::vector<std::string> security_group_ids;
  net::IpAddress primary_address;    // IPv4
  std::vector<net::IpAddress> ipv4;  // primary included, first
  std::vector<net::IpAddress> ipv6;
  std::vector<net::Prefix> ipv4_prefixes;  // /28s
  std::vector<net::Prefix> ipv6_prefixes;  // /80s
  Tags tags;
  std::string description;
  std::string creation_time;  // ISO 8601, as the API gives it
};

struct VSwitch {
  std::string id;
  std::string vpc_id;
  std::string zone_id;
  net::Prefix cidr;
  std::optional<net::Prefix> ipv6_cidr;
  std::uint64_t available_addresses = 0;
};

// The gateway of a vSwitch: the third-last address of its CIDR (x.x.x.253 of a /24).
net::IpAddress gateway_of(const net::Prefix& vswitch_cidr);

// DescribeInstanceTypes.
struct InstanceType {
  std::string id;                        // "ecs.g7.large"
  std::uint32_t eni_quantity = 0;        // adapters, the primary one included
  std::uint32_t eni_total_quantity = 0;  // with trunk members
  std::uint32_t ipv4_per_eni = 0;        // EniPrivateIpAddressQuantity
  std::uint32_t ipv6_per_eni = 0;        // EniIpv6AddressQuantity
  bool trunk_supported = false;
  std::uint32_t cpu_cores = 0;
  double memory_gib = 0;
};

struct Instance {
  std::string id;  // "i-…"
  std::string type;
  std::string zone_id;
  std::string vpc_id;
  std::string vswitch_id;
  std::string primary_eni_id;
  net::IpAddress primary_address;
  std::vector<std::string> security_group_ids;
};

}  // namespace terway::model
