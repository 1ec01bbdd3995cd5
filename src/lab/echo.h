// SPDX-License-Identifier: Apache-2.0
// What a pod, a node or an outside host of the lab runs: it answers over TCP and UDP with who it is
// and whom it saw, so that a prober learns whether an address was changed on the way.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace terway::lab {

inline constexpr std::uint16_t kEchoPort = 8080;

// Serves until killed. One line a request: any bytes in, "<name> <peer address>\n" out, over TCP
// (then closed by the client) and UDP, both families on one socket each.
Result<> serve_echo(const std::string& name, std::uint16_t port);

// Waits until the echo in this namespace answers over its loopback.
Result<> wait_for_echo(const std::string& netns_path, std::uint16_t port, Duration timeout);

}  // namespace terway::lab
