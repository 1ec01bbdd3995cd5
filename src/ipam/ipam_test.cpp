// SPDX-License-Identifier: Apache-2.0
#include "ipam/ipam.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "ipam/simulated_node.h"

namespace terway::ipam {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Settings small_pool() {
  Settings settings;
  settings.vswitch_ids = {"vsw-a"};
  settings.max_pool_size = 5;
  settings.owner_tags = {{"creator", "terway"}};
  settings.node_tags = {{"node", "n1"}};
  return settings;
}

struct Node : SimulatedNode {
  explicit Node(Settings settings_in = small_pool(), Limits limits_in = {3, 10, 10})
      : SimulatedNode(std::move(settings_in), limits_in) {
    cloud.add_vswitch("vsw-a", "10.0.0.0/20", 4000);
    cloud.add_vswitch("vsw-b", "10.1.0.0/20", 4000);
  }
};

TEST_CASE("the first pod of a node gets an address of a new ENI") {
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

TEST_CASE("a burst fills the ENI that is on its way before a new one, in calls of ten") {
  Node node;
  for (int i = 0; i < 25; ++i) node.add(std::to_string(i));
  node.run_for(seconds(20));
  CHECK(node.granted.size() == 25);
  CHECK(node.ipam->enis().size() == 3);
  CHECK(node.count(OperationKind::CreateEni) == 3);
  std::set<net::IpAddress> distinct;
  for (const auto& [key, grant] : node.granted) distinct.insert(grant.addresses.front());
  CHECK(distinct.size() == 25);
  CHECK(node.counts().idle == 0);
}

TEST_CASE("with nothing waiting and an empty node, no call is made") {
  Node node;
  node.run_for(minutes(60));
  CHECK(node.started.empty());
}

TEST_CASE("a freed address cools down and then the pool gives the ENI back whole") {
  Settings settings = small_pool();
  settings.max_pool_size = 0;
  Node node(settings);
  node.add("a");
  node.run_for(seconds(10));
  node.del("a");
  CHECK(node.counts().cooling == 1);
  CHECK(node.counts().idle == 0);
  node.run_for(seconds(59));
  CHECK(node.counts().cooling == 1);
  node.run_for(minutes(2));
  CHECK(node.ipam->enis().empty());
  CHECK(node.ipam->addresses().empty());
  CHECK(node.cloud.list().empty());
  CHECK(node.ipam->operations().empty());
}

}  // namespace
}  // namespace terway::ipam
