// SPDX-License-Identifier: Apache-2.0
// How long a connection is remembered, and the sweeper that forgets: the programs only write.
//
// Lifetimes are never shorter than the kernel's own connection tracking has them by default
// (nf_conntrack_tcp_timeout_* and the like, Documentation/networking/nf_conntrack-sysctl.rst), for
// a flow by the host's stack must not be forgotten while that still translates it; but an idle
// established connection, which it keeps for days, is found again at its next packet.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bpf/abi.h"
#include "ebpf/object.h"
#include "net/address.h"

namespace terway::datapath {

// Since the last packet that was seen.
Duration lifetime_of(const abi::flow_key& key, const abi::flow& flow);

// Goes round the map in slices. For the datapath's thread, when nobody waits.
class FlowSweeper {
 public:
  struct Slice {
    std::uint32_t looked_at = 0;
    std::uint32_t removed = 0;
    bool round_ended = false;
  };
  // Looks at some thousand entries (about a millisecond) and removes those whose time is over, and
  // those of `forget`.
  Result<Slice> sweep(const ebpf::Object& object, const std::set<net::IpAddress>& forget);

  // Entries seen in the last whole round.
  std::uint32_t flows() const { return last_round_; }

 private:
  std::vector<std::uint8_t> cursor_;
  std::uint32_t this_round_ = 0;
  std::uint32_t last_round_ = 0;
};

// Removes every flow of these addresses now.
Result<> forget_flows(const ebpf::Object& object, const std::set<net::IpAddress>& addresses);

}  // namespace terway::datapath
