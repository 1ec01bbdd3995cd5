// SPDX-License-Identifier: Apache-2.0
// A token bucket as the root qdisc of a link (net/sched/sch_tbf.c): what leaves by the link waits
// until its bytes are paid for, `rate` bytes being earned a second and `burst` of them kept at
// most. Bytes are those of Ethernet frames without their checksum, each segment of a GSO packet
// with headers of its own. A GSO packet longer than `burst` is cut into its segments.
#pragma once

#include <cstdint>
#include <vector>

#include "kernel/socket.h"

namespace terway::kernel {

struct TokenBucket {
  std::uint64_t rate = 0;   // bytes per second
  std::uint32_t burst = 0;  // bytes; not less than a frame, or that frame never leaves
  std::uint32_t limit = 0;  // bytes that may wait

  bool operator==(const TokenBucket&) const = default;
};

// A bucket that is there. The kernel does not tell its burst: 0 here.
struct TokenBucketOf {
  int ifindex = 0;
  TokenBucket bucket;
  std::uint32_t waiting = 0;  // bytes in its queue
};
// Of all links of the namespace.
Result<std::vector<TokenBucketOf>> list_token_buckets(Socket& socket);

// Makes it, full, or changes the one that is there: the queue stays, the bucket is full again.
// A burst that is made smaller may be less than what waits already, which then never leaves, nor
// what is behind it (seen on 6.18: tbf_dequeue() compares the packet with the bucket as it is now).
// On a link that is up, making one costs an RCU grace period in which the link sends nothing.
Message set_token_bucket(int ifindex, const TokenBucket& bucket);

}  // namespace terway::kernel
