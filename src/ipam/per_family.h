// SPDX-License-Identifier: Apache-2.0
// One of something for each address family, and which families a stack has.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include "ipam/ipam.h"

namespace terway::ipam {

inline constexpr std::array<net::Family, 2> kFamilies = {net::Family::V4, net::Family::V6};

template <class T>
struct PerFamily {
  T v4{};
  T v6{};

  T& operator[](net::Family family) { return family == net::Family::V4 ? v4 : v6; }
  const T& operator[](net::Family family) const { return family == net::Family::V4 ? v4 : v6; }
  bool operator==(const PerFamily&) const = default;
};
using Count = PerFamily<std::uint32_t>;

inline bool has(Stack stack, net::Family family) {
  return stack == Stack::Dual || (stack == Stack::V4) == (family == net::Family::V4);
}

// How many pods `count` addresses are enough for.
inline std::uint32_t pods_of(Stack stack, const Count& count) {
  if (stack == Stack::V4) return count.v4;
  if (stack == Stack::V6) return count.v6;
  return std::min(count.v4, count.v6);
}

// `pods` of each family that the stack has.
inline Count for_pods(Stack stack, std::uint32_t pods) {
  return {has(stack, net::Family::V4) ? pods : 0, has(stack, net::Family::V6) ? pods : 0};
}

inline constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();

inline std::uint32_t less(std::uint32_t from, std::uint32_t what) {
  return from > what ? from - what : 0;
}

}  // namespace terway::ipam
