// SPDX-License-Identifier: Apache-2.0
#include "flow.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "kernel/netns.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace terway::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kPort = 7001;
constexpr std::size_t kDatagram = 1400;
constexpr double kTcpFrame = 1514.0 / 1448.0;
constexpr double kUdpFrame = 1442.0 / 1400.0;

// A GSO packet where the rate is high.
int at_once_for(double bytes_per_second) { return bytes_per_second > 10e6 ? 40 : 1; }

Result<UniqueFd> socket_in(int netns, Protocol protocol) {
  const auto inside = TRY(kernel::InsideNetns::enter(netns));
  UniqueFd fd(
      ::socket(AF_INET, (protocol == Protocol::Tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  if (!fd) return Error::from_errno(errno, "socket");
  return fd;
}

sockaddr_in address_of(const net::IpAddress& address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(kPort);
  in.sin_addr.s_addr = htonl(address.v4());
  return in;
}

// Both ends, the sender connected.
struct Flow {
  UniqueFd sender, receiver;

  static Result<Flow> open(const Between& between, Protocol protocol, int at_once) {
    UniqueFd listener = TRY(socket_in(between.to, protocol));
    UniqueFd sender = TRY(socket_in(between.from, protocol));
    const int yes = 1, room = 64 << 20, segment = kDatagram;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (protocol == Protocol::Udp) {
      ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
      ::setsockopt(listener.get(), IPPROTO_UDP, UDP_GRO, &yes, sizeof(yes));
      if (at_once > 1) {
        ::setsockopt(sender.get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
      }
    }
    const sockaddr_in to = address_of(between.address);
    const auto* address = reinterpret_cast<const sockaddr*>(&to);
    if (::bind(listener.get(), address, sizeof(to)) != 0) return Error::from_errno(errno, "bind");
    if (protocol == Protocol::Tcp && ::listen(listener.get(), 1) != 0) {
      return Error::from_errno(errno, "listen");
    }
    if (::connect(sender.get(), address, sizeof(to)) != 0) {
      return Error::from_errno(errno, "connect");
    }
    if (protocol == Protocol::Udp) return Flow{std::move(sender), std::move(listener)};
    UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted) return Error::from_errno(errno, "accept");
    return Flow{std::move(sender), std::move(accepted)};
  }
};

// Two threads for as long as it lives.
class Running {
 public:
  // `pace`: bytes per second to send; 0: all it can.
  Running(Flow flow, std::size_t write_size, double pace) : flow_(std::move(flow)), pace_(pace) {
    receiver_ = std::thread([this] { receive(); });
    sender_ = std::thread([this, write_size] { send(write_size); });
  }
  ~Running() {
    stop_ = true;
    ::shutdown(flow_.sender.get(), SHUT_RDWR);
    ::shutdown(flow_.receiver.get(), SHUT_RDWR);
    sender_.join();
    receiver_.join();
  }
  std::uint64_t payload() const { return payload_; }
  int sender() const { return flow_.sender.get(); }
  void expect(double bytes_per_second) { rate_ = bytes_per_second; }
  double excess() const { return excess_; }

 private:
  void send(std::size_t size) {
    const std::vector<char> data(size);
    begun_ = Clock::now();
    auto next = begun_.load();
    while (!stop_) {
      (void)::send(flow_.sender.get(), data.data(), data.size(), MSG_NOSIGNAL);
      if (pace_ == 0) continue;
      next += std::chrono::nanoseconds(
          static_cast<std::int64_t>(1e9 * static_cast<double>(size) / pace_));
      std::this_thread::sleep_until(next);
    }
  }
  void receive() {
    std::vector<char> buffer(1 << 18);
    while (!stop_) {
      pollfd waiting{flow_.receiver.get(), POLLIN, 0};
      ::poll(&waiting, 1, 100);
      const ssize_t got = ::recv(flow_.receiver.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got <= 0) continue;
      payload_ += static_cast<std::uint64_t>(got);
      if (rate_ == 0) continue;
      const std::chrono::duration<double> since = Clock::now() - begun_.load();
      const double bytes = static_cast<double>(payload_) * kUdpFrame;
      excess_ = std::max(excess_.load(), bytes - rate_ * since.count());
    }
  }

  Flow flow_;
  const double pace_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> payload_ = 0;
  std::atomic<double> rate_ = 0, excess_ = 0;
  std::atomic<Clock::time_point> begun_{Clock::now()};
  std::thread receiver_, sender_;
};

double rtt_of(int sender) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  ::getsockopt(sender, IPPROTO_TCP, TCP_INFO, &info, &size);
  return info.tcpi_rtt / 1000.0;
}

}  // namespace

Result<Arrived> measure_flow(const Between& between, Protocol protocol, double offered,
                             std::chrono::milliseconds warm_up, std::chrono::milliseconds time) {
  constexpr auto kEvery = std::chrono::milliseconds(100);
  const bool tcp = protocol == Protocol::Tcp;
  const int at_once = at_once_for(offered);
  Flow flow = TRY(Flow::open(between, protocol, at_once));
  const Running running(std::move(flow),
                        tcp ? 1 << 17 : kDatagram * static_cast<std::size_t>(at_once),
                        tcp ? 0 : offered);
  std::this_thread::sleep_for(warm_up);
  std::vector<double> rtts;
  const auto begun = Clock::now();
  const std::uint64_t before = running.payload();
  for (auto passed = kEvery; passed <= time; passed += kEvery) {
    std::this_thread::sleep_until(begun + passed);
    if (tcp) rtts.push_back(rtt_of(running.sender()));
  }
  const std::chrono::duration<double> took = Clock::now() - begun;
  const auto payload = static_cast<double>(running.payload() - before);
  Arrived arrived{payload * (tcp ? kTcpFrame : kUdpFrame) / took.count(), 0};
  if (!rtts.empty()) {
    std::nth_element(rtts.begin(), rtts.begin() + static_cast<long>(rtts.size() / 2), rtts.end());
    arrived.rtt_ms = rtts[rtts.size() / 2];
  }
  return arrived;
}

Result<double> measure_burst(const Between& between, double bytes_per_second,
                             std::chrono::milliseconds time) {
  const double offered = 3 * bytes_per_second;
  const int at_once = at_once_for(offered);
  Flow flow = TRY(Flow::open(between, Protocol::Udp, at_once));
  Running running(std::move(flow), kDatagram * static_cast<std::size_t>(at_once), offered);
  running.expect(bytes_per_second);
  std::this_thread::sleep_for(time);
  return running.excess();
}

}  // namespace terway::bench
