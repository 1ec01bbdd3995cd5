// SPDX-License-Identifier: Apache-2.0
// The versions of the CNI specification that we speak.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cni/command.h"

namespace terway::cni {

enum class Version : std::uint8_t { V030, V031, V040, V100, V110 };

std::string_view to_string(Version version);
// nullopt for one that we do not speak, 0.1.0 and 0.2.0 included.
std::optional<Version> version_from(std::string_view text);

// CHECK came with 0.4.0, GC and STATUS with 1.1.0.
bool has(Version version, Command command);

}  // namespace terway::cni
