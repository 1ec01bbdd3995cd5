// SPDX-License-Identifier: Apache-2.0
// From a limit in bits per second to a token bucket. Pure.
#pragma once

#include <cstdint>

#include "kernel/token_bucket.h"

namespace terway::datapath {

// `bits_per_second` of L2 frames, not 0; `mtu` of the pod's interface.
//   burst  10 ms of the rate, and two frames at least: what a bucket that was not used lets go at
//          once, at the start too. Two, for with one the rounding of a timer would cost rate.
//   limit  what may wait: 25 ms of the rate (upstream's), and 16 frames at least, with which a TCP
//          connection gets its rate (docs/decisions/0009).
kernel::TokenBucket shape_of(std::uint64_t bits_per_second, std::uint32_t mtu);

}  // namespace terway::datapath
