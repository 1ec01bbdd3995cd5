// SPDX-License-Identifier: Apache-2.0
// What a burst of pods on a fresh node must take at the least, by the cloud's own settings.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "node.h"

namespace terway::bench {

struct Bound {
  double seconds = 0;
  std::string computation;  // for people
};

// The best that anybody could do: as few ENIs as hold the pods, all created, attached and plugged
// side by side, each with its addresses from its creation. Every call passes a quota that holds a
// minute's calls; those beyond wait for it to refill.
Bound bound_of_burst(std::size_t pods, const CloudSettings& settings);

}  // namespace terway::bench
