// SPDX-License-Identifier: Apache-2.0
// Pods and the pool on a healthy cloud.
#include "ipam/ipam.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "ipam/simulated_node.h"

namespace terway::ipam {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

Settings pool_of(std::uint32_t min, std::uint32_t max) {
  Settings settings;
  settings.vswitch_ids = {"vsw-a"};
  settings.min_pool_size = min;
  settings.max_pool_size = max;
  return settings;
}

struct Node : SimulatedNode {
  explicit Node(Settings settings_in = pool_of(0, 5), Limits limits_in = {3, 10, 10})
      : SimulatedNode(std::move(settings_in), limits_in) {
    cloud.add_vswitch("vsw-a", "10.0.0.0/20", 4000);
  }
  void add_many(int count, const std::string& prefix = "c") {
    for (int i = 0; i < count; ++i) add(prefix + std::to_string(i));
  }
};

TEST_CASE("the first pod of a node gets the address of a new ENI") {
  Node node;
  node.add("a");
  CHECK_FALSE(node.has("a"));
  node.run_for(seconds(10));
  REQUIRE(node.has("a"));
  const std::vector<EniRecord> enis = node.ipam->enis();
  REQUIRE(enis.size() == 1);
  CHECK(enis.front().state == EniState::Ready);
  CHECK(node.address_of("a") == enis.front().primary_address);
  CHECK(node.count(OperationKind::CreateEni) == 1);
  CHECK(node.count(OperationKind::AttachEni) == 1);
}

TEST_CASE("with nothing asked for and no minimum, no call is ever made") {
  Node node;
  node.run_for(minutes(60));
  CHECK(node.started.empty());
}

TEST_CASE("a burst fills what is on its way, creates the rest at once, and asks in tens") {
  Node node;
  node.add_many(30);
  CHECK(node.count(OperationKind::CreateEni) == 3);
  node.run_for(seconds(20));
  CHECK(node.granted.size() == 30);
  std::set<net::IpAddress> distinct;
  for (const auto& [key, grant] : node.granted) distinct.insert(grant.addresses.front());
  CHECK(distinct.size() == 30);
  // The first ask alone made the first ENI, the others were coalesced.
  CHECK(node.count(OperationKind::AssignIpv4) == 1 + 2);
  for (const Operation& operation : node.started) CHECK(operation.ipv4_count <= 10);
}

TEST_CASE("asks that arrive during a call are put together into the next one") {
  Node node(pool_of(0, 5), {1, 50, 0});
  node.cloud.ipv4_per_eni = 50;
  node.add("first");
  node.run_for(seconds(10));
  node.add_many(26);
  node.run_for(seconds(10));
  CHECK(node.granted.size() == 27);
  CHECK(node.count(OperationKind::AssignIpv4) == 1 + 3);  // one, then ten, ten, five
}

TEST_CASE("a full instance is not asked for more; the pod that waits is told of the limit") {
  Node node(pool_of(0, 5), {1, 4, 0});
  node.add_many(5);
  node.run_for(seconds(30));
  CHECK(node.granted.size() == 4);
  const std::size_t calls = node.started.size();
  node.run_for(minutes(10));
  CHECK(node.started.size() == calls);
  REQUIRE(node.refused.size() == 1);
  const Error& error = node.refused.begin()->second;
  CHECK(error.kind() == Error::Kind::Exhausted);
  CHECK(error.message().find("1 of 1 ENIs are in use") != std::string::npos);
  CHECK(error.message().find("1 ENIs are full") != std::string::npos);
}

TEST_CASE("the minimum of idle addresses is kept, also while pods take them") {
  Node node(pool_of(3, 5));
  node.run_for(seconds(30));
  CHECK(node.counts().idle == 3);
  CHECK(node.count(OperationKind::CreateEni) == 1);
  node.add("a");
  CHECK(node.has("a"));  // at once
  node.run_for(seconds(5));
  CHECK(node.counts().idle == 3);
}

TEST_CASE("a pod that asks again keeps its address; one that waits keeps its place") {
  Node node;
  node.add("a");
  node.add("b");
  node.add("a");
  node.run_for(seconds(20));
  const net::IpAddress address = node.address_of("a");
  CHECK(address == node.ipam->enis().front().primary_address);  // the first served
  node.granted.clear();
  node.add("a");
  CHECK(node.address_of("a") == address);
  CHECK(node.counts().held == 2);
}

TEST_CASE("a DEL of a pod that still waits cancels its ADD; of an unknown one it is nothing") {
  Node node(pool_of(0, 0));
  node.add("a");
  node.del("a");
  node.del("a");
  node.del("never seen");
  node.run_for(minutes(5));
  CHECK(node.granted.empty());
  CHECK(node.counts().held == 0);
  CHECK(node.cloud.list().empty());
}

TEST_CASE("a freed address cools down, and the pool grows although it does") {
  Node node(pool_of(0, 0), {1, 3, 0});
  node.add("a");
  node.run_for(seconds(10));
  const net::IpAddress freed = node.address_of("a");
  node.del("a");
  CHECK(node.counts().cooling == 1);
  node.add("b");
  node.run_for(seconds(5));
  REQUIRE(node.has("b"));
  CHECK(node.address_of("b") != freed);
  CHECK(node.count(Notice::Kind::CoolDownShortened) == 0);
}

TEST_CASE("the oldest freed address is reused first, and never before its cool-down") {
  Node node(pool_of(0, 9), {1, 8, 0});
  node.add_many(4);
  node.run_for(seconds(20));
  std::vector<net::IpAddress> freed;
  for (const char* container : {"c2", "c0", "c3", "c1"}) {
    freed.push_back(node.address_of(container));
    node.del(container);
    node.run_for(seconds(1));
  }
  node.run_for(seconds(55));
  CHECK(node.counts().idle == 0);
  node.run_for(seconds(10));
  for (int i = 0; i < 4; ++i) {
    const std::string container = "again" + std::to_string(i);
    node.add(container);
    REQUIRE(node.has(container));
    CHECK(node.address_of(container) == freed[static_cast<std::size_t>(i)]);
  }
}

TEST_CASE("a cool-down survives a restart") {
  Node node(pool_of(0, 5), {1, 1, 0});
  node.add("a");
  node.run_for(seconds(10));
  node.del("a");
  node.run_for(seconds(30));
  node.restart();
  node.run_for(seconds(20));
  CHECK(node.counts().cooling == 1);
  node.run_for(seconds(15));
  CHECK(node.counts().cooling == 0);
  CHECK(node.counts().idle == 1);
}

TEST_CASE("a cool-down is cut short, and said so, only where a pod would wait for nothing") {
  Node node(pool_of(0, 5), {1, 2, 0});
  node.add("a");
  node.add("b");
  node.run_for(seconds(10));
  const net::IpAddress first = node.address_of("b");
  node.del("b");
  node.run_for(seconds(5));
  node.del("a");
  node.add("c");
  REQUIRE(node.has("c"));
  CHECK(node.address_of("c") == first);
  REQUIRE(node.count(Notice::Kind::CoolDownShortened) == 1);
  CHECK(node.notices.back().subject == first.to_string());
  CHECK(node.counts().cooling == 1);
}

TEST_CASE("surplus goes back oldest first, and whole ENIs go once nothing but surplus is on them") {
  Node node(pool_of(0, 2), {2, 10, 0});
  node.add_many(15);
  node.run_for(seconds(20));
  CHECK(node.ipam->enis().size() == 2);
  for (int i = 0; i < 15; ++i) {
    if (i != 3) node.del("c" + std::to_string(i));
  }
  node.run_for(minutes(5));
  CHECK(node.ipam->enis().size() == 1);
  CHECK(node.counts().idle == 2);
  CHECK(node.counts().held == 1);
  CHECK(node.cloud.list().size() == 1);
  CHECK(node.cloud.list().front().ipv4.size() == 3);
}

TEST_CASE("no pool at all works: on demand, and nothing is left behind") {
  Node node(pool_of(0, 0));
  for (int round = 0; round < 3; ++round) {
    node.add_many(12, "r" + std::to_string(round) + "-");
    node.run_for(seconds(20));
    CHECK(node.granted.size() == 12);
    CHECK(node.counts().idle == 0);
    for (int i = 0; i < 12; ++i) node.del("r" + std::to_string(round) + "-" + std::to_string(i));
    node.run_for(minutes(3));
    CHECK(node.cloud.list().empty());
    CHECK(node.ipam->addresses().empty());
    CHECK(node.ipam->operations().empty());
  }
}

TEST_CASE("new pods go where most pods are, so that the other ENIs become free") {
  Node node(pool_of(0, 20), {2, 5, 0});
  node.add_many(10);
  node.run_for(seconds(20));
  const std::string keep = node.granted.at(Node::key("c0")).eni_key;
  std::vector<std::string> gone;
  for (const auto& [key, grant] : node.granted) {
    if (key != Node::key("c0")) gone.push_back(key.container_id);
  }
  for (const std::string& container : gone) node.del(container);
  node.run_for(minutes(2));
  node.add_many(4, "n");
  for (int i = 0; i < 4; ++i)
    CHECK(node.granted.at(Node::key("n" + std::to_string(i))).eni_key == keep);
}

TEST_CASE("least_ips spreads them instead") {
  Settings settings = pool_of(8, 20);
  settings.eni_policy = EniPolicy::LeastIps;
  Node node(settings, {2, 5, 0});
  node.run_for(seconds(20));
  node.add_many(4);
  std::map<std::string, int> pods;
  for (const auto& [key, grant] : node.granted) ++pods[grant.eni_key];
  CHECK(pods.size() == 2);
  for (const auto& [eni, count] : pods) CHECK(count == 2);
}

TEST_CASE("min_eni keeps ENIs that nobody needs") {
  Settings settings = pool_of(0, 0);
  settings.min_eni = 2;
  Node node(settings);
  node.run_for(minutes(5));
  CHECK(node.ipam->enis().size() == 2);
  node.add_many(25);
  node.run_for(seconds(30));
  for (int i = 0; i < 25; ++i) node.del("c" + std::to_string(i));
  node.run_for(minutes(5));
  CHECK(node.ipam->enis().size() == 2);
}

TEST_CASE("idle addresses are reclaimed down to the minimum after a quiet while, a few at a time") {
  Settings settings = pool_of(1, 10);
  settings.idle_reclaim_after = minutes(30);
  settings.idle_reclaim_batch = 3;
  Node node(settings, {1, 10, 0});
  node.add_many(8);
  node.run_for(seconds(20));
  for (int i = 0; i < 8; ++i) node.del("c" + std::to_string(i));
  node.run_for(minutes(29));
  CHECK(node.counts().idle == 9);
  node.run_for(minutes(2));
  CHECK(node.counts().idle == 6);
  node.run_for(minutes(60));
  CHECK(node.counts().idle == 1);
}

TEST_CASE("a stateful pod gets its address back within its time, and nobody else does") {
  Node node(pool_of(0, 5), {1, 4, 0});
  node.add_pod("one", "db-0", true);
  node.run_for(seconds(10));
  const net::IpAddress address = node.address_of("one");
  node.del("one");
  node.run_for(minutes(2));  // longer than the cool-down
  node.add("other");
  node.run_for(seconds(5));
  CHECK(node.address_of("other") != address);
  node.add_pod("two", "db-0", true);
  REQUIRE(node.has("two"));
  CHECK(node.address_of("two") == address);
  node.del("two");
  node.run_for(minutes(6));
  node.add_pod("three", "db-1", true);
  CHECK(node.has("three"));
}

TEST_CASE(
    "the successor of a pod's name is somebody else: the late DEL of the first changes nothing") {
  Node node;
  node.add_pod("old", "web", false);
  node.run_for(seconds(10));
  const net::IpAddress old_address = node.address_of("old");
  node.add_pod("new", "web", false);
  node.run_for(seconds(10));
  const net::IpAddress address = node.address_of("new");
  CHECK(address != old_address);
  node.del("old");
  node.run_for(seconds(5));
  CHECK(node.ipam->held_by(Node::key("new"))->addresses.front() == address);
}

TEST_CASE("names that run into each other are different owners") {
  Node node;
  const model::AttachmentKey one{"ab", "c"};
  const model::AttachmentKey two{"a", "bc"};
  for (const auto& key : {one, two}) {
    node.ipam->ask({key, {"default", key.ifname, "", ""}, false, node.now + minutes(1)}, node.now);
  }
  node.step();
  node.run_for(seconds(20));
  REQUIRE(node.granted.size() == 2);
  CHECK(node.granted.at(one).addresses != node.granted.at(two).addresses);
}

TEST_CASE("dual stack: both addresses of a pod are on one ENI") {
  Settings settings = pool_of(0, 2);
  settings.stack = Stack::Dual;
  Node node(settings, {3, 4, 4});
  node.cloud.ipv4_per_eni = 4;
  node.cloud.ipv6_per_eni = 4;
  node.add_many(10);
  node.run_for(seconds(30));
  REQUIRE(node.granted.size() == 10);
  for (const auto& [key, grant] : node.granted) {
    REQUIRE(grant.addresses.size() == 2);
    CHECK(grant.addresses[0].is_v4());
    CHECK_FALSE(grant.addresses[1].is_v4());
    const model::Eni* eni = node.cloud.find(grant.eni_id);
    REQUIRE(eni != nullptr);
    CHECK(std::count(eni->ipv4.begin(), eni->ipv4.end(), grant.addresses[0]) == 1);
    CHECK(std::count(eni->ipv6.begin(), eni->ipv6.end(), grant.addresses[1]) == 1);
  }
  for (int i = 0; i < 10; ++i) node.del("c" + std::to_string(i));
  node.run_for(minutes(5));
  CHECK(node.counts(net::Family::V4).idle <= 3);
  CHECK(node.counts(net::Family::V6).idle <= 2);
}

TEST_CASE("IPv6 alone: the ENI's IPv4 address is nobody's") {
  Settings settings = pool_of(0, 2);
  settings.stack = Stack::V6;
  Node node(settings);
  node.add_many(12);
  node.run_for(seconds(30));
  REQUIRE(node.granted.size() == 12);
  for (const auto& [key, grant] : node.granted) {
    REQUIRE(grant.addresses.size() == 1);
    CHECK_FALSE(grant.addresses.front().is_v4());
  }
  CHECK(node.counts(net::Family::V4).total == 0);
}

TEST_CASE("a turn without news changes nothing") {
  Node node(pool_of(2, 5));
  node.add("a");
  node.run_for(seconds(20));
  const Turn turn = node.ipam->turn(node.now);
  CHECK(turn.changes.empty());
  CHECK(turn.start.empty());
  CHECK(turn.grants.empty());
  CHECK(turn.bring_up.empty());
  CHECK_FALSE(turn.wake_at.has_value());
}

TEST_CASE(
    "settings may change while it runs: a larger minimum is fetched, a smaller maximum given "
    "back") {
  Node node(pool_of(1, 5), {1, 10, 0});
  node.run_for(seconds(20));
  CHECK(node.counts().idle == 1);
  node.ipam->reconfigure(pool_of(6, 8), {1, 10, 0});
  node.run_for(seconds(20));
  node.step();
  node.run_for(seconds(20));
  CHECK(node.counts().idle == 6);
  node.ipam->reconfigure(pool_of(0, 2), {1, 10, 0});
  node.step();
  node.run_for(minutes(1));
  CHECK(node.counts().idle == 2);
}

TEST_CASE("one pod of two hundred and fifty costs a few records, not all of them") {
  Node node(pool_of(5, 10), {10, 30, 0});
  node.cloud.max_enis = 10;
  node.cloud.ipv4_per_eni = 30;
  node.add_many(250);
  node.run_for(minutes(1));
  REQUIRE(node.granted.size() == 250);
  node.ipam->ask({Node::key("one more"), {}, false, node.now + minutes(1)}, node.now);
  const Turn turn = node.ipam->turn(node.now);
  REQUIRE(turn.grants.size() == 1);
  CHECK(turn.changes.addresses.size() == 1);
  CHECK(turn.changes.enis.empty());
}

}  // namespace
}  // namespace terway::ipam
