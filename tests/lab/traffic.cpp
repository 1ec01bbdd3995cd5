// SPDX-License-Identifier: Apache-2.0
#include "traffic.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "cluster.h"
#include "kernel/netns.h"
#include "lab/echo.h"

namespace terway::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kMessage = 16;
constexpr int kEventsAtOnce = 256;
constexpr int kPollMillis = 50;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress socket_address(const net::IpAddress& address, std::uint16_t port) {
  SocketAddress made;
  if (address.is_v4()) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&made.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    std::memcpy(&v4->sin_addr, address.wire(), sizeof v4->sin_addr);
    made.size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&made.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    std::memcpy(&v6->sin6_addr, address.wire(), sizeof v6->sin6_addr);
    made.size = sizeof *v6;
  }
  return made;
}

// A socket stays in the namespace where it was made, whoever uses it.
UniqueFd socket_in(const std::string& netns_path, int family) {
  const auto netns = kernel::open_netns(netns_path);
  REQUIRE_MESSAGE(netns.ok(), netns.error().message());
  const auto inside = kernel::InsideNetns::enter(netns->get());
  REQUIRE(inside.ok());
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(fd);
  return fd;
}

UniqueFd listen_at(const lab::Endpoint& endpoint, const net::IpAddress& address) {
  UniqueFd fd = socket_in(endpoint.netns_path, address.is_v4() ? AF_INET : AF_INET6);
  SocketAddress local = socket_address(address, 0);
  REQUIRE(::bind(fd.get(), local.get(), local.size) == 0);
  REQUIRE(::listen(fd.get(), 4096) == 0);
  return fd;
}

UniqueFd connect_to(const lab::Endpoint& from, const UniqueFd& listener) {
  SocketAddress peer;
  peer.size = sizeof peer.storage;
  REQUIRE(::getsockname(listener.get(), peer.get(), &peer.size) == 0);
  UniqueFd fd = socket_in(from.netns_path, peer.storage.ss_family);
  REQUIRE(::connect(fd.get(), peer.get(), peer.size) == 0);
  return fd;
}

void make_nonblocking(const UniqueFd& fd) { REQUIRE(::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0); }

void allow_many_files() {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

void add(const UniqueFd& epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event);
}

// The descriptors that can be read, of at most so many at once.
std::vector<int> wait(const UniqueFd& epoll) {
  std::array<epoll_event, kEventsAtOnce> events;
  const int count = ::epoll_wait(epoll.get(), events.data(), kEventsAtOnce, kPollMillis);
  std::vector<int> ready;
  for (int i = 0; i < count; ++i) ready.push_back(events[static_cast<std::size_t>(i)].data.fd);
  return ready;
}

}  // namespace

std::size_t transfer(const lab::Endpoint& from, const lab::Endpoint& to,
                     const net::IpAddress& address, std::size_t bytes) {
  const UniqueFd listener = listen_at(to, address);
  const UniqueFd sender = connect_to(from, listener);
  const UniqueFd receiver(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(receiver);
  const timeval patience{30, 0};
  ::setsockopt(sender.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  ::setsockopt(receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::thread sending([&] {
    const std::vector<char> data(bytes, 'x');
    for (std::size_t sent = 0; sent < bytes;) {
      const ssize_t more = ::send(sender.get(), data.data() + sent, bytes - sent, MSG_NOSIGNAL);
      if (more <= 0) break;
      sent += static_cast<std::size_t>(more);
    }
    ::shutdown(sender.get(), SHUT_WR);
  });
  std::size_t arrived = 0;
  std::vector<char> buffer(65536);
  for (ssize_t got = 0; (got = ::recv(receiver.get(), buffer.data(), buffer.size(), 0)) > 0;) {
    arrived += static_cast<std::size_t>(got);
  }
  sending.join();
  return arrived;
}

Flows::Flows(const lab::Endpoint& from, const lab::Endpoint& to, std::size_t count)
    : listener_(listen_at(to, to.addresses.front())) {
  allow_many_files();
  serving_ = std::jthread([this](const std::stop_token& end) { serve(end); });
  for (std::size_t i = 0; i < count; ++i) {
    UniqueFd fd = connect_to(from, listener_);
    make_nonblocking(fd);
    const int number = fd.get();
    clients_[number] = std::move(fd);
  }
  asking_ = std::jthread([this](const std::stop_token& end) { ask(end); });
}

bool Flows::answered() {
  const std::uint64_t before = rounds_;
  // The one under way may have begun before; the two after it have not.
  return eventually([&] { return rounds_ >= before + 3; }, minutes(3));
}

// Whatever comes goes back.
void Flows::serve(const std::stop_token& end) {
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  std::map<int, UniqueFd> connections;
  std::array<char, 256> buffer;
  add(epoll, listener_.get());
  while (!end.stop_requested()) {
    for (const int fd : wait(epoll)) {
      if (fd == listener_.get()) {
        UniqueFd accepted(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!accepted) continue;
        const int number = accepted.get();
        add(epoll, number);
        connections[number] = std::move(accepted);
        continue;
      }
      const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
      const bool back =
          got > 0 && ::send(fd, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) == got;
      if (!back && !(got < 0 && errno == EAGAIN)) connections.erase(fd);
    }
  }
}

void Flows::drop(int fd) {
  clients_.erase(fd);
  ++broken_;
}

void Flows::ask(const std::stop_token& end) {
  SystemClock clock;
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  for (const auto& [fd, client] : clients_) add(epoll, fd);
  const std::array<char, kMessage> message{};
  std::array<char, 256> buffer;
  while (!end.stop_requested()) {
    std::map<int, std::size_t> missing;  // bytes of the answer
    for (const auto& [fd, client] : clients_) missing[fd] = kMessage;
    for (const auto& [fd, bytes] : std::map(missing)) {
      if (::send(fd, message.data(), message.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(kMessage)) {
        continue;
      }
      missing.erase(fd);
      drop(fd);
    }
    const Instant deadline = clock.now() + minutes(1);
    while (!missing.empty() && !end.stop_requested() && clock.now() < deadline) {
      for (const int fd : wait(epoll)) {
        const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EAGAIN) continue;
        if (got <= 0) {
          missing.erase(fd);
          drop(fd);
          continue;
        }
        const auto entry = missing.find(fd);
        if (entry == missing.end()) continue;
        entry->second -= std::min(entry->second, static_cast<std::size_t>(got));
        if (entry->second == 0) missing.erase(entry);
      }
    }
    if (end.stop_requested()) break;
    for (const auto& [fd, bytes] : missing) drop(fd);
    ++rounds_;
    clock.sleep_for(milliseconds(10));
  }
}

ShortConnections::ShortConnections(const lab::Endpoint& from, const lab::Endpoint& to)
    : thread_([this, netns = from.netns_path,
               target = lab::Target{to.addresses.front(), lab::kEchoPort, lab::Protocol::Tcp}](
                  const std::stop_token& end) {
        while (!end.stop_requested()) {
          if (!lab::probe(netns, target, seconds(30)).ok()) ++failed_;
          ++made_;
        }
      }) {}

}  // namespace terway::test
