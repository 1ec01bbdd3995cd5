// SPDX-License-Identifier: Apache-2.0
// Listening sockets.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace terway::http {

// Non-blocking. Port 0: any free one.
Result<UniqueFd> listen_tcp(const std::string& address, std::uint16_t port);
std::uint16_t port_of(int listening_fd);

// The file has `mode` from its first moment on. A socket that nobody listens on any more is
// replaced.
Result<UniqueFd> listen_unix(const std::string& path, unsigned mode);

}  // namespace terway::http
