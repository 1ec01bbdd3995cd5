// SPDX-License-Identifier: Apache-2.0
// Which bits of packet and connection marks are ours, and what they say: the NIC that a packet must
// leave by, or the one that its connection came in on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace terway::datapath {

// Free of what is used by kube-proxy (0x4000, 0x8000), the portmap plugin (0x2000), Calico
// (0xffff0000), Cilium (0x0f00 and the upper half) and upstream's symmetric routing (0x10); bit 0
// is everybody's first choice.
inline constexpr std::uint32_t kDefaultMarkMask = 0xee;

// A NIC's number (1, 2, …) spread over the bits of the mask.
class MarkBits {
 public:
  // Invalid when fewer than 3 bits, or bits of kube-proxy's.
  static Result<MarkBits> make(std::uint32_t mask);

  std::uint32_t mask() const { return mask_; }
  // For what must not leave the node at all: pods without a way out.
  std::uint32_t nowhere() const { return mask_; }
  // Numbers 1 to most() are NICs'.
  std::uint32_t most() const;
  std::uint32_t mark_of(std::uint32_t number) const;
  // 0 where the mark is no NIC's.
  std::uint32_t number_of(std::uint32_t mark) const;

 private:
  explicit MarkBits(std::uint32_t mask) : mask_(mask) {}
  std::uint32_t mask_;
};

// Who is known to use some of these bits, one line each; empty when nobody.
std::vector<std::string> known_users_of(std::uint32_t mask);

}  // namespace terway::datapath
