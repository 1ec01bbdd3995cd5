// SPDX-License-Identifier: Apache-2.0
// The instance types that the simulated region sells, with the limits that ECS documents.
#pragma once

#include <string_view>
#include <vector>

#include "model/eni.h"

namespace terway::vpcsim {

// Ordered by family, then size.
const std::vector<model::InstanceType>& instance_types();

// Null: not sold here.
const model::InstanceType* find_instance_type(std::string_view id);

// "ecs.g7" of "ecs.g7.large".
std::string_view family_of(std::string_view id);

}  // namespace terway::vpcsim
