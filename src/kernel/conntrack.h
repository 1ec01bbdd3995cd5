// SPDX-License-Identifier: Apache-2.0
// Forgetting connections (ctnetlink), of the socket's namespace, both families.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernel/socket.h"
#include "net/address.h"

namespace terway::kernel {

// As much of a connection as is needed to find and delete it.
struct Connection {
  net::IpAddress source;             // original direction
  net::IpAddress destination;        // original direction
  net::IpAddress reply_source;       // whom it really reaches: differs from destination under DNAT
  net::IpAddress reply_destination;  // differs from source under SNAT
  std::uint8_t protocol = 0;
  std::uint16_t source_port = 0;  // original direction; 0 where the protocol has none
  std::uint16_t destination_port = 0;
  std::uint32_t mark = 0;
};

std::optional<Connection> parse_connection(const MessageView& message);

// The socket is one of Protocol::Netfilter.
Result<std::vector<Connection>> list_connections(Socket& socket, net::Family family);

// How many connections the namespace has.
Result<std::uint32_t> count_connections(Socket& socket);

// Every connection that one of these addresses opened or that reached it, behind a DNAT or not. A
// walk over the machine's connection table takes some 10 ms whatever it holds (262144 buckets): for
// a few addresses two walks each, filtered in the kernel (5.8); for many, one over everything; none
// where there is nothing. Answers how many it deleted.
Result<std::uint32_t> flush_connections_of(Socket& socket,
                                           const std::vector<net::IpAddress>& addresses);

// Every connection whose mark has `mark` in the bits of `mask`; mask 0 is Invalid, for it would be
// all.
Result<> flush_connections_marked(Socket& socket, std::uint32_t mark, std::uint32_t mask);

}  // namespace terway::kernel
