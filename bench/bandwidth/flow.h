// SPDX-License-Identifier: Apache-2.0
// One flow at full speed between two namespaces, and what arrives of it.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/result.h"
#include "net/address.h"

namespace terway::bench {

enum class Protocol : std::uint8_t { Tcp, Udp };

struct Between {
  int from = -1;  // descriptors of network namespaces, borrowed
  int to = -1;
  net::IpAddress address;  // of the receiver; IPv4
};

struct Arrived {
  // Bytes of Ethernet frames without their checksum: the payload, and 66 bytes (TCP with
  // timestamps) or 42 (UDP) of headers for each 1448 or 1400 of it.
  double bytes_per_second = 0;
  double rtt_ms = 0;  // TCP: the median of its own measurements; 0 for UDP
};

// After `warm_up`, over `time`. TCP sends what it can, UDP `offered` bytes per second.
Result<Arrived> measure_flow(const Between& between, Protocol protocol, double offered,
                             std::chrono::milliseconds warm_up, std::chrono::milliseconds time);

// UDP from a standing start, three times the rate offered: by how many bytes what has arrived
// exceeded `bytes_per_second` since the first send, at most, within `time`.
Result<double> measure_burst(const Between& between, double bytes_per_second,
                             std::chrono::milliseconds time);

}  // namespace terway::bench
