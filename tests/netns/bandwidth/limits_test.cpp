// SPDX-License-Identifier: Apache-2.0
// Bandwidth limits hold in both directions, whatever way the packets go, and come, change and go
// without losing any. How exactly they hold is bench/bandwidth's to show.
#include <chrono>
#include <functional>
#include <thread>

#include "datapath/names.h"
#include "kernel/detour.h"
#include "kernel/link.h"
#include "kernel/token_bucket.h"
#include "tests/netns/bandwidth/meter.h"
#include "tests/netns/datapath/node.h"
#include "tests/netns/fast_path/fast_node.h"

namespace terway::datapath {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kMbit = 1'000'000;
constexpr std::uint16_t kSinkPort = 7080;

// With programs and without: the limits are other devices, and the same in what they do.
constexpr FastPathMode kModes[] = {FastPathMode::Stack, FastPathMode::Bpf};

struct Wired {
  FastPathMode mode;
  Bpffs bpffs{};
  Node node{};
  std::unique_ptr<Datapath> datapath = open();
  EniNic nic1 = node.bring_up(*datapath, "eni-1");
  EniNic nic2 = node.bring_up(*datapath, "eni-2");
  std::unique_ptr<Pod> a = node.add_pod(*datapath, 11, "eni-1");
  std::unique_ptr<Pod> b = node.add_pod(*datapath, 12, "eni-2");

  explicit Wired(FastPathMode how) : mode(how) { resync(); }
  std::unique_ptr<Datapath> open() const {
    Settings settings = Node::settings();
    settings.fast_path = mode;
    settings.bpffs = bpffs.path();
    return node.node.run([&] { return must(Datapath::open(settings), "open the datapath"); });
  }

  void limit(Pod& pod, const model::Bandwidth& bandwidth) {
    pod.plan.bandwidth = bandwidth;
    node.node.run([&] { must(datapath->set_bandwidth(pod.plan.key, bandwidth)); });
  }
  Drift resync() {
    const Desired desired{{node.eni("eni-1"), node.eni("eni-2")}, {a->plan, b->plan}};
    return node.node.run([&] { return must(datapath->resync(desired, true)); });
  }
  // Until nothing waits to be deleted.
  void tidy() {
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    while (datapath->has_marked_links()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      node.node.run([&] { must(datapath->delete_marked_links()); });
      std::this_thread::sleep_for(milliseconds(10));
    }
  }
  std::size_t shapers() const {
    auto socket = node.node.route_socket();
    std::size_t count = 0;
    for (const auto& link : must(kernel::list_links(socket))) {
      count += link.name.starts_with("bwe") || link.name.starts_with("bwi");
    }
    return count;
  }
  std::vector<kernel::TokenBucketOf> buckets() const {
    auto socket = node.node.route_socket();
    return must(kernel::list_token_buckets(socket));
  }
};

std::string joined(const Drift& drift) {
  std::string text;
  for (const auto& line : drift.what) text += line + "; ";
  return text;
}

// Payload is 92 to 97 of 100 bytes of a frame.
void check_limited(double rate, std::uint64_t limit) {
  INFO("measured ", rate / 1e6, " Mbit/s of ", static_cast<double>(limit) / 1e6);
  CHECK(rate < 1.25 * static_cast<double>(limit));
  CHECK(rate > 0.5 * static_cast<double>(limit));
}

TEST_CASE("what a pod sends is limited on every way: to the VPC, to a pod, to its node") {
  if (!can_load("egress limit")) return;
  for (const FastPathMode mode : kModes) {
    CAPTURE(to_string(mode));
    Wired wired(mode);
    wired.limit(*wired.a, {.egress = 20 * kMbit, .ingress = 0});
    for (const Transport transport : {Transport::Tcp, Transport::Udp}) {
      CAPTURE(static_cast<int>(transport));
      const auto rate = [&](const Namespace& at, const char* to) {
        return measured_rate(wired.a->ns, at, ip(to), transport);
      };
      check_limited(rate(wired.node.outside, kOutside), 20 * kMbit);
      check_limited(rate(wired.b->ns, "10.2.0.12"), 20 * kMbit);
      check_limited(rate(wired.node.node, kNodeAddress), 20 * kMbit);
    }
    check_limited(measured_rate(wired.a->ns, wired.node.outside, ip(kOutside6), Transport::Udp),
                  20 * kMbit);
    // The other direction, and the other pod, are not.
    CHECK(measured_rate(wired.node.outside, wired.a->ns, ip("10.2.0.11"), Transport::Udp) >
          40.0 * kMbit);
    CHECK(measured_rate(wired.b->ns, wired.node.outside, ip(kOutside), Transport::Udp) >
          40.0 * kMbit);
    CHECK(wired.node.spoofed() == 0);
  }
}

TEST_CASE("what a pod receives is limited on every way: from the VPC, a pod, its node") {
  if (!can_load("ingress limit")) return;
  for (const FastPathMode mode : kModes) {
    CAPTURE(to_string(mode));
    Wired wired(mode);
    wired.limit(*wired.a, {.egress = 0, .ingress = 20 * kMbit});
    for (const Transport transport : {Transport::Tcp, Transport::Udp}) {
      CAPTURE(static_cast<int>(transport));
      const auto rate = [&](const Namespace& from, const char* to) {
        return measured_rate(from, wired.a->ns, ip(to), transport);
      };
      check_limited(rate(wired.node.outside, "10.2.0.11"), 20 * kMbit);
      check_limited(rate(wired.b->ns, "10.2.0.11"), 20 * kMbit);
      check_limited(rate(wired.node.node, "10.2.0.11"), 20 * kMbit);
      check_limited(rate(wired.node.outside, "fd02::11"), 20 * kMbit);
    }
    CHECK(measured_rate(wired.a->ns, wired.node.outside, ip(kOutside), Transport::Udp) >
          40.0 * kMbit);
  }
}

TEST_CASE(
    "a limit that a pod is born with holds from its first packet, with no burst more than one") {
  if (!can_load("born limited")) return;
  for (const FastPathMode mode : kModes) {
    CAPTURE(to_string(mode));
    Wired wired(mode);
    auto pod = wired.node.make_pod(13, "eni-1");
    pod->plan.bandwidth = {.egress = 4 * kMbit, .ingress = 4 * kMbit};
    wired.node.node.run([&] { must(wired.datapath->add_pod(pod->plan, pod->ns.descriptor())); });
    const Sink sink(wired.node.outside, Transport::Udp, kSinkPort);
    const auto begun = std::chrono::steady_clock::now();
    const Source source(pod->ns, Transport::Udp, ip(kOutside), kSinkPort);
    std::this_thread::sleep_for(milliseconds(200));
    const std::uint64_t arrived = sink.bytes();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    // A full bucket, 10 ms of the rate, and what was earned since; a quarter for the clock's sake.
    const double most = 4.0 * kMbit / 8 * (took.count() * 1.25 + 0.010);
    CHECK(static_cast<double>(arrived) < most);
    CHECK(arrived > 0);
  }
}

TEST_CASE("a limit comes, rises, falls and goes without the loss of a packet") {
  if (!can_load("hot change")) return;
  for (const FastPathMode mode : kModes) {
    CAPTURE(to_string(mode));
    Wired wired(mode);
    // 1400 bytes each 500 µs at most: below each of the limits.
    const Sink outside(wired.node.outside, Transport::Udp, kSinkPort);
    const Sink inside(wired.a->ns, Transport::Udp, kSinkPort);
    Source out(wired.a->ns, Transport::Udp, ip(kOutside), kSinkPort,
               std::chrono::microseconds(500));
    Source in(wired.node.outside, Transport::Udp, ip("10.2.0.11"), kSinkPort,
              std::chrono::microseconds(500));
    for (int round = 0; round < 3; ++round) {
      for (const std::uint64_t limit : {50ULL, 200ULL, 100ULL, 1000ULL, 40ULL, 0ULL}) {
        std::this_thread::sleep_for(milliseconds(30));
        wired.limit(*wired.a, {limit * kMbit, limit * kMbit});
        wired.node.node.run([&] { must(wired.datapath->delete_marked_links()); });
      }
    }
    out.stop();
    in.stop();
    const auto deadline = std::chrono::steady_clock::now() + seconds(5);
    const auto all_there = [&] {
      return outside.datagrams() == out.datagrams() && inside.datagrams() == in.datagrams();
    };
    while (!all_there() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    CHECK(outside.datagrams() == out.datagrams());
    CHECK(inside.datagrams() == in.datagrams());
    CHECK(out.datagrams() > 100);
    wired.tidy();
    CHECK(wired.shapers() == 0);
  }
}

TEST_CASE("a limit that falls while much waits goes on with what comes after") {
  if (!can_load("fall under load")) return;
  for (const FastPathMode mode : kModes) {
    CAPTURE(to_string(mode));
    Wired wired(mode);
    wired.limit(*wired.a, {1000 * kMbit, 1000 * kMbit});
    const Sink sink(wired.node.outside, Transport::Tcp, kSinkPort);
    const Source source(wired.a->ns, Transport::Tcp, ip(kOutside), kSinkPort);
    std::this_thread::sleep_for(milliseconds(300));
    wired.limit(*wired.a, {4 * kMbit, 4 * kMbit});
    std::this_thread::sleep_for(milliseconds(300));
    const std::uint64_t before = sink.bytes();
    const auto deadline = std::chrono::steady_clock::now() + seconds(10);
    while (sink.bytes() < before + 200'000 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(20));
    }
    CHECK(sink.bytes() >= before + 200'000);
  }
}

TEST_CASE("limits come back when somebody removes them, and a second apply changes nothing") {
  if (!can_load("healing limits")) return;
  for (const FastPathMode mode : kModes) {
    CAPTURE(to_string(mode));
    Wired wired(mode);
    wired.limit(*wired.a, {20 * kMbit, 30 * kMbit});
    CHECK(wired.shapers() == 2);
    const Drift none = wired.resync();
    CHECK_MESSAGE(none.total() == 0, joined(none));
    const std::string host_end = host_ifname_of(wired.a->plan.key);
    const auto deletes_links = [&] {
      auto socket = wired.node.node.route_socket();
      for (const auto& link : must(kernel::list_links(socket))) {
        if (link.name.starts_with("bwe") || link.name.starts_with("bwi")) {
          must(socket.request(kernel::delete_link(link.ifindex)));
        }
      }
    };
    const std::function<void()> vandals[] = {
        [&] { shell(wired.node.node, "tc filter del dev " + host_end + " ingress"); },
        [&] { shell(wired.node.node, "tc filter del dev " + host_end + " egress"); },
        [&] { shell(wired.node.node, "tc qdisc del dev " + host_end + " clsact"); },
        deletes_links,
    };
    for (const auto& vandal : vandals) {
      vandal();
      CHECK(wired.resync().total() > 0);
      wired.tidy();
      CHECK(wired.shapers() == 2);
      const Drift again = wired.resync();
      CHECK_MESSAGE(again.total() == 0, joined(again));
      check_limited(measured_rate(wired.a->ns, wired.node.outside, ip(kOutside), Transport::Udp),
                    20 * kMbit);
    }
  }
}

TEST_CASE("a daemon that starts again finds the limits as they are, and those of nobody go") {
  if (!can_load("restart with limits")) return;
  for (const FastPathMode mode : kModes) {
    CAPTURE(to_string(mode));
    Wired wired(mode);
    wired.limit(*wired.a, {20 * kMbit, 30 * kMbit});
    wired.limit(*wired.b, {20 * kMbit, 0});
    const auto before = wired.buckets();
    wired.datapath = wired.open();
    // The journal has another limit for one, and none for the other.
    wired.b->plan.bandwidth = {};
    wired.resync();
    wired.tidy();
    CHECK(wired.shapers() == 2);
    for (const auto& bucket : wired.buckets()) {
      CHECK(std::any_of(before.begin(), before.end(),
                        [&](const auto& one) { return one.ifindex == bucket.ifindex; }));
    }
    wired.node.node.run([&] { must(wired.datapath->remove_pod(wired.a->plan)); });
    wired.tidy();
    CHECK(wired.shapers() == 0);
  }
}

TEST_CASE(
    "a pod that is wired anew in the same sandbox has its limits, and no bucket is left over") {
  if (!can_load("wired anew")) return;
  for (const FastPathMode mode : kModes) {
    CAPTURE(to_string(mode));
    Wired wired(mode);
    wired.limit(*wired.a, {20 * kMbit, 20 * kMbit});
    wired.node.node.run(
        [&] { must(wired.datapath->add_pod(wired.a->plan, wired.a->ns.descriptor())); });
    wired.tidy();
    CHECK(wired.shapers() == 2);
    check_limited(measured_rate(wired.a->ns, wired.node.outside, ip(kOutside), Transport::Udp),
                  20 * kMbit);
  }
}

}  // namespace
}  // namespace terway::datapath
