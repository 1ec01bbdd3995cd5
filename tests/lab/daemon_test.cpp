// SPDX-License-Identifier: Apache-2.0
// The daemon is killed, at any step, and comes back: nobody's network stops, nothing leaks.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "base/random.h"
#include "cluster.h"

using namespace terway;
using namespace terway::test;

namespace {

// Pings a pod from another until it ends; how many answers were missing.
class PingStream {
 public:
  PingStream(Cluster& cluster, const std::string& from, const std::string& to)
      : source_(cluster.lab().endpoint(from)), target_(cluster.lab().endpoint(to)) {
    REQUIRE(source_.ok());
    REQUIRE(target_.ok());
    thread_ = std::thread([this] { run(); });
  }
  ~PingStream() { stop(); }
  int lost() {
    stop();
    return lost_;
  }
  int sent() const { return sent_; }

 private:
  void run() {
    while (!stopped_) {
      ++sent_;
      const lab::Target target{target_->addresses.front(), 0, lab::Protocol::Icmp};
      // A lost one never answers; one on a busy machine may take its time.
      if (!lab::probe(source_->netns_path, target, std::chrono::seconds(10)).ok()) ++lost_;
    }
  }
  void stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }

  Result<lab::Endpoint> source_;
  Result<lab::Endpoint> target_;
  std::atomic<bool> stopped_ = false;
  std::atomic<int> sent_ = 0;
  std::atomic<int> lost_ = 0;
  std::thread thread_;
};

int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace

TEST_CASE("kill -9 and restart of the daemon loses no ping, and new pods come up after it") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 2;
  Cluster cluster(shape);
  PingStream across(cluster, "node-1-pod-1", "node-2-pod-1");
  PingStream within(cluster, "node-1-pod-1", "node-1-pod-2");
  for (int i = 0; i < 3; ++i) {
    REQUIRE(cluster.lab().kill_daemon("node-1").ok());
    REQUIRE(cluster.lab().start_daemon("node-1").ok());
    cluster.add_pod(fmt::format("later-{}", i));
  }
  CHECK(across.lost() == 0);
  CHECK(within.lost() == 0);
  CHECK(across.sent() > 0);
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("with the daemon down DEL succeeds, and its tombstone is replayed at the next start") {
  Shape shape;
  shape.pods = 3;
  Cluster cluster(shape);
  REQUIRE(cluster.lab().kill_daemon("node-1").ok());
  cluster.delete_pod("node-1-pod-1");
  CHECK(cluster.on_node("node-1", "ls /var/lib/cni/terway/tombstones | wc -l") == "1");
  REQUIRE(cluster.lab().start_daemon("node-1").ok());
  CHECK(eventually([&] {
    return cluster.on_node("node-1", "ls /var/lib/cni/terway/tombstones | wc -l") == "0";
  }));
  cluster.check_audit();
}

TEST_CASE("ADD with the daemon down is refused with the reason, and kubelet's retry succeeds") {
  Cluster cluster({});
  REQUIRE(cluster.lab().kill_daemon("node-1").ok());
  lab::PodSpec pod;
  pod.name = "early";
  const auto refused = cluster.lab().add_pod("node-1", pod);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message().find("daemon") != std::string::npos);
  REQUIRE(cluster.lab().start_daemon("node-1").ok());
  cluster.add_pod("early");
  cluster.check_audit();
}

TEST_CASE("killed at any step of journal, kernel and API, the daemon converges") {
  Shape shape;
  shape.pods = 1;
  // No reserve: each pod makes calls of the cloud.
  shape.eni_conf = R"({max_pool_size: 0, cool_down: "1s"})";
  Cluster cluster(shape);
  // Dense at the start-up, wider over a pod's coming and going.
  const std::vector<int> steps = {1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50};
  for (const std::string call : {"pwrite64", "fdatasync", "sendmsg", "write"}) {
    int killed = 0;
    for (const int nth : steps) {
      CAPTURE(call);
      CAPTURE(nth);
      if (cluster.killed_at("node-1", call, nth)) ++killed;
      cluster.check_audit();
    }
    MESSAGE(call << ": killed at " << killed << " of " << steps.size() << " steps");
    CHECK(killed > 0);
  }
  cluster.check_matrix();
}

TEST_CASE("random pods come and go, on four callers, under kills of the daemon") {
  Shape shape;
  shape.pods = 1;
  shape.eni_conf = R"({cool_down: "1s"})";
  Cluster cluster(shape);
  const int operations = from_environment("TERWAY_CHURN", 2000);
  const auto seed = static_cast<std::uint64_t>(from_environment("TERWAY_SEED", 1));
  CAPTURE(seed);
  std::atomic<int> left = operations;
  std::vector<std::thread> callers;
  for (std::uint64_t caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      Random random(seed * 100 + caller);
      // A caller's pods are its own, as kubelet's workers serialise a pod's calls.
      std::vector<bool> there(6, false);
      while (left-- > 0) {
        const auto which = random.below(there.size());
        lab::PodSpec pod;
        pod.name = fmt::format("c{}-{}", caller, which);
        if (there[which]) {
          there[which] = !cluster.lab().delete_pod("default", pod.name).ok();
        } else {
          there[which] = cluster.lab().add_pod("node-1", pod).ok();
        }
      }
    });
  }
  Random random(seed);
  int kills = 0;
  while (left > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(300 + random.below(1200)));
    CHECK(cluster.lab().kill_daemon("node-1").ok());
    CHECK(cluster.lab().start_daemon("node-1").ok());
    ++kills;
  }
  for (std::thread& caller : callers) caller.join();
  MESSAGE(operations << " operations, " << kills << " kills");
  cluster.check_audit();
  cluster.check_matrix();
}
