// SPDX-License-Identifier: Apache-2.0
// TCP between network namespaces of the lab, from within the test: what a pod's programs would see
// of it, connection by connection.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>

#include "base/fd.h"
#include "lab/lab.h"

namespace terway::test {

// Sends so many bytes from one to the other by one connection; how many arrived.
std::size_t transfer(const lab::Endpoint& from, const lab::Endpoint& to,
                     const net::IpAddress& address, std::size_t bytes);

// Connections that stay, from one to the other. Again and again each asks and waits for the answer;
// that is a round. Ends with the object.
class Flows {
 public:
  // Fails the test where not all of them come to be.
  Flows(const lab::Endpoint& from, const lab::Endpoint& to, std::size_t count);

  // Waits (generously) until every connection that is left has been answered twice.
  bool answered();
  // Reset or closed by somebody, or without an answer for a minute, as no retransmission takes.
  std::size_t broken() const { return broken_; }
  std::uint64_t rounds() const { return rounds_; }

 private:
  void serve(const std::stop_token& end);
  void ask(const std::stop_token& end);
  void drop(int fd);

  UniqueFd listener_;
  std::map<int, UniqueFd> clients_;  // of the asking thread, once it runs
  std::atomic<std::size_t> broken_ = 0;
  std::atomic<std::uint64_t> rounds_ = 0;
  std::jthread serving_;
  std::jthread asking_;
};

// New connections, one after the other: each asks the echo of the pod and is closed.
class ShortConnections {
 public:
  ShortConnections(const lab::Endpoint& from, const lab::Endpoint& to);

  int made() const { return made_; }
  int failed() const { return failed_; }

 private:
  std::atomic<int> made_ = 0;
  std::atomic<int> failed_ = 0;
  std::jthread thread_;
};

}  // namespace terway::test
