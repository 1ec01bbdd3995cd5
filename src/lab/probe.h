// SPDX-License-Identifier: Apache-2.0
// One question over the network, asked from inside a network namespace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/address.h"

namespace terway::lab {

enum class Protocol : std::uint8_t { Tcp, Udp, Icmp };
std::string_view to_string(Protocol protocol);
std::optional<Protocol> protocol_from(std::string_view text);

struct Target {
  net::IpAddress address;
  std::uint16_t port = 0;  // not for ICMP
  Protocol protocol = Protocol::Tcp;

  std::string to_string() const;  // "10.0.0.1:8080/tcp"
};

// "ADDR:PORT/PROTO", "[v6]:PORT/PROTO", "ADDR/icmp".
Result<Target> parse_target(std::string_view text);

struct Answer {
  Duration round_trip{};  // of the question and its answer, connecting not included
  std::string text;       // what the echo said: "<name> <address it saw>"; empty for ICMP
};

// Blocks at most `timeout`. Errors: Unavailable with what was seen ("no answer", "connection
// refused", "no route to host"). The calling thread's own namespace is left alone.
Result<Answer> probe(const std::string& netns_path, const Target& target, Duration timeout);

}  // namespace terway::lab
