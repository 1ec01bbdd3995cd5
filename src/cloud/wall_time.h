// SPDX-License-Identifier: Apache-2.0
// Times as the cloud writes them: ISO 8601 in UTC, whole seconds ("2023-10-26T10:22:32Z").
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace terway::cloud {

std::string format_time(WallTime time);
std::optional<WallTime> parse_time(std::string_view text);

}  // namespace terway::cloud
