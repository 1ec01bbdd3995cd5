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

// Every connection that this address opened or that reached it, behind a DNAT or not. Two walks
// over the connection table, filtered in the kernel (5.8). Answers how many it deleted.
Result<std::uint32_t> flush_connections_of(Socket& socket, const net::IpAddress& address);

// Every connection whose mark has `mark` in the bits of `mask`; mask 0 is Invalid, for it would be
// all.
Result<> flush_connections_marked(Socket& socket, std::uint32_t mark, std::uint32_t mask);

}  // namespace terway::kernel
