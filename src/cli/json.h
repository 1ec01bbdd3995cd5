// SPDX-License-Identifier: Apache-2.0
// JSON of what the CLI computes itself; what the daemon answers is passed on as it is.
#pragma once

#include <string>
#include <vector>

#include "cli/planning.h"
#include "model/eni.h"

namespace terway::cli {

// One line, ended.
std::string to_json(const std::vector<model::Eni>& enis);
std::string to_json(const NodeCapacity& capacity);
std::string to_json(const ipam::Plan& plan, const InstanceLimits& limits);

}  // namespace terway::cli
