// SPDX-License-Identifier: Apache-2.0
#include "datapath/marks.h"

#include <fmt/core.h>

#include <array>
#include <bit>
#include <string_view>

namespace terway::datapath {

namespace {

struct User {
  std::string_view who;
  std::uint32_t bits;
};

constexpr std::uint32_t kKubeProxy = 0xc000;
constexpr std::array<User, 5> kUsers = {{
    {"kube-proxy (masquerade 0x4000, drop 0x8000)", kKubeProxy},
    {"the portmap plugin (0x2000)", 0x2000},
    {"Calico (iptablesMarkMask, default 0xffff0000)", 0xffff0000},
    {"Cilium (0x0f00, identities in the upper half)", 0xffff0f00},
    {"the former symmetric routing of Terway (0x10)", 0x10},
}};

}  // namespace

Result<MarkBits> MarkBits::make(std::uint32_t mask) {
  if (std::popcount(mask) < 3) {
    return Error(Error::Kind::Invalid,
                 fmt::format("mark mask {:#x}: at least 3 bits are needed", mask));
  }
  if ((mask & kKubeProxy) != 0) {
    return Error(Error::Kind::Invalid,
                 fmt::format("mark mask {:#x}: bits {:#x} are kube-proxy's (masquerade and drop)",
                             mask, mask & kKubeProxy));
  }
  return MarkBits(mask);
}

std::uint32_t MarkBits::most() const {
  const int bits = std::popcount(mask_);
  return bits >= 31 ? 0x7fffffffU : (1U << static_cast<unsigned>(bits)) - 2;
}

std::uint32_t MarkBits::mark_of(std::uint32_t number) const {
  std::uint32_t mark = 0;
  for (std::uint32_t rest = mask_; rest != 0 && number != 0; rest &= rest - 1, number >>= 1U) {
    if (number & 1U) mark |= rest & (~rest + 1);
  }
  return mark;
}

std::uint32_t MarkBits::number_of(std::uint32_t mark) const {
  std::uint32_t number = 0;
  unsigned position = 0;
  for (std::uint32_t rest = mask_; rest != 0; rest &= rest - 1, ++position) {
    if (mark & rest & (~rest + 1)) number |= 1U << position;
  }
  return number > most() ? 0 : number;
}

std::vector<std::string> known_users_of(std::uint32_t mask) {
  std::vector<std::string> users;
  for (const User& user : kUsers) {
    if ((user.bits & mask) == 0) continue;
    users.push_back(fmt::format("bits {:#x} of mark mask {:#x} are used by {}", user.bits & mask,
                                mask, user.who));
  }
  return users;
}

}  // namespace terway::datapath
