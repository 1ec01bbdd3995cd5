// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/admin_json.h"

#include <algorithm>

#include "cloud/wall_time.h"

namespace terway::vpcsim {

namespace {

Json texts_of(const std::vector<net::IpAddress>& addresses) {
  Json list = Json::array();
  for (const net::IpAddress& address : addresses) list.push_back(address.to_string());
  return list;
}

}  // namespace

Json json_of(const World& world, const EniRecord& record) {
  const model::Eni& eni = record.eni;
  Json json = {{"id", eni.id},
               {"name", record.name},
               {"type", to_string(eni.type)},
               {"status", to_string(eni.status)},
               {"mac", eni.mac.to_string()},
               {"vpc", eni.vpc_id},
               {"vswitch", eni.vswitch_id},
               {"zone", eni.zone_id},
               {"instance", eni.instance_id},
               {"device_index", record.device_index},
               {"security_groups", eni.security_group_ids},
               {"primary_address", eni.primary_address.to_string()},
               {"ipv4", texts_of(eni.ipv4)},
               {"ipv6", texts_of(eni.ipv6)},
               {"tags", eni.tags},
               {"description", eni.description},
               {"creation_time", eni.creation_time},
               {"delete_on_release", record.delete_on_release},
               {"plugged", record.plugged},
               {"held", record.attach_held_by != 0 || record.nic_held_by != 0},
               {"mtu", world.settings().mtu}};
  const Switch* vswitch = world.find_vswitch(eni.vswitch_id);
  json["cidr"] = vswitch->info.cidr.to_string();
  json["gateway"] = model::gateway_of(vswitch->info.cidr).to_string();
  if (vswitch->info.ipv6_cidr) {
    json["ipv6_cidr"] = vswitch->info.ipv6_cidr->to_string();
    json["ipv6_gateway"] = model::gateway_of(*vswitch->info.ipv6_cidr).to_string();
  }
  return json;
}

Json json_of(const World& world, const Server& server) {
  Json enis = Json::array();
  for (const EniRecord* record : world.enis_of(server.info.id)) enis.push_back(record->eni.id);
  return {{"id", server.info.id},
          {"name", server.name},
          {"type", server.info.type},
          {"zone", server.info.zone_id},
          {"vpc", server.info.vpc_id},
          {"vswitch", server.info.vswitch_id},
          {"primary_eni", server.info.primary_eni_id},
          {"primary_address", server.info.primary_address.to_string()},
          {"security_groups", server.info.security_group_ids},
          {"netns", server.netns_path},
          {"role", server.role_name},
          {"eni_quantity", server.type->eni_quantity},
          {"ipv4_per_eni", server.type->ipv4_per_eni},
          {"ipv6_per_eni", server.type->ipv6_per_eni},
          {"enis", enis}};
}

Json json_of(const Switch& vswitch) {
  Json json = {{"id", vswitch.info.id},
               {"name", vswitch.name},
               {"vpc", vswitch.info.vpc_id},
               {"zone", vswitch.info.zone_id},
               {"cidr", vswitch.info.cidr.to_string()},
               {"gateway", model::gateway_of(vswitch.info.cidr).to_string()},
               {"available", vswitch.v4.available()}};
  if (vswitch.info.ipv6_cidr) {
    json["ipv6_cidr"] = vswitch.info.ipv6_cidr->to_string();
    json["ipv6_gateway"] = model::gateway_of(*vswitch.info.ipv6_cidr).to_string();
  }
  return json;
}

Json json_of(const Fault& fault) {
  Json json = {{"id", fault.id},
               {"kind", to_string(fault.kind)},
               {"probability", fault.probability},
               {"struck", fault.struck}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  add("action", fault.action);
  add("instance", fault.instance_id);
  add("eni", fault.eni_id);
  add("vswitch", fault.vswitch_id);
  add("code", fault.code);
  add("message", fault.message);
  if (fault.count) json["left"] = *fault.count;
  if (fault.delay > Duration::zero()) {
    json["delay_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(fault.delay).count();
  }
  if (fault.status != 0) json["status"] = fault.status;
  if (fault.kind == FaultKind::Partial) json["limit"] = fault.limit;
  if (fault.address) json["address"] = fault.address->to_string();
  return json;
}

Json json_of(const Call& call) {
  const auto since_epoch = call.time.time_since_epoch();
  return {{"sequence", call.sequence},
          {"time", cloud::format_time(call.time)},
          {"time_us", std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count()},
          {"action", call.action},
          {"instance", call.instance},
          {"eni", call.eni},
          {"status", call.status},
          {"code", call.code},
          {"faults", call.faults},
          {"request_id", call.request_id}};
}

Json json_of(const Settings& settings) {
  Json json = Json::object();
  for (const auto& [name, value] : list_settings(settings)) json[name] = Json::parse(value);
  json["calls_per_minute"] = settings.calls_per_minute;
  return json;
}

Json world_json(const Region& region) {
  const World& world = region.world;
  Json vpcs = Json::array();
  for (const auto& [id, vpc] : world.vpcs()) {
    Json one = {{"id", id}, {"cidr", vpc.cidr.to_string()}};
    if (vpc.ipv6_cidr) one["ipv6_cidr"] = vpc.ipv6_cidr->to_string();
    vpcs.push_back(std::move(one));
  }
  Json vswitches = Json::array();
  for (const auto& [id, vswitch] : world.vswitches()) vswitches.push_back(json_of(vswitch));
  Json groups = Json::array();
  for (const auto& [id, group] : world.security_groups()) {
    groups.push_back({{"id", id}, {"name", group.name}, {"vpc", group.vpc_id}});
  }
  Json instances = Json::array();
  for (const auto& [id, server] : world.instances()) instances.push_back(json_of(world, server));
  Json enis = Json::array();
  for (const EniRecord* record : world.enis()) enis.push_back(json_of(world, *record));
  return {{"region", world.region_id()}, {"vpcs", vpcs},           {"vswitches", vswitches},
          {"security_groups", groups},   {"instances", instances}, {"enis", enis}};
}

Result<> set_settings(Settings& settings, const Json& json) {
  if (!json.is_object()) return Error(Error::Kind::Invalid, "settings must be a JSON object");
  Settings changed = settings;
  for (const auto& [name, value] : json.items()) {
    if (name != "calls_per_minute") {
      TRY(set_setting(changed, name, value.dump()));
      continue;
    }
    if (!value.is_object()) {
      return Error(Error::Kind::Invalid, "setting calls_per_minute must be an object");
    }
    for (const auto& [action, calls] : value.items()) {
      TRY(set_setting(changed, "calls_per_minute." + action, calls.dump()));
    }
  }
  settings = std::move(changed);
  return Ok{};
}

void Members::wrong(std::string message) {
  if (!error_) error_ = Error(Error::Kind::Invalid, std::move(message));
}

const Json* Members::find(const char* name) {
  asked_.emplace_back(name);
  if (!json_.is_object()) return nullptr;
  const auto found = json_.find(name);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

std::string Members::text(const char* name) {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return value->get<std::string>();
  wrong(std::string(name) + " must be a string");
  return {};
}

std::vector<std::string> Members::texts(const char* name) {
  std::vector<std::string> values;
  const Json* list = find(name);
  if (list == nullptr) return values;
  if (!list->is_array()) wrong(std::string(name) + " must be a list of strings");
  for (const Json& value : *list) {
    if (value.is_string()) {
      values.push_back(value.get<std::string>());
    } else {
      wrong(std::string(name) + " must be a list of strings");
    }
  }
  return values;
}

std::optional<std::uint64_t> Members::number(const char* name, std::uint64_t highest) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_unsigned() && value->get<std::uint64_t>() <= highest) {
    return value->get<std::uint64_t>();
  }
  wrong(std::string(name) + " must be a whole number from 0 to " + std::to_string(highest));
  return std::nullopt;
}

std::optional<double> Members::fraction(const char* name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) return value->get<double>();
  wrong(std::string(name) + " must be a number");
  return std::nullopt;
}

std::optional<net::IpAddress> Members::address(const char* name) {
  const std::string value = text(name);
  if (value.empty()) return std::nullopt;
  const auto address = net::IpAddress::parse(value);
  if (!address) wrong(std::string(name) + ": \"" + value + "\" is no IP address");
  return address;
}

std::optional<net::Prefix> Members::prefix(const char* name) {
  const std::string value = text(name);
  if (value.empty()) return std::nullopt;
  const auto prefix = net::Prefix::parse(value);
  if (!prefix) wrong(std::string(name) + ": \"" + value + "\" is no prefix");
  return prefix;
}

Json Members::object(const char* name) {
  const Json* value = find(name);
  if (value == nullptr) return Json::object();
  if (!value->is_object()) wrong(std::string(name) + " must be an object");
  return *value;
}

Result<> Members::done() {
  if (!json_.is_object()) return Error(Error::Kind::Invalid, "the body must be a JSON object");
  for (const auto& [name, value] : json_.items()) {
    if (std::ranges::find(asked_, name) == asked_.end()) {
      wrong("unknown member \"" + name + "\"");
    }
  }
  if (error_) return *error_;
  return Ok{};
}

}  // namespace terway::vpcsim
