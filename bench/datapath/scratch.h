// SPDX-License-Identifier: Apache-2.0
// A folder that nobody else sees and that goes with the process, however that ends.
#pragma once

#include <filesystem>

#include "base/result.h"

namespace terway::bench {

// A mount namespace of the process's own, with an empty file system at scratch(). Once, while there
// is one thread.
Result<> make_scratch();
std::filesystem::path scratch();

}  // namespace terway::bench
