// SPDX-License-Identifier: Apache-2.0
// What of the simulated cloud's behaviour can be turned: at the start by the configuration, later
// by the admin API.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace terway::vpcsim {

struct Settings {
  // Attaching → InUse, and Detaching → Available. Between two and ten seconds in the real cloud.
  Duration attach_delay = std::chrono::milliseconds(2000);
  Duration detach_delay = std::chrono::milliseconds(1000);
  // From InUse to the NIC's appearance in the node.
  Duration nic_delay = std::chrono::milliseconds(200);
  // The metadata service tells of the world as it was this long ago.
  Duration metadata_lag = std::chrono::milliseconds(500);
  // Every call of the API takes at least this long.
  Duration api_latency = std::chrono::milliseconds(0);
  // STS credentials of a RAM role live this long; a new set is handed out at half of it.
  Duration credential_lifetime = std::chrono::hours(6);
  // Metadata only with a token from PUT /latest/api/token.
  bool metadata_token_required = false;
  // ENIs of the account in the region.
  std::uint32_t eni_quota = 10000;
  std::uint32_t mtu = 1500;
  // Longer IP packets are answered "too big" by the sender's gateway; 0: no limit but the NICs'.
  std::uint32_t path_mtu = 0;
  // Off: the throttle buckets let everything pass.
  bool throttle = true;
  // Calls a minute by action; what is not named has the default of throttle.h.
  std::map<std::string, std::uint32_t, std::less<>> calls_per_minute;
};

// Sets the one of that name ("attach_delay_ms", "calls_per_minute.AssignPrivateIpAddresses") to a
// value in its text form. Invalid: no such name, or a value that is not allowed; then nothing has
// changed.
Result<> set_setting(Settings& settings, std::string_view name, std::string_view value);

// Names and values, each value a JSON number or boolean; without calls_per_minute.
std::vector<std::pair<std::string_view, std::string>> list_settings(const Settings& settings);

}  // namespace terway::vpcsim
