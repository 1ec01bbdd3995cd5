// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/config.h"

#include <doctest/doctest.h>

using namespace terway;
using namespace terway::vpcsim;
using namespace std::chrono_literals;

TEST_CASE("a configuration describes a region") {
  const auto config = parse_config(R"(
region: cn-beijing
vpcs:
  - {id: vpc-a, cidr: 192.168.0.0/16, ipv6_cidr: "2408:4000::/56"}
vswitches:
  - {id: vsw-a, name: pods, zone: cn-beijing-k, cidr: 192.168.32.0/20, ipv6_cidr: "2408:4000::/64"}
security_groups:
  - {id: sg-a, name: nodes}
access_keys:
  - {id: LTAI, secret: s}
settings:
  attach_delay_ms: 100
  metadata_token_required: true
  calls_per_minute: {AssignPrivateIpAddresses: 6000}
)");
  REQUIRE(config.ok());
  CHECK(config->region == "cn-beijing");
  CHECK(config->vpcs.at(0).ipv6_cidr->to_string() == "2408:4000::/56");
  CHECK(config->vswitches.at(0).zone_id == "cn-beijing-k");
  CHECK(config->security_groups.at(0).id == "sg-a");
  CHECK(config->access_keys.at(0).secret == "s");
  CHECK(config->settings.attach_delay == 100ms);
  CHECK(config->settings.metadata_token_required);
  CHECK(config->settings.calls_per_minute.at("AssignPrivateIpAddresses") == 6000);
}

TEST_CASE("a configuration that is wrong is refused with the reason") {
  const auto reason = [](std::string_view yaml) {
    const auto config = parse_config(yaml);
    return config.ok() ? std::string("accepted") : config.error().message();
  };
  CHECK(reason("regoin: x").find("unknown key \"regoin\"") != std::string::npos);
  CHECK(reason("vpcs: 3").find("must be a list") != std::string::npos);
  CHECK(reason("vpcs: [{cidr: 10.0.0.0/33}]").find("10.0.0.0/33") != std::string::npos);
  CHECK(reason("vswitches: [{cidr: 10.0.0.0/24}]").find("zone is missing") != std::string::npos);
  CHECK(reason("settings: {attach_delay_ms: -1}").find("attach_delay_ms") != std::string::npos);
  CHECK(reason("settings: {nope: 1}").find("no setting nope") != std::string::npos);
  CHECK(reason("a: [").size() > 0);
  CHECK(reason("[]").find("must be a map") != std::string::npos);
  CHECK(reason("access_keys: [{id: x}]").find("secret is missing") != std::string::npos);
}

TEST_CASE("settings are listed in the form in which they are set") {
  Settings settings;
  REQUIRE(set_setting(settings, "attach_delay_ms", "123").ok());
  REQUIRE(set_setting(settings, "throttle", "false").ok());
  Settings copy;
  for (const auto& [name, value] : list_settings(settings)) {
    REQUIRE(set_setting(copy, name, value).ok());
  }
  CHECK(copy.attach_delay == 123ms);
  CHECK_FALSE(copy.throttle);
  CHECK_FALSE(set_setting(settings, "mtu", "100").ok());
  CHECK_FALSE(set_setting(settings, "throttle", "1").ok());
}
