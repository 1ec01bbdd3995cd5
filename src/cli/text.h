// SPDX-License-Identifier: Apache-2.0
// How the CLI writes small things.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/table.h"

namespace terway::cli {

// The two largest units that matter: "0.4s", "12s", "5m12s", "3h4m", "2d7h".
std::string duration(double seconds);
// The first 12 characters, as container runtimes print ids.
std::string short_id(std::string_view id);
std::string joined(const std::vector<std::string>& parts);
// Left-aligned names before their values, one a line.
std::string pairs(const std::vector<std::pair<std::string, Table::Cell>>& entries, Colour colour);
// An empty line and a heading, before a further table of the same answer.
std::string section(std::string_view title, Colour colour);

}  // namespace terway::cli
