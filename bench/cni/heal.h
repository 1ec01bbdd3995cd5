// SPDX-License-Identifier: Apache-2.0
// How long traffic stops when somebody flushes what the daemon wrote.
#pragma once

#include "lab/lab.h"
#include "phases.h"

namespace terway::bench {

// A pod of its own sends a datagram each millisecond to a host outside, which answers, while the
// node's rules, its numbered routing tables, and its nftables ruleset are flushed, one after the
// other, `rounds` times each. "rules", "routes", "nft": the longest time between two answers in a
// round, in ms; "all" is of all three. Unavailable when it does not go on within half a minute.
Result<Series> heal(lab::Lab& lab, const std::string& node, std::size_t rounds);

}  // namespace terway::bench
