// SPDX-License-Identifier: Apache-2.0
// The least that a pod costs: the kernel's part without a daemon, and the daemon's part without the
// kernel.
#pragma once

#include <string>
#include <vector>

#include "calls.h"

namespace terway::bench {

// The same kernel objects as a pod of terwayd has (veth, addresses, routes, neighbours, an element
// of an nftables map), written by one thread in the fewest messages, with `resident` such pods
// there already. In the calling thread's namespace.
Result<Measured> wire_by_hand(std::size_t samples, std::size_t resident);

struct Exchange {
  Measured startup;     // VERSION: exec, config, answer, exit
  Measured round_trip;  // ADD whose daemon answers at once
};
Result<Exchange> exchange(const std::string& plugin, std::size_t samples,
                          const std::vector<std::string>& namespaces);

}  // namespace terway::bench
