// SPDX-License-Identifier: Apache-2.0
#include "heal.h"

#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/channel.h"
#include "base/fd.h"
#include "kernel/netns.h"
#include "lab/echo.h"

namespace terway::bench {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kPod = "healed";
constexpr Duration kSteady = milliseconds(200);  // of answers without a gap: it is over
constexpr Duration kGap = milliseconds(50);
constexpr Duration kPatience = seconds(30);

struct Breakage {
  const char* name;
  const char* script;
};
constexpr Breakage kBreakages[] = {
    {"rules",
     "ip rule flush; ip rule add priority 32766 lookup main; "
     "ip rule add priority 32767 lookup default"},
    {"routes",
     "for t in $(ip route show table all | grep -o 'table [0-9]*' | sort -u | cut -d' ' -f2); "
     "do ip route flush table $t; done"},
    {"nft", "nft flush ruleset"}};

Result<UniqueFd> connected_socket(const std::string& netns_path, const net::IpAddress& to) {
  const UniqueFd netns = TRY(kernel::open_netns(netns_path));
  const auto inside = TRY(kernel::InsideNetns::enter(netns.get()));
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(lab::kEchoPort);
  std::memcpy(&address.sin_addr, to.wire(), sizeof address.sin_addr);
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    return Error::from_errno(errno, "a socket to " + to.to_string());
  }
  return fd;
}

// Asks each millisecond, and tells when answers came.
class Stream {
 public:
  explicit Stream(UniqueFd fd) : fd_(std::move(fd)), thread_([this] { run(); }) {}
  ~Stream() {
    stopped_ = true;
    thread_.join();
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // The longest time between two answers since then, when they have come steadily for a while.
  std::optional<Duration> outage_since(Instant then) {
    while (const auto answer = answers_.try_receive()) seen_.push_back(*answer);
    const Instant now = clock_.now();
    auto at = std::lower_bound(seen_.begin(), seen_.end(), then);
    if (at == seen_.begin() || now < then + kSteady) return std::nullopt;
    Duration longest{};
    Duration recent{};
    for (Instant last = *std::prev(at);; last = *at++) {
      const Instant next = at == seen_.end() ? now : *at;
      longest = std::max(longest, next - last);
      if (next > now - kSteady) recent = std::max(recent, next - last);
      if (at == seen_.end()) break;
    }
    if (recent > kGap) return std::nullopt;
    return longest;
  }

 private:
  void run() {
    std::array<char, 256> buffer;
    while (!stopped_) {
      // Refused while there is no route: asked again all the same.
      static_cast<void>(::send(fd_.get(), "?", 1, MSG_NOSIGNAL));
      pollfd readable{fd_.get(), POLLIN, 0};
      ::poll(&readable, 1, 1);
      while (::recv(fd_.get(), buffer.data(), buffer.size(), 0) > 0) {
        answers_.send(clock_.now());
      }
      clock_.sleep_for(milliseconds(1));
    }
  }

  SystemClock clock_;
  UniqueFd fd_;
  std::atomic<bool> stopped_ = false;
  Channel<Instant> answers_;
  std::vector<Instant> seen_;
  std::thread thread_;
};

Result<double> outage_ms(Stream& stream, Instant since, const char* what) {
  SystemClock clock;
  const Instant deadline = clock.now() + kPatience;
  for (;;) {
    if (const auto outage = stream.outage_since(since)) {
      return std::chrono::duration<double, std::milli>(*outage).count();
    }
    if (clock.now() >= deadline) {
      return Error(Error::Kind::Unavailable,
                   fmt::format("{}: no steady answers for {} s", what,
                               std::chrono::duration_cast<seconds>(kPatience).count()));
    }
    clock.sleep_for(milliseconds(10));
  }
}

Figures figures_of(std::vector<double> millis) {
  Measured measured;
  measured.millis = std::move(millis);
  std::sort(measured.millis.begin(), measured.millis.end());
  return {measured.millis.size(), measured.percentile(50), measured.percentile(99),
          measured.percentile(100), 0};
}

}  // namespace

Result<Series> heal(lab::Lab& lab, const std::string& node, std::size_t rounds) {
  lab::PodSpec spec;
  spec.name = kPod;
  TRY(lab.add_pod(node, spec));
  const auto pod = TRY(lab.endpoint(kPod));
  const auto outside = TRY(lab.endpoint("outside-1"));
  Stream stream(TRY(connected_socket(pod.netns_path, outside.addresses.front())));
  SystemClock clock;
  clock.sleep_for(kSteady);
  TRY(outage_ms(stream, clock.now(), "before anything is flushed"));
  Series series;
  std::vector<double> all;
  for (const Breakage& breakage : kBreakages) {
    std::vector<double> millis;
    for (std::size_t i = 0; i < rounds; ++i) {
      const Instant begun = clock.now();
      TRY_WITHIN(breakage.name,
                 lab.run_on_node(node, {"/bin/sh", "-c", breakage.script}, {}, kPatience));
      millis.push_back(TRY(outage_ms(stream, begun, breakage.name)));
    }
    all.insert(all.end(), millis.begin(), millis.end());
    series[breakage.name] = figures_of(std::move(millis));
  }
  series["all"] = figures_of(std::move(all));
  TRY(lab.delete_pod("default", kPod));
  return series;
}

}  // namespace terway::bench
