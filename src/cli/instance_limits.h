// SPDX-License-Identifier: Apache-2.0
// What an instance type can carry, and who says so.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "model/eni.h"

namespace terway::cli {

struct InstanceLimits {
  model::InstanceType type;
  std::string source;
};

// What the cloud says of a type; empty: it has none of that name. An Error: it could not be asked.
using AskCloud = std::function<Result<std::optional<model::InstanceType>>(const std::string& id)>;

// Limits come from the cloud; where it cannot be asked, from what ECS documents, and `source` says
// so. NotFound: the cloud has no such type, or it could not be asked and the type is not documented
// here.
Result<InstanceLimits> limits_of(const std::string& instance_type, const AskCloud& ask_cloud);

}  // namespace terway::cli
