// SPDX-License-Identifier: Apache-2.0
// Neighbour entries, IPv4's ARP and IPv6's ND alike (RTM_*NEIGH).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernel/socket.h"
#include "net/address.h"

namespace terway::kernel {

struct Neighbour {
  int ifindex = 0;
  net::IpAddress address;
  net::Mac mac;
  std::uint16_t state = 0;  // NUD_*

  bool permanent() const;
  bool operator==(const Neighbour&) const = default;
};

std::optional<Neighbour> parse_neighbour(const MessageView& message);

// Of one link, or of all with 0.
Result<std::vector<Neighbour>> list_neighbours(Socket& socket, net::Family family, int ifindex = 0);

// Makes or replaces a permanent entry: never probed, never aged.
Message set_neighbour(int ifindex, const net::IpAddress& address, const net::Mac& mac);
Message delete_neighbour(int ifindex, const net::IpAddress& address);

// Deletes what any link has learnt of an address; permanent entries stay.
Result<> flush_neighbour(Socket& socket, const net::IpAddress& address);

}  // namespace terway::kernel
