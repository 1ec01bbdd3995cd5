// SPDX-License-Identifier: Apache-2.0
// What the admin API answers, as tables for people.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/table.h"

namespace terway::vpcsim {

// Each takes the JSON text of one answer; Internal: it has not the form that it should have.
Result<std::string> world_view(std::string_view json, Colour colour);     // GET /world
Result<std::string> enis_view(std::string_view json, Colour colour);      // GET /enis
Result<std::string> calls_view(std::string_view json, Colour colour);     // GET /calls
Result<std::string> faults_view(std::string_view json, Colour colour);    // GET /faults
Result<std::string> counters_view(std::string_view json, Colour colour);  // GET /counters
Result<std::string> settings_view(std::string_view json, Colour colour);  // GET /settings

// A JSON object of members that are given as text: numbers, true and false stay what they are.
// Nested by a dot: "a.b". Empty values are left out.
std::string to_json_object(const std::vector<std::pair<std::string, std::string>>& members);

}  // namespace terway::vpcsim
