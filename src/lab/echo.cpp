// SPDX-License-Identifier: Apache-2.0
#include "lab/echo.h"

#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/fd.h"
#include "lab/probe.h"
#include "net/address.h"

namespace terway::lab {

namespace {

Result<UniqueFd> listen_on(int type, std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::from_errno(errno, "socket");
  const int off = 0;
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // So that a UDP answer leaves from the address that was asked.
  ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) {
    return Error::from_errno(errno, fmt::format("bind port {}", port));
  }
  if (type == SOCK_STREAM && ::listen(fd.get(), 512) != 0) {
    return Error::from_errno(errno, "listen");
  }
  return fd;
}

std::string answer_to(const std::string& name, const sockaddr_in6& peer) {
  const auto address = net::IpAddress::from_v6_bytes(peer.sin6_addr.s6_addr);
  return fmt::format("{} {}\n", name, address.to_string());
}

void answer_datagram(int fd, const std::string& name) {
  std::array<char, 2048> buffer;
  sockaddr_in6 peer{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control;
  iovec data{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_name = &peer;
  message.msg_namelen = sizeof peer;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(fd, &message, 0) < 0) return;
  const std::string answer = answer_to(name, peer);
  data = {const_cast<char*>(answer.data()), answer.size()};
  // The control message that came tells the address that was asked: sent back, it is the source.
  if (cmsghdr* info = CMSG_FIRSTHDR(&message); info != nullptr) {
    reinterpret_cast<in6_pktinfo*>(CMSG_DATA(info))->ipi6_ifindex = 0;
  }
  ::sendmsg(fd, &message, 0);
}

// One connection: false when it is over.
bool answer_stream(int fd, const std::string& name) {
  std::array<char, 2048> buffer;
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  sockaddr_in6 peer{};
  socklen_t size = sizeof peer;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return false;
  const std::string answer = answer_to(name, peer);
  return ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) >= 0;
}

}  // namespace

Result<> serve_echo(const std::string& name, std::uint16_t port) {
  const UniqueFd listener = TRY(listen_on(SOCK_STREAM, port));
  const UniqueFd datagrams = TRY(listen_on(SOCK_DGRAM, port));
  std::vector<UniqueFd> streams;
  for (;;) {
    std::vector<pollfd> waits = {{listener.get(), POLLIN, 0}, {datagrams.get(), POLLIN, 0}};
    for (const UniqueFd& stream : streams) waits.push_back({stream.get(), POLLIN, 0});
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return Error::from_errno(errno, "poll");
    }
    for (std::size_t i = waits.size(); i > 2; --i) {
      if (waits[i - 1].revents == 0 || answer_stream(waits[i - 1].fd, name)) continue;
      streams.erase(streams.begin() + static_cast<std::ptrdiff_t>(i - 3));
    }
    if (waits[1].revents != 0) answer_datagram(datagrams.get(), name);
    if (waits[0].revents != 0) {
      UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (accepted) streams.push_back(std::move(accepted));
    }
  }
}

Result<> wait_for_echo(const std::string& netns_path, std::uint16_t port, Duration timeout) {
  SystemClock clock;
  const Instant deadline = clock.now() + timeout;
  const Target here{net::IpAddress::from_v4(INADDR_LOOPBACK), port, Protocol::Udp};
  for (;;) {
    auto answer = probe(netns_path, here, std::chrono::seconds(1));
    if (answer.ok()) return Ok{};
    if (clock.now() >= deadline) return answer.take_error().within("the echo does not start");
    clock.sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace terway::lab
