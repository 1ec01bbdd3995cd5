// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/config.h"

#include <fmt/core.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

namespace terway::vpcsim {

namespace {

Error invalid(std::string message) { return Error(Error::Kind::Invalid, std::move(message)); }

// Every key of a map must be known.
Result<> check_keys(const YAML::Node& node, std::string_view where,
                    std::initializer_list<std::string_view> known) {
  if (!node.IsMap()) return invalid(fmt::format("{}: must be a map", where));
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    if (std::ranges::find(known, key) == known.end()) {
      return invalid(fmt::format("{}: unknown key \"{}\"", where, key));
    }
  }
  return Ok{};
}

Result<std::string> text_of(const YAML::Node& node, std::string_view where, const char* key,
                            bool required = false) {
  const YAML::Node value = node[key];
  if (!value || value.IsNull()) {
    if (required) return invalid(fmt::format("{}: {} is missing", where, key));
    return std::string();
  }
  if (!value.IsScalar()) return invalid(fmt::format("{}: {} must be text", where, key));
  return value.Scalar();
}

Result<std::optional<net::Prefix>> prefix_of(const YAML::Node& node, std::string_view where,
                                             const char* key, net::Family family) {
  const std::string text = TRY(text_of(node, where, key));
  if (text.empty()) return std::optional<net::Prefix>();
  const auto prefix = net::Prefix::parse(text);
  if (!prefix || prefix->family() != family) {
    return invalid(fmt::format("{}: {}: \"{}\" is no {} prefix", where, key, text,
                               family == net::Family::V4 ? "IPv4" : "IPv6"));
  }
  return prefix;
}

Result<net::Prefix> cidr_of(const YAML::Node& node, std::string_view where) {
  const auto cidr = TRY(prefix_of(node, where, "cidr", net::Family::V4));
  if (!cidr) return invalid(fmt::format("{}: cidr is missing", where));
  return *cidr;
}

Result<> parse_vpc(const YAML::Node& node, Config& config) {
  TRY(check_keys(node, "vpcs", {"id", "cidr", "ipv6_cidr"}));
  Vpc vpc;
  vpc.id = TRY(text_of(node, "vpcs", "id"));
  vpc.cidr = TRY(cidr_of(node, "vpcs"));
  vpc.ipv6_cidr = TRY(prefix_of(node, "vpcs", "ipv6_cidr", net::Family::V6));
  config.vpcs.push_back(std::move(vpc));
  return Ok{};
}

Result<> parse_vswitch(const YAML::Node& node, Config& config) {
  TRY(check_keys(node, "vswitches", {"id", "name", "vpc", "zone", "cidr", "ipv6_cidr"}));
  NewVSwitch wanted;
  wanted.id = TRY(text_of(node, "vswitches", "id"));
  wanted.name = TRY(text_of(node, "vswitches", "name"));
  wanted.vpc_id = TRY(text_of(node, "vswitches", "vpc"));
  wanted.zone_id = TRY(text_of(node, "vswitches", "zone", true));
  wanted.cidr = TRY(cidr_of(node, "vswitches"));
  wanted.ipv6_cidr = TRY(prefix_of(node, "vswitches", "ipv6_cidr", net::Family::V6));
  config.vswitches.push_back(std::move(wanted));
  return Ok{};
}

Result<> parse_group(const YAML::Node& node, Config& config) {
  TRY(check_keys(node, "security_groups", {"id", "name", "vpc"}));
  SecurityGroup group;
  group.id = TRY(text_of(node, "security_groups", "id"));
  group.name = TRY(text_of(node, "security_groups", "name"));
  group.vpc_id = TRY(text_of(node, "security_groups", "vpc"));
  config.security_groups.push_back(std::move(group));
  return Ok{};
}

Result<> parse_key(const YAML::Node& node, Config& config) {
  TRY(check_keys(node, "access_keys", {"id", "secret"}));
  AccessKey key;
  key.id = TRY(text_of(node, "access_keys", "id", true));
  key.secret = TRY(text_of(node, "access_keys", "secret", true));
  config.access_keys.push_back(std::move(key));
  return Ok{};
}

Result<> parse_settings(const YAML::Node& node, Config& config) {
  if (!node) return Ok{};
  if (!node.IsMap()) return invalid("settings: must be a map");
  for (const auto& entry : node) {
    const std::string name = entry.first.Scalar();
    if (name != "calls_per_minute") {
      if (!entry.second.IsScalar()) return invalid("settings: " + name + " must be a value");
      TRY(set_setting(config.settings, name, entry.second.Scalar()));
      continue;
    }
    if (!entry.second.IsMap()) return invalid("settings: calls_per_minute must be a map");
    for (const auto& limit : entry.second) {
      TRY(set_setting(config.settings, "calls_per_minute." + limit.first.Scalar(),
                      limit.second.Scalar()));
    }
  }
  return Ok{};
}

Result<> each(const YAML::Node& list, std::string_view where, Config& config,
              Result<> (*parse)(const YAML::Node&, Config&)) {
  if (!list) return Ok{};
  if (!list.IsSequence()) return invalid(fmt::format("{}: must be a list", where));
  for (const YAML::Node& node : list) TRY(parse(node, config));
  return Ok{};
}

Result<Config> parse(const YAML::Node& root) {
  TRY(check_keys(root, "configuration",
                 {"region", "vpcs", "vswitches", "security_groups", "access_keys", "settings"}));
  Config config;
  if (std::string region = TRY(text_of(root, "configuration", "region")); !region.empty()) {
    config.region = std::move(region);
  }
  TRY(each(root["vpcs"], "vpcs", config, parse_vpc));
  TRY(each(root["vswitches"], "vswitches", config, parse_vswitch));
  TRY(each(root["security_groups"], "security_groups", config, parse_group));
  TRY(each(root["access_keys"], "access_keys", config, parse_key));
  TRY(parse_settings(root["settings"], config));
  return config;
}

}  // namespace

Result<Config> parse_config(std::string_view yaml) {
  // yaml-cpp throws on what is no YAML, and at odd accesses: nothing of that gets out of here.
  try {
    return parse(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& problem) {
    return invalid(problem.what());
  }
}

Config default_config() {
  const auto prefix = [](std::string_view text) { return *net::Prefix::parse(text); };
  Config config;
  config.vpcs.push_back({"vpc-bp1lab", prefix("10.0.0.0/8"), std::nullopt});
  config.vswitches.push_back({"vsw-bp1node", "nodes", "vpc-bp1lab", "cn-hangzhou-i",
                              prefix("10.10.0.0/24"), std::nullopt});
  config.vswitches.push_back(
      {"vsw-bp1pods", "pods", "vpc-bp1lab", "cn-hangzhou-i", prefix("10.20.0.0/20"), std::nullopt});
  config.security_groups.push_back({"sg-bp1lab", "lab", "vpc-bp1lab", {}});
  config.access_keys.push_back({"LTAI5tVpcsimVpcsimVpcsim", "vpcsimvpcsimvpcsimvpcsimvpcsim"});
  return config;
}

}  // namespace terway::vpcsim
