// SPDX-License-Identifier: Apache-2.0
// TCP between two network namespaces, client and server as threads pinned to one CPU: veth delivers
// within the sender's system call, so a round trip is the CPU time of the whole way, and what two
// CPUs and the scheduler would add is not in it.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/result.h"
#include "net/address.h"

namespace terway::bench {

struct Ends {
  int client = -1;  // descriptors of network namespaces, borrowed
  int server = -1;
  net::IpAddress address;  // of the server; IPv4
};

struct Pace {
  int cpu = 0;
  std::chrono::milliseconds time{600};
};

struct Latency {
  double p50_us = 0;
  std::uint64_t count = 0;
};

// One byte there and one back over one connection (netperf's TCP_RR).
Result<Latency> request_response(const Ends& ends, const Pace& pace);
// The same with a connection for each, from socket() to close(), ended by RST so that no TIME_WAIT
// is left (TCP_CRR).
Result<Latency> connect_request_response(const Ends& ends, const Pace& pace);
// One connection, one direction: the median of what arrives in slices of time, in Gbit/s.
Result<double> stream(const Ends& ends, const Pace& pace);

}  // namespace terway::bench
