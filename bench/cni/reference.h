// SPDX-License-Identifier: Apache-2.0
// What the reference plugins of the CNI project take for the like.
#pragma once

#include <string>
#include <vector>

#include "calls.h"

namespace terway::bench {

struct Reference {
  Measured add;
  Measured del;
};

// ptp with host-local: ADD of all, then DEL of all. In the calling thread's namespaces.
Result<Reference> reference_plugins(const std::vector<std::string>& namespaces);

}  // namespace terway::bench
