// SPDX-License-Identifier: Apache-2.0
// Much traffic, and how much of it arrives.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "base/clock.h"
#include "base/fd.h"
#include "net/address.h"
#include "tests/netns/namespace.h"

namespace terway::test {

enum class Transport : std::uint8_t { Tcp, Udp };

// Takes in all that comes to a port of every address, for as long as it lives.
class Sink {
 public:
  Sink(const Namespace& ns, Transport transport, std::uint16_t port);
  ~Sink();

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t datagrams() const { return datagrams_; }

 private:
  void serve();
  UniqueFd socket_, stop_;
  Transport transport_;
  std::atomic<std::uint64_t> bytes_ = 0, datagrams_ = 0;
  std::thread thread_;
};

// Sends for as long as it lives, UDP as datagrams of 1400 bytes, with `pause` between two of them.
class Source {
 public:
  Source(const Namespace& ns, Transport transport, const net::IpAddress& to, std::uint16_t port,
         Duration pause = Duration::zero());
  ~Source();

  // Ends it; what was sent is in the kernel's hands then.
  void stop();
  std::uint64_t datagrams() const { return datagrams_; }

 private:
  void send_all(Duration pause);
  UniqueFd socket_;
  std::atomic<bool> stopped_ = false;
  std::atomic<std::uint64_t> datagrams_ = 0;
  std::thread thread_;
};

// Bits per second that arrive from `from` at `to`, an address of `at`: payload over about a second,
// after the first 300 ms.
double measured_rate(const Namespace& from, const Namespace& at, const net::IpAddress& to,
                     Transport transport);

}  // namespace terway::test
