// SPDX-License-Identifier: Apache-2.0
#include "agent/facts.h"

#include <nlohmann/json.hpp>

namespace terway::agent {

namespace {

using Json = nlohmann::json;

std::string text(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint32_t count(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_unsigned() ? found->get<std::uint32_t>() : 0;
}

std::optional<Json> object(std::string_view encoded) {
  Json json = Json::parse(encoded, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string encode_identity(const Identity& identity) {
  const model::Instance& instance = identity.instance;
  const model::InstanceType& type = identity.type;
  return dump({{"instance_id", instance.id},
               {"zone_id", instance.zone_id},
               {"vpc_id", instance.vpc_id},
               {"vswitch_id", instance.vswitch_id},
               {"primary_eni_id", instance.primary_eni_id},
               {"primary_address", instance.primary_address.to_string()},
               {"security_group_ids", instance.security_group_ids},
               {"region_id", identity.region_id},
               {"mac", identity.mac.to_string()},
               {"type", type.id},
               {"eni_quantity", type.eni_quantity},
               {"eni_total_quantity", type.eni_total_quantity},
               {"ipv4_per_eni", type.ipv4_per_eni},
               {"ipv6_per_eni", type.ipv6_per_eni}});
}

std::optional<Identity> decode_identity(std::string_view encoded) {
  const auto json = object(encoded);
  if (!json) return std::nullopt;
  Identity identity;
  model::Instance& instance = identity.instance;
  instance.id = text(*json, "instance_id");
  instance.type = text(*json, "type");
  instance.zone_id = text(*json, "zone_id");
  instance.vpc_id = text(*json, "vpc_id");
  instance.vswitch_id = text(*json, "vswitch_id");
  instance.primary_eni_id = text(*json, "primary_eni_id");
  const auto address = net::IpAddress::parse(text(*json, "primary_address"));
  const auto mac = net::Mac::parse(text(*json, "mac"));
  if (instance.id.empty() || !address || !mac) return std::nullopt;
  instance.primary_address = *address;
  identity.mac = *mac;
  if (const auto groups = json->find("security_group_ids");
      groups != json->end() && groups->is_array()) {
    for (const auto& group : *groups) {
      if (group.is_string()) instance.security_group_ids.push_back(group.get<std::string>());
    }
  }
  identity.region_id = text(*json, "region_id");
  identity.type.id = instance.type;
  identity.type.eni_quantity = count(*json, "eni_quantity");
  identity.type.eni_total_quantity = count(*json, "eni_total_quantity");
  identity.type.ipv4_per_eni = count(*json, "ipv4_per_eni");
  identity.type.ipv6_per_eni = count(*json, "ipv6_per_eni");
  return identity;
}

std::string encode_vswitch(const model::VSwitch& vswitch) {
  return dump({{"id", vswitch.id},
               {"vpc_id", vswitch.vpc_id},
               {"zone_id", vswitch.zone_id},
               {"cidr", vswitch.cidr.to_string()},
               {"ipv6_cidr", vswitch.ipv6_cidr ? vswitch.ipv6_cidr->to_string() : ""}});
}

std::optional<model::VSwitch> decode_vswitch(std::string_view encoded) {
  const auto json = object(encoded);
  if (!json) return std::nullopt;
  model::VSwitch vswitch;
  vswitch.id = text(*json, "id");
  vswitch.vpc_id = text(*json, "vpc_id");
  vswitch.zone_id = text(*json, "zone_id");
  const auto cidr = net::Prefix::parse(text(*json, "cidr"));
  if (vswitch.id.empty() || !cidr) return std::nullopt;
  vswitch.cidr = *cidr;
  vswitch.ipv6_cidr = net::Prefix::parse(text(*json, "ipv6_cidr"));
  return vswitch;
}

}  // namespace terway::agent
