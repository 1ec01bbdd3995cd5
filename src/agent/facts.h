// SPDX-License-Identifier: Apache-2.0
// Facts of the cloud that the journal keeps, so that a start does not need the cloud: as JSON text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/events.h"

namespace terway::agent {

inline constexpr std::string_view kIdentityFact = "identity";
inline constexpr std::string_view kVSwitchFact = "vswitch/";  // and its id
// The kernel's limits of an instance type change with the vendor's catalogue only.
inline constexpr Duration kIdentityLife = std::chrono::hours(24 * 15);

std::string encode_identity(const Identity& identity);
std::optional<Identity> decode_identity(std::string_view json);
std::string encode_vswitch(const model::VSwitch& vswitch);
std::optional<model::VSwitch> decode_vswitch(std::string_view json);

}  // namespace terway::agent
