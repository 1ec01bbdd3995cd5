// SPDX-License-Identifier: Apache-2.0
#include "traffic.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "histogram.h"
#include "kernel/netns.h"

namespace terway::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kPort = 7777;

sockaddr_in address_of(const net::IpAddress& address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(kPort);
  in.sin_addr.s_addr = htonl(address.v4());
  return in;
}

Error failed(const char* what) { return Error::from_errno(errno, what); }

void set_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof(value));
}

Result<UniqueFd> listen_at(const Ends& ends) {
  const auto inside = TRY(kernel::InsideNetns::enter(ends.server));
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  sockaddr_in any = address_of(ends.address);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0 ||
      ::listen(fd.get(), 128) != 0) {
    return failed("listen");
  }
  return fd;
}

Result<UniqueFd> connect_to(const net::IpAddress& server) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to = address_of(server);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
    return failed("connect");
  }
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

// A thread of its own, pinned and ahead of what else runs here. A signal ends what it waits in:
// timeouts on the sockets would be part of what is measured.
class Worker {
 public:
  using Work = std::function<Result<>(const std::atomic<bool>& stop)>;

  Worker(int netns, int cpu, Work work)
      : thread_([this, netns, cpu, work = std::move(work)] {
          result_ = run(netns, cpu, work);
          done_ = true;
          done_.notify_all();
        }) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() { (void)end(); }

  bool done_within(std::chrono::milliseconds time) const {
    const auto until = Clock::now() + time;
    while (!done_ && Clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return done_;
  }

  Result<> end() {
    stop_ = true;
    while (!done_) {
      ::pthread_kill(thread_.native_handle(), SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (thread_.joinable()) thread_.join();
    return result_;
  }

 private:
  Result<> run(int netns, int cpu, const Work& work) const {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    if (::sched_setaffinity(0, sizeof(set), &set) != 0) return failed("pin a thread to its CPU");
    if (::setpriority(PRIO_PROCESS, 0, -20) != 0) return failed("raise a thread's priority");
    const auto inside = TRY(kernel::InsideNetns::enter(netns));
    return work(stop_);
  }

  Result<> result_ = Ok{};
  std::atomic<bool> stop_{false};
  std::atomic<bool> done_{false};
  std::thread thread_;  // last: it uses the others
};

void ignore(int /*signal*/) {}

// The server's work gets a listening socket; the client's ends by itself when its time is over.
Result<> run_both(
    const Ends& ends, const Pace& pace,
    const std::function<Result<>(int listener, const std::atomic<bool>& stop)>& server,
    const Worker::Work& client) {
  struct sigaction action{};
  action.sa_handler = ignore;  // without SA_RESTART
  ::sigaction(SIGUSR1, &action, nullptr);
  const UniqueFd listener = TRY(listen_at(ends));
  Worker serving(ends.server, pace.cpu,
                 [&](const std::atomic<bool>& stop) { return server(listener.get(), stop); });
  Worker asking(ends.client, pace.cpu, client);
  if (!asking.done_within(pace.time + std::chrono::seconds(5))) {
    (void)asking.end();
    (void)serving.end();
    return Error(Error::Kind::Unavailable,
                 "nothing moves between client and server: " + ends.address.to_string());
  }
  TRY_WITHIN("client", asking.end());
  TRY_WITHIN("server", serving.end());
  return Ok{};
}

// Answers byte by byte until the connection ends, however it does.
void echo(int connection) {
  char byte = 0;
  while (::recv(connection, &byte, 1, 0) == 1) {
    if (::send(connection, &byte, 1, MSG_NOSIGNAL) != 1) return;
  }
}

Result<> serve_echo(int listener, const std::atomic<bool>& stop) {
  while (!stop) {
    const UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) continue;
    set_option(connection.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    echo(connection.get());
  }
  return Ok{};
}

Result<> ask(int connection) {
  char byte = 'x';
  if (::send(connection, &byte, 1, MSG_NOSIGNAL) != 1) return failed("send");
  if (::recv(connection, &byte, 1, 0) != 1) return failed("receive");
  return Ok{};
}

Latency latency_of(const Histogram& histogram) {
  return {histogram.percentile(50), histogram.count()};
}

}  // namespace

Result<Latency> request_response(const Ends& ends, const Pace& pace) {
  const auto histogram = std::make_unique<Histogram>();
  const auto client = [&](const std::atomic<bool>& stop) -> Result<> {
    const UniqueFd connection = TRY(connect_to(ends.address));
    auto before = Clock::now();
    const auto end = before + pace.time;
    while (before < end && !stop) {
      TRY(ask(connection.get()));
      const auto now = Clock::now();
      histogram->add(now - before);
      before = now;
    }
    return Ok{};
  };
  TRY(run_both(ends, pace, serve_echo, client));
  return latency_of(*histogram);
}

Result<Latency> connect_request_response(const Ends& ends, const Pace& pace) {
  const auto histogram = std::make_unique<Histogram>();
  const auto client = [&](const std::atomic<bool>& stop) -> Result<> {
    auto before = Clock::now();
    const auto end = before + pace.time;
    while (before < end && !stop) {
      UniqueFd connection = TRY(connect_to(ends.address));
      TRY(ask(connection.get()));
      const linger reset{1, 0};
      ::setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
      connection.reset();
      const auto now = Clock::now();
      histogram->add(now - before);
      before = now;
    }
    return Ok{};
  };
  TRY(run_both(ends, pace, serve_echo, client));
  return latency_of(*histogram);
}

Result<double> stream(const Ends& ends, const Pace& pace) {
  static constexpr auto kSlice = std::chrono::milliseconds(20);
  static constexpr std::size_t kBlock = 131'072;
  std::vector<double> rates;  // bytes a nanosecond
  const auto receive = [&](int listener, const std::atomic<bool>& stop) -> Result<> {
    UniqueFd connection;
    while (!connection && !stop)
      connection.reset(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    std::vector<char> block(kBlock);
    auto start = Clock::now();
    std::size_t bytes = 0;
    for (ssize_t got = 0;
         !stop && (got = ::recv(connection.get(), block.data(), block.size(), 0)) > 0;) {
      bytes += static_cast<std::size_t>(got);
      const auto taken = Clock::now() - start;
      if (taken < kSlice) continue;
      rates.push_back(static_cast<double>(bytes) / static_cast<double>(taken.count()));
      start += taken;
      bytes = 0;
    }
    return Ok{};
  };
  const auto client = [&](const std::atomic<bool>& stop) -> Result<> {
    const UniqueFd connection = TRY(connect_to(ends.address));
    const std::vector<char> block(kBlock);
    const auto end = Clock::now() + pace.time;
    while (Clock::now() < end && !stop) {
      if (::send(connection.get(), block.data(), block.size(), MSG_NOSIGNAL) <= 0) {
        return failed("send");
      }
    }
    return Ok{};
  };
  TRY(run_both(ends, pace, receive, client));
  if (rates.empty()) return Error(Error::Kind::Unavailable, "the stream carried nothing");
  const auto middle = rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2);
  std::nth_element(rates.begin(), middle, rates.end());
  return *middle * 8;
}

}  // namespace terway::bench
