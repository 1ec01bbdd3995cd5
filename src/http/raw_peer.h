// SPDX-License-Identifier: Apache-2.0
// For tests: peers that speak bytes, so that what they say need not be HTTP.
#pragma once

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace terway::http {

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline UniqueFd connected_to(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// In pieces of so many bytes; ends early when the other side has closed.
inline void send_text(int fd, std::string_view text, std::size_t piece) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), std::min(piece, text.size()), MSG_NOSIGNAL);
    if (sent <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

inline std::string read_until_closed(int fd) {
  std::string text;
  char chunk[4096];
  for (ssize_t got = 0; (got = ::recv(fd, chunk, sizeof chunk, 0)) > 0;) {
    text.append(chunk, static_cast<std::size_t>(got));
  }
  return text;
}

// Up to the empty line behind a head, or what came before the other side closed.
inline std::string read_head(int fd) {
  std::string text;
  char byte = 0;
  while (!text.ends_with("\r\n\r\n") && ::recv(fd, &byte, 1, 0) == 1) text.push_back(byte);
  return text;
}

// Listens on a port of its own.
class RawServer {
 public:
  RawServer() : listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listening_.get(), generic, size) == 0);
    REQUIRE(::listen(listening_.get(), 8) == 0);
    REQUIRE(::getsockname(listening_.get(), generic, &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~RawServer() {
    ::shutdown(listening_.get(), SHUT_RDWR);
    join();
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // Each connection, in order, is handled by the next of these and then closed.
  using Behaviour = std::function<void(int fd)>;
  void behave(std::vector<Behaviour> behaviours) {
    thread_ = std::thread([this, own = std::move(behaviours)] {
      for (const Behaviour& behaviour : own) {
        const UniqueFd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!fd) return;
        behaviour(fd.get());
      }
    });
  }

  // Waits for the last of them.
  void join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  UniqueFd listening_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace terway::http
