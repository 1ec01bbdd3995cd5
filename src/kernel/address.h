// SPDX-License-Identifier: Apache-2.0
// Addresses on links (RTM_*ADDR).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernel/socket.h"
#include "net/address.h"

namespace terway::kernel {

struct Address {
  int ifindex = 0;
  net::Prefix prefix;       // the local address and its length
  std::uint8_t scope = 0;   // RT_SCOPE_*
  std::uint32_t flags = 0;  // IFA_F_*

  bool tentative() const;
};

std::optional<Address> parse_address(const MessageView& message);

// Of one link, or of all with 0.
Result<std::vector<Address>> list_addresses(Socket& socket, net::Family family, int ifindex = 0);

// `flags`: IFA_F_NODAD, IFA_F_NOPREFIXROUTE. IPv6 without duplicate detection is usable at once.
Message add_address(int ifindex, const net::Prefix& prefix, std::uint32_t flags = 0,
                    std::uint8_t scope = 0);
Message delete_address(int ifindex, const net::Prefix& prefix);

}  // namespace terway::kernel
