// SPDX-License-Identifier: Apache-2.0
// Told about every call to the cloud, for metrics.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace terway::cloud {

// `call` is the action, or the path at the metadata service; no kind means success. Called in the
// thread that made the call, after it has ended; waiting for the rate limit is not counted.
using Observer =
    std::function<void(std::string_view call, std::optional<Error::Kind> failure, Duration took)>;

}  // namespace terway::cloud
