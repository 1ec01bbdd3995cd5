// SPDX-License-Identifier: Apache-2.0
// A node whose pods have an ENI each.
#include <doctest/doctest.h>

#include <set>

#include "ipam/simulated_node.h"

namespace terway::ipam {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

Settings exclusive(std::uint32_t least, std::uint32_t most) {
  Settings settings;
  settings.exclusive = true;
  settings.min_pool_size = least;
  settings.max_pool_size = most;
  settings.vswitch_ids = {"vsw-a"};
  return settings;
}

struct Fixture : SimulatedNode {
  explicit Fixture(const Settings& with) : SimulatedNode(with, {3, 10, 10}) {
    cloud.add_vswitch("vsw-a", "10.0.0.0/24", 60);
  }
  std::size_t enis() const { return ipam->enis().size(); }
};

TEST_CASE("each pod gets an ENI of its own with its primary address, in both families") {
  Settings settings = exclusive(0, 0);
  settings.stack = Stack::Dual;
  Fixture node(settings);
  for (const char* pod : {"a", "b", "c"}) node.add(pod);
  node.run_for(minutes(1));
  std::set<std::string> used;
  for (const auto& [key, grant] : node.granted) {
    used.insert(grant.eni_id);
    REQUIRE(grant.addresses.size() == 2);
    for (const EniRecord& eni : node.ipam->enis()) {
      if (eni.eni_id == grant.eni_id) CHECK(eni.primary_address == grant.addresses[0]);
    }
  }
  CHECK(used.size() == 3);
  CHECK(node.counts().total == 3);
}

TEST_CASE("as many pods as ENIs; one more is refused with what is full") {
  Fixture node(exclusive(0, 0));
  CHECK(node.counts().capacity == 3);
  for (const char* pod : {"a", "b", "c", "d"}) node.add(pod, minutes(2));
  node.run_for(minutes(3));
  CHECK(node.granted.size() == 3);
  REQUIRE(node.refused.contains(SimulatedNode::key("d")));
  const Error& error = node.refused.at(SimulatedNode::key("d"));
  CHECK(error.kind() == Error::Kind::Exhausted);
  CHECK(error.message().find("3 of 3 ENIs are in use") != std::string::npos);
  CHECK(error.message().find("each ENI is one pod's") != std::string::npos);
}

TEST_CASE(
    "idle ENIs are kept between the pool's sizes, and the one that was idle longest is used") {
  Fixture node(exclusive(1, 1));
  node.run_for(minutes(1));
  CHECK(node.counts().idle == 1);
  node.add("a");
  CHECK(node.has("a"));  // at once
  node.run_for(minutes(1));
  CHECK(node.counts().idle == 1);
  const net::IpAddress first = node.address_of("a");
  node.del("a");
  node.run_for(seconds(30));
  CHECK(node.counts().cooling == 1);
  CHECK(node.enis() == 2);
  node.run_for(minutes(5));
  // Of two idle ones one is too many.
  CHECK(node.enis() == 1);
  node.add("b");
  CHECK(node.has("b"));
  node.add("c");
  node.run_for(minutes(1));
  node.del("b");
  node.add("d");
  node.add("e");
  node.run_for(minutes(2));
  CHECK(node.has("e"));
  CHECK(node.granted.size() == 3);
  CHECK(first.is_v4());
}

TEST_CASE("an ENI that cools down is another pod's before its time only if that one would wait") {
  Fixture node(exclusive(0, 3));
  for (const char* pod : {"a", "b", "c"}) node.add(pod);
  node.run_for(minutes(1));
  const net::IpAddress freed = node.address_of("b");
  node.del("b");
  node.add("d");
  REQUIRE(node.has("d"));
  CHECK(node.address_of("d") == freed);
  CHECK(node.count(Notice::Kind::CoolDownShortened) == 1);
}

TEST_CASE("a pod of a StatefulSet comes back to its ENI") {
  Fixture node(exclusive(1, 3));
  node.add_pod("a", "db-0", true);
  node.run_for(minutes(1));
  const Grant before = node.granted.at(SimulatedNode::key("a"));
  node.del("a");
  node.add_pod("b", "db-1", true);
  node.add_pod("c", "db-0", true);
  node.run_for(minutes(1));
  CHECK(node.granted.at(SimulatedNode::key("c")).addresses == before.addresses);
  CHECK(node.granted.at(SimulatedNode::key("c")).eni_id == before.eni_id);
}

TEST_CASE("ENIs that were shared before give back what one pod does not need") {
  Settings settings = exclusive(0, 3);
  settings.exclusive = false;
  settings.min_pool_size = 5;
  settings.max_pool_size = 5;
  Fixture node(settings);
  node.run_for(minutes(1));
  CHECK(node.counts().idle == 5);
  node.settings = exclusive(0, 3);
  node.restart();
  node.run_for(minutes(5));
  node.list();
  CHECK(node.counts().total == 1);
  node.add("a");
  CHECK(node.has("a"));
  CHECK(node.address_of("a") == node.ipam->enis().front().primary_address);
}

TEST_CASE("of two StatefulSets' pods that shared an ENI before, one comes back to its address") {
  Settings settings = exclusive(0, 3);
  settings.exclusive = false;
  Fixture node(settings);
  node.add_pod("a", "db-0", true);
  node.add_pod("b", "db-1", true);
  node.run_for(minutes(1));
  const Grant first = node.granted.at(SimulatedNode::key("a"));
  REQUIRE(node.granted.at(SimulatedNode::key("b")).eni_id == first.eni_id);
  node.del("a");
  node.del("b");
  node.settings = exclusive(0, 3);
  node.restart();
  node.add_pod("c", "db-0", true);
  node.add_pod("d", "db-1", true);
  node.run_for(minutes(1));
  REQUIRE(node.has("c"));
  REQUIRE(node.has("d"));
  CHECK(node.granted.at(SimulatedNode::key("c")).addresses == first.addresses);
  CHECK(node.granted.at(SimulatedNode::key("d")).eni_id != first.eni_id);
}

}  // namespace
}  // namespace terway::ipam
