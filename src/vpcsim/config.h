// SPDX-License-Identifier: Apache-2.0
// The file that describes a simulated region at its start (docs/formats/vpcsim-config.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vpcsim/credentials.h"
#include "vpcsim/settings.h"
#include "vpcsim/world.h"

namespace terway::vpcsim {

struct Config {
  std::string region = "cn-hangzhou";
  std::vector<Vpc> vpcs;
  std::vector<NewVSwitch> vswitches;
  std::vector<SecurityGroup> security_groups;
  std::vector<AccessKey> access_keys;
  Settings settings;
};

// Of YAML text. Invalid: the message names key, value and what is allowed; an unknown key is
// refused.
Result<Config> parse_config(std::string_view yaml);

// One VPC 10.0.0.0/8, a vSwitch for nodes and one for pods, a security group, one AccessKey.
Config default_config();

}  // namespace terway::vpcsim
