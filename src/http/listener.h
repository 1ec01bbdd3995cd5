// SPDX-License-Identifier: Apache-2.0
// Listening sockets.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "http/socket.h"

namespace terway::http {

// Port 0: any free one.
Result<Acceptor> listen_tcp(asio::io_context& io, const std::string& address, std::uint16_t port);

// The file has `mode` from its first moment on. A socket that nobody listens on any more is
// replaced.
Result<Acceptor> listen_unix(asio::io_context& io, const std::string& path, unsigned mode);

}  // namespace terway::http
