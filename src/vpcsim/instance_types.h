// SPDX-License-Identifier: Apache-2.0
// The instance types that the simulated region sells: those whose limits ECS documents.
#pragma once

#include "model/instance_types.h"

namespace terway::vpcsim {

using model::family_of;
using model::find_instance_type;
using model::instance_types;

}  // namespace terway::vpcsim
