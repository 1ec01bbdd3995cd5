// SPDX-License-Identifier: Apache-2.0
#include "cli/instance_limits.h"

#include <fmt/core.h>

#include "model/instance_types.h"

namespace terway::cli {

Result<InstanceLimits> limits_of(const std::string& instance_type, const AskCloud& ask_cloud) {
  const Result<std::optional<model::InstanceType>> asked = ask_cloud(instance_type);
  if (asked.ok() && asked->has_value()) {
    return InstanceLimits{**asked, "the cloud (DescribeInstanceTypes)"};
  }
  if (asked.ok()) {
    return Error(Error::Kind::NotFound, fmt::format("the cloud has no type {}", instance_type));
  }
  const model::InstanceType* documented = model::find_instance_type(instance_type);
  if (documented == nullptr) {
    return Error(Error::Kind::NotFound,
                 fmt::format("{} is not documented here, and the cloud could not be asked: {}",
                             instance_type, asked.error().to_string()));
  }
  return InstanceLimits{*documented,
                        fmt::format("the ECS documentation (the cloud could not be asked: {})",
                                    asked.error().to_string())};
}

}  // namespace terway::cli
