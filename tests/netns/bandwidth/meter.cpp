// SPDX-License-Identifier: Apache-2.0
#include "tests/netns/bandwidth/meter.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstring>
#include <vector>

namespace terway::test {

namespace {

constexpr std::uint16_t kMeterPort = 7070;
constexpr std::size_t kDatagram = 1400;

// IPv4 too, as mapped.
sockaddr_in6 address_of(const net::IpAddress& address, std::uint16_t port) {
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  if (address.is_v4()) {
    in.sin6_addr.s6_addr[10] = in.sin6_addr.s6_addr[11] = 0xff;
    std::memcpy(&in.sin6_addr.s6_addr[12], address.wire(), 4);
  } else {
    std::memcpy(&in.sin6_addr, address.wire(), 16);
  }
  return in;
}

UniqueFd socket_in(const Namespace& ns, Transport transport, int flags) {
  UniqueFd fd = ns.run([&] {
    return UniqueFd(
        ::socket(AF_INET6, (transport == Transport::Tcp ? SOCK_STREAM : SOCK_DGRAM) | flags, 0));
  });
  const int no = 0, yes = 1;
  ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  return fd;
}

}  // namespace

Sink::Sink(const Namespace& ns, Transport transport, std::uint16_t port)
    : socket_(socket_in(ns, transport, SOCK_CLOEXEC | SOCK_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      transport_(transport) {
  const auto any = address_of(net::IpAddress{}, port);
  REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) == 0);
  const int room = 4 << 20;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
  if (transport == Transport::Tcp) REQUIRE(::listen(socket_.get(), 16) == 0);
  thread_ = std::thread([this] { serve(); });
}

Sink::~Sink() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void Sink::serve() {
  std::vector<UniqueFd> connections;
  std::vector<char> buffer(1 << 18);
  for (;;) {
    std::vector<pollfd> waiting = {{stop_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}};
    for (const UniqueFd& connection : connections) waiting.push_back({connection.get(), POLLIN, 0});
    ::poll(waiting.data(), waiting.size(), -1);
    if (waiting[0].revents != 0) return;
    if (waiting[1].revents != 0 && transport_ == Transport::Tcp) {
      UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (connection) connections.push_back(std::move(connection));
    }
    const auto take = [&](int fd) {
      ssize_t got = 0;
      while ((got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
        bytes_ += static_cast<std::uint64_t>(got);
        ++datagrams_;
      }
      return got != 0;
    };
    if (transport_ == Transport::Udp) take(socket_.get());
    std::erase_if(connections, [&](const UniqueFd& connection) { return !take(connection.get()); });
  }
}

Source::Source(const Namespace& ns, Transport transport, const net::IpAddress& to,
               std::uint16_t port, Duration pause)
    : socket_(socket_in(ns, transport, SOCK_CLOEXEC)) {
  timeval patience{5, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  const auto far = address_of(to, port);
  REQUIRE(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&far), sizeof(far)) == 0);
  thread_ = std::thread([this, pause] { send_all(pause); });
}

Source::~Source() { stop(); }

void Source::stop() {
  stopped_ = true;
  ::shutdown(socket_.get(), SHUT_RDWR);  // wakes a thread that waits for room
  if (thread_.joinable()) thread_.join();
}

void Source::send_all(Duration pause) {
  const std::array<char, kDatagram> data{};
  while (!stopped_) {
    if (::send(socket_.get(), data.data(), data.size(), MSG_NOSIGNAL) > 0) ++datagrams_;
    if (pause > Duration::zero()) std::this_thread::sleep_for(pause);
  }
}

double measured_rate(const Namespace& from, const Namespace& at, const net::IpAddress& to,
                     Transport transport) {
  const Sink sink(at, transport, kMeterPort);
  const Source source(from, transport, to, kMeterPort);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto begun = std::chrono::steady_clock::now();
  const std::uint64_t before = sink.bytes();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const std::uint64_t arrived = sink.bytes() - before;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  return static_cast<double>(arrived) * 8 / took.count();
}

}  // namespace terway::test
