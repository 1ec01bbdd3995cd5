// SPDX-License-Identifier: Apache-2.0
// The pool of addresses: how large it is kept, and how long an address rests between two pods.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <map>
#include <set>

#include "fault.h"

using namespace terway;
using namespace terway::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::string address_of(const lab::PodOnNode& pod) {
  return pod.sandbox.addresses.front().to_string();
}

// The addresses that the journal says are cooling.
std::set<std::string> cooling(Cluster& cluster) {
  std::set<std::string> addresses;
  for (const auto& eni : cluster.ask<rpc::cli::Enis>("node-1", rpc::cli::kEnisPath).enis) {
    for (const auto& address : eni.addresses) {
      if (address.state == "Cooling") addresses.insert(address.address);
    }
  }
  return addresses;
}

void restart_daemon(Cluster& cluster) {
  REQUIRE(cluster.lab().kill_daemon("node-1").ok());
  REQUIRE(cluster.lab().start_daemon("node-1").ok());
}

// Nothing is fetched or given back for a while.
void check_steady(Cluster& cluster) {
  const auto changes = [&] {
    return calls_of(cluster, "AssignPrivateIpAddresses").total +
           calls_of(cluster, "UnassignPrivateIpAddresses").total +
           calls_of(cluster, "CreateNetworkInterface").total +
           calls_of(cluster, "DeleteNetworkInterface").total;
  };
  const auto before = changes();
  SystemClock().sleep_for(seconds(1));
  CHECK(changes() == before);
}

}  // namespace

TEST_CASE("the pool keeps its minimum and its maximum") {
  Shape shape;
  shape.instance_type = "ecs.g7.large";  // 6 addresses an ENI
  shape.eni_conf = R"({min_pool_size: 1, max_pool_size: 4, cool_down: "1s"})";
  Cluster cluster(shape);
  const auto settled = [&](std::uint32_t least, std::uint32_t most) {
    return eventually([&] {
      const auto pool = pool_of(cluster);
      return pool.idle >= least && pool.idle <= most && pool.cooling == 0 && pool.releasing == 0 &&
             cluster.ask<rpc::cli::Pool>("node-1", rpc::cli::kPoolPath).operations.empty();
    });
  };
  CHECK(settled(1, 4));
  for (int i = 0; i < 8; ++i) cluster.add_pod(fmt::format("p-{}", i));
  CHECK(settled(1, 4));
  CHECK(enis_of(cluster).size() == 2);
  check_steady(cluster);
  for (int i = 0; i < 8; ++i) cluster.delete_pod(fmt::format("p-{}", i));
  CHECK(settled(4, 4));  // what is above the maximum goes, and no more
  check_steady(cluster);
  cluster.check_audit();
}

TEST_CASE("an ENI that nobody needs any more is given back whole") {
  Shape shape;
  shape.instance_type = "ecs.g7.large";  // 6 addresses an ENI
  shape.eni_conf = R"({min_pool_size: 1, max_pool_size: 4, cool_down: "1s",
    idle_ip_reclaim_after: "1s", idle_ip_reclaim_interval: "1s"})";
  Cluster cluster(shape);
  for (int i = 0; i < 8; ++i) cluster.add_pod(fmt::format("p-{}", i));
  CHECK(enis_of(cluster).size() == 2);
  for (int i = 0; i < 8; ++i) cluster.delete_pod(fmt::format("p-{}", i));
  CHECK(eventually([&] { return enis_of(cluster).size() == 1 && pool_of(cluster).total == 1; }));
  CHECK(pool_of(cluster).idle == 1);
  check_steady(cluster);
  cluster.check_audit();
}

TEST_CASE("a pool without a reserve fetches for each pod, and keeps nothing") {
  Shape shape;
  shape.eni_conf = R"({min_pool_size: 0, max_pool_size: 0, cool_down: "1s"})";
  Cluster cluster(shape);
  CHECK(enis_of(cluster).empty());
  cluster.add_pod("a");
  cluster.add_pod("b");
  CHECK(pool_of(cluster).total == 2);
  cluster.check_matrix();
  cluster.delete_pod("a");
  CHECK(eventually([&] { return pool_of(cluster).cooling == 0; }));
  cluster.check_audit();
  cluster.delete_pod("b");
  CHECK(eventually([&] { return enis_of(cluster).empty(); }));
  cluster.check_audit();
}

TEST_CASE("addresses that nobody has asked for in a while are given back down to the minimum") {
  Shape shape;
  shape.eni_conf = R"({min_pool_size: 1, max_pool_size: 8, cool_down: "0s",
    idle_ip_reclaim_after: "1s", idle_ip_reclaim_interval: "1s", idle_ip_reclaim_batch_size: 2})";
  Cluster cluster(shape);
  for (int i = 0; i < 6; ++i) cluster.add_pod(fmt::format("p-{}", i));
  for (int i = 0; i < 6; ++i) cluster.delete_pod(fmt::format("p-{}", i));
  CHECK(eventually([&] { return pool_of(cluster).total == 1; }));
  // Six at least were there, and two go at a time.
  CHECK(calls_of(cluster, "UnassignPrivateIpAddresses").total >= 3);
  check_steady(cluster);
  cluster.check_audit();
}

TEST_CASE("the pool grows although cooling addresses are there, and gives none of them out") {
  Shape shape;
  shape.eni_conf = "{max_pool_size: 0}";  // cool-down is a minute
  Cluster cluster(shape);
  std::set<std::string> used;
  for (int i = 0; i < 3; ++i) used.insert(address_of(cluster.add_pod(fmt::format("p-{}", i))));
  for (int i = 0; i < 3; ++i) cluster.delete_pod(fmt::format("p-{}", i));
  CHECK(cooling(cluster) == used);
  for (int i = 0; i < 3; ++i) {
    CHECK(used.insert(address_of(cluster.add_pod(fmt::format("p-{}", i)))).second);
  }
  CHECK(notices(cluster, "CoolDownShortened") == 0);
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("no address is reused before its cool-down is over, a restart of the daemon between") {
  Shape shape;
  constexpr Duration kCoolDown = seconds(2);
  shape.eni_conf = R"({max_pool_size: 20, cool_down: "2s"})";
  Cluster cluster(shape);
  SystemClock clock;
  std::map<std::string, Instant> freed;
  Duration least = seconds(1000);
  int reused = 0;
  int looked = 0;
  const Instant end = clock.now() + seconds(120);
  for (int round = 0; (reused < 8 || looked < 4) && clock.now() < end; ++round) {
    const auto pod = cluster.add_pod("p");
    const auto before = freed.find(address_of(pod));
    if (before != freed.end()) {
      least = std::min(least, clock.now() - before->second);
      ++reused;
    }
    freed[address_of(pod)] = clock.now();  // not before its DEL begins
    cluster.delete_pod("p");
    if (round % 4 == 3) {
      const auto resting = cooling(cluster);
      // Unless the machine took longer over this than the address rests.
      if (clock.now() - freed[address_of(pod)] < kCoolDown) {
        CHECK(resting.contains(address_of(pod)));
        ++looked;
      }
      restart_daemon(cluster);
    }
  }
  MESSAGE(reused << " reuses, the soonest after "
                 << std::chrono::duration_cast<milliseconds>(least).count() << " ms");
  CHECK(reused > 0);
  CHECK(looked > 0);
  CHECK(least >= kCoolDown);
  CHECK(notices(cluster, "CoolDownShortened") == 0);
  cluster.check_audit();
}

TEST_CASE("a full node shortens a cool-down rather than let a pod wait, and says so") {
  Shape shape;
  shape.instance_type = "ecs.g7.large";
  Cluster cluster(shape);
  const auto pool = cluster.ask<rpc::cli::Pool>("node-1", rpc::cli::kPoolPath);
  const std::uint32_t capacity = pool.max_enis * pool.ipv4_per_eni;
  std::string first;
  for (std::uint32_t i = 0; i < capacity; ++i) {
    const auto pod = cluster.add_pod(fmt::format("p-{}", i));
    if (i == 0) first = address_of(pod);
  }
  cluster.delete_pod("p-0");
  CHECK(address_of(cluster.add_pod("next")) == first);
  CHECK(notices(cluster, "CoolDownShortened") == 1);
  cluster.check_matrix();
  cluster.check_audit();
}
