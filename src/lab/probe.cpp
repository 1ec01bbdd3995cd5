// SPDX-License-Identifier: Apache-2.0
#include "lab/probe.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>

#include "base/fd.h"

namespace terway::lab {

namespace {

constexpr std::string_view kQuestion = "who is there?\n";

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress to_socket_address(const Target& target) {
  SocketAddress result;
  if (target.address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(result.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(target.port);
    std::memcpy(&v4.sin_addr, target.address.wire(), 4);
    result.size = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(result.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(target.port);
    std::memcpy(&v6.sin6_addr, target.address.wire(), 16);
    result.size = sizeof v6;
  }
  return result;
}

Error lost(std::string_view what) { return {Error::Kind::Unavailable, std::string(what)}; }

// Sockets belong to the namespace of the thread that opened them: open it in one that lives no
// longer.
Result<UniqueFd> open_inside(const std::string& netns_path, int family, int type, int protocol) {
  Result<UniqueFd> result = UniqueFd();
  std::thread inside([&] {
    const UniqueFd netns(::open(netns_path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!netns) {
      result = Error::from_errno(errno, fmt::format("open {}", netns_path));
      return;
    }
    if (::setns(netns.get(), CLONE_NEWNET) != 0) {
      result = Error::from_errno(errno, fmt::format("enter {}", netns_path));
      return;
    }
    UniqueFd fd(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!fd) {
      result = Error::from_errno(errno, "socket");
      return;
    }
    result = std::move(fd);
  });
  inside.join();
  return result;
}

Result<> wait_for(int fd, short events, Instant deadline, std::string_view doing) {
  for (;;) {
    const Duration left = deadline - SystemClock().now();
    if (left <= Duration::zero()) return lost(doing);
    pollfd wait{fd, events, 0};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count() + 1;
    const int ready = ::poll(&wait, 1, static_cast<int>(ms));
    if (ready > 0) return Ok{};
    if (ready < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
  }
}

Result<> connect_to(int fd, const Target& target, Instant deadline) {
  const SocketAddress to = to_socket_address(target);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0) return Ok{};
  if (errno != EINPROGRESS) return Error::from_errno(errno, "connect");
  TRY(wait_for(fd, POLLOUT, deadline, "no answer to the connection request"));
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) return Error::from_errno(failure, "connect");
  return Ok{};
}

// Sends the question on a connected socket and reads one answer.
Result<Answer> converse(int fd, Instant deadline) {
  const SystemClock clock;
  const Instant asked = clock.now();
  if (::send(fd, kQuestion.data(), kQuestion.size(), MSG_NOSIGNAL) < 0) {
    return Error::from_errno(errno, "send");
  }
  std::array<char, 512> buffer;
  std::string text;
  while (text.empty() || text.back() != '\n') {
    TRY(wait_for(fd, POLLIN, deadline, "no answer"));
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got == 0) return lost("connection closed before an answer");
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      return Error::from_errno(errno, "receive");
    }
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  text.pop_back();
  return Answer{clock.now() - asked, std::move(text)};
}

std::uint16_t checksum(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < size; i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  }
  if (size % 2 != 0) sum += static_cast<std::uint32_t>(bytes[size - 1] << 8);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<std::uint16_t>(~sum));
}

struct Echo {
  std::uint8_t type;
  std::uint8_t code;
  std::uint16_t sum;
  std::uint16_t id;
  std::uint16_t sequence;
};

// Whether this datagram of a raw socket answers our echo.
bool is_reply(const char* data, std::size_t size, bool v4, std::uint16_t id) {
  if (v4) {
    if (size < sizeof(iphdr)) return false;
    const std::size_t header = static_cast<std::size_t>(data[0] & 0xf) * 4;
    if (size < header + sizeof(Echo)) return false;
    data += header;
    size -= header;
  }
  if (size < sizeof(Echo)) return false;
  Echo echo;
  std::memcpy(&echo, data, sizeof echo);
  return echo.type == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) && echo.id == id;
}

Result<Answer> ping(int fd, const Target& target, Instant deadline) {
  const bool v4 = target.address.is_v4();
  const SystemClock clock;
  // The port number of the fd makes it unlike any other ping of this process; pids make processes
  // unlike.
  const auto id = htons(static_cast<std::uint16_t>(::getpid() * 31 + fd));
  Echo echo{static_cast<std::uint8_t>(v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST), 0, 0, id, htons(1)};
  if (v4) echo.sum = checksum(&echo, sizeof echo);  // the kernel fills in ICMPv6's
  TRY(connect_to(fd, {target.address, 0, Protocol::Icmp}, deadline));
  const Instant asked = clock.now();
  if (::send(fd, &echo, sizeof echo, 0) < 0) return Error::from_errno(errno, "send");
  std::array<char, 2048> buffer;
  for (;;) {
    TRY(wait_for(fd, POLLIN, deadline, "no answer"));
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      return Error::from_errno(errno, "receive");
    }
    if (is_reply(buffer.data(), static_cast<std::size_t>(got), v4, id)) {
      return Answer{clock.now() - asked, {}};
    }
  }
}

}  // namespace

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::Tcp:
      return "tcp";
    case Protocol::Udp:
      return "udp";
    case Protocol::Icmp:
      return "icmp";
  }
  return "tcp";
}

std::optional<Protocol> protocol_from(std::string_view text) {
  for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp, Protocol::Icmp}) {
    if (to_string(protocol) == text) return protocol;
  }
  return std::nullopt;
}

std::string Target::to_string() const {
  if (protocol == Protocol::Icmp) return fmt::format("{}/icmp", address.to_string());
  if (address.is_v4()) {
    return fmt::format("{}:{}/{}", address.to_string(), port, lab::to_string(protocol));
  }
  return fmt::format("[{}]:{}/{}", address.to_string(), port, lab::to_string(protocol));
}

Result<Target> parse_target(std::string_view text) {
  const Error bad(Error::Kind::Invalid,
                  fmt::format("target {}: allowed are ADDR:PORT/tcp, ADDR:PORT/udp, ADDR/icmp; an "
                              "IPv6 address before a port stands in brackets",
                              text));
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return bad;
  const auto protocol = protocol_from(text.substr(slash + 1));
  if (!protocol) return bad;
  std::string_view host = text.substr(0, slash);
  Target target{{}, 0, *protocol};
  if (*protocol != Protocol::Icmp) {
    const std::size_t colon = host.rfind(':');
    if (colon == std::string_view::npos) return bad;
    const std::string_view digits = host.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), target.port);
    if (error != std::errc{} || end != digits.data() + digits.size() || target.port == 0) {
      return bad;
    }
    host = host.substr(0, colon);
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const auto address = net::IpAddress::parse(host);
  if (!address) return bad;
  target.address = *address;
  return target;
}

Result<Answer> probe(const std::string& netns_path, const Target& target, Duration timeout) {
  const Instant deadline = SystemClock().now() + timeout;
  const bool v4 = target.address.is_v4();
  const int family = v4 ? AF_INET : AF_INET6;
  if (target.protocol == Protocol::Icmp) {
    const UniqueFd fd =
        TRY(open_inside(netns_path, family, SOCK_RAW, v4 ? IPPROTO_ICMP : int{IPPROTO_ICMPV6}));
    return ping(fd.get(), target, deadline);
  }
  const int type = target.protocol == Protocol::Tcp ? SOCK_STREAM : SOCK_DGRAM;
  const UniqueFd fd = TRY(open_inside(netns_path, family, type, 0));
  TRY(connect_to(fd.get(), target, deadline));
  return converse(fd.get(), deadline);
}

}  // namespace terway::lab
