// SPDX-License-Identifier: Apache-2.0
// Instance types with the limits that ECS documents: what the simulated region sells, and what
// planning falls back to where the cloud cannot be asked. The cloud's own answer
// (DescribeInstanceTypes) counts.
#pragma once

#include <string_view>
#include <vector>

#include "model/eni.h"

namespace terway::model {

// Ordered by family, then size.
const std::vector<InstanceType>& instance_types();

// Null: not among them.
const InstanceType* find_instance_type(std::string_view id);

// "ecs.g7" of "ecs.g7.large".
std::string_view family_of(std::string_view id);

}  // namespace terway::model
