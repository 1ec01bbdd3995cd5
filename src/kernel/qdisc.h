// SPDX-License-Identifier: Apache-2.0
// Queueing disciplines (RTM_*QDISC; include/uapi/linux/pkt_sched.h): clsact, which carries the
// filters of filter.h at both hooks of a link.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/socket.h"

namespace terway::kernel {

struct Qdisc {
  int ifindex = 0;
  std::string kind;          // "clsact", "fq"
  std::uint32_t handle = 0;  // major in the upper half
  std::uint32_t parent = 0;  // TC_H_ROOT, TC_H_CLSACT, or a class

  bool operator==(const Qdisc&) const = default;
};

// nullopt when the message is no qdisc.
std::optional<Qdisc> parse_qdisc(const MessageView& message);

// Of one link, or of all with 0; clsact among them, what the kernel made by itself not.
Result<std::vector<Qdisc>> list_qdiscs(Socket& socket, int ifindex = 0);

// Error Exists where one is: a link has one at most, of whoever came first. On a link that is up it
// costs an RCU grace period (dev_deactivate() in qdisc_graft()), on one that is down 30 µs.
Message add_clsact(int ifindex);
// With all filters of both hooks, others' too.
Message delete_clsact(int ifindex);

}  // namespace terway::kernel
