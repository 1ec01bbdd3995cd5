// SPDX-License-Identifier: Apache-2.0
// Listings that are right, late, or wrong.
#include <doctest/doctest.h>

#include <string>

#include "ipam/simulated_node.h"

namespace terway::ipam {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

Settings tagged() {
  Settings settings;
  settings.vswitch_ids = {"vsw-a"};
  settings.max_pool_size = 5;
  settings.owner_tags = {{"creator", "terway"}};
  settings.node_tags = {{"node", "n1"}};
  settings.node_eni_id = "eni-primary";
  settings.node_address = *net::IpAddress::parse("10.0.15.1");
  return settings;
}

struct Node : SimulatedNode {
  explicit Node(Settings settings_in = tagged(), Limits limits_in = {3, 10, 10})
      : SimulatedNode(std::move(settings_in), limits_in) {
    cloud.add_vswitch("vsw-a", "10.0.0.0/20", 4000);
  }
  void with_pods(int count) {
    for (int i = 0; i < count; ++i) add("c" + std::to_string(i));
    run_for(seconds(20));
  }
  model::Eni& eni() { return *cloud.find(ipam->enis().front().eni_id); }
  AddressState state_of(const net::IpAddress& address) const {
    for (const AddressRecord& record : ipam->addresses()) {
      if (record.address == address) return record.state;
    }
    FAIL("no such address");
    return AddressState::Idle;
  }
  bool knows(const net::IpAddress& address) const {
    for (const AddressRecord& record : ipam->addresses()) {
      if (record.address == address) return true;
    }
    return false;
  }
  void hear(Listing::Source source, std::vector<model::Eni> enis) {
    now += seconds(1);
    ipam->learn({source, now, std::move(enis)}, now);
    step();
  }
};

model::Eni stranger(const std::string& id) {
  model::Eni eni;
  eni.id = id;
  eni.status = model::EniStatus::InUse;
  eni.instance_id = "i-1";
  eni.vswitch_id = "vsw-a";
  eni.mac = *net::Mac::parse("00:16:3e:aa:00:01");
  eni.primary_address = *net::IpAddress::parse("10.0.14.1");
  eni.ipv4 = {eni.primary_address, *net::IpAddress::parse("10.0.14.2")};
  eni.tags = {{"creator", "terway"}};
  return eni;
}

const net::IpAddress kExtra = *net::IpAddress::parse("10.0.9.9");

TEST_CASE("metadata that lacks ENIs and addresses changes nothing, however often") {
  Node node;
  node.with_pods(3);
  const auto before = node.ipam->addresses();
  for (int i = 0; i < 10; ++i) node.hear(Listing::Source::Metadata, {});
  model::Eni bare = node.eni();
  bare.ipv4.clear();
  for (int i = 0; i < 10; ++i) node.hear(Listing::Source::Metadata, {bare});
  CHECK(node.ipam->addresses() == before);
  CHECK(node.notices.empty());
}

TEST_CASE("metadata alone adds nothing, whatever it shows") {
  Node node;
  node.with_pods(1);
  model::Eni richer = node.eni();
  richer.ipv4.push_back(kExtra);
  for (int i = 0; i < 10; ++i) node.hear(Listing::Source::Metadata, {richer, stranger("eni-x")});
  CHECK_FALSE(node.knows(kExtra));
  CHECK(node.ipam->enis().size() == 1);
}

TEST_CASE("an address that the API shows twice is taken in; once is not enough") {
  Node node;
  node.with_pods(1);
  node.eni().ipv4.push_back(kExtra);
  node.list();
  CHECK_FALSE(node.knows(kExtra));
  node.list();
  CHECK(node.knows(kExtra));
  CHECK(node.state_of(kExtra) == AddressState::Idle);
}

TEST_CASE("one reply heard twice is one observation") {
  Node node;
  node.with_pods(1);
  node.eni().ipv4.push_back(kExtra);
  const Listing listing{Listing::Source::Api, node.now + seconds(1), node.cloud.list()};
  node.now += seconds(2);
  node.ipam->learn(listing, node.now);
  node.ipam->learn(listing, node.now);
  CHECK_FALSE(node.knows(kExtra));
}

TEST_CASE("an address that the API shows once and the metadata too is taken in") {
  Node node;
  node.with_pods(1);
  node.eni().ipv4.push_back(kExtra);
  node.list(Listing::Source::Api);
  node.list(Listing::Source::Metadata);
  CHECK(node.knows(kExtra));
}

TEST_CASE("an idle address that two API listings lack is dropped; one that a pod has is suspect") {
  Settings settings = tagged();
  settings.min_pool_size = 1;
  Node node(settings);
  node.with_pods(2);
  const net::IpAddress held = node.address_of("c1");
  net::IpAddress idle;
  for (const AddressRecord& record : node.ipam->addresses()) {
    if (record.state == AddressState::Idle) idle = record.address;
  }
  std::erase(node.eni().ipv4, held);
  std::erase(node.eni().ipv4, idle);
  node.list();
  CHECK(node.state_of(held) == AddressState::Held);
  CHECK(node.knows(idle));
  node.list();
  CHECK(node.state_of(held) == AddressState::Suspect);
  CHECK_FALSE(node.knows(idle));
  CHECK(node.count(Notice::Kind::AddressSuspect) == 1);
  CHECK(node.count(Notice::Kind::AddressLost) == 1);
  CHECK(node.ipam->held_by(Node::key("c1")));
  node.eni().ipv4.push_back(held);
  node.list();
  CHECK(node.state_of(held) == AddressState::Held);
}

TEST_CASE("a suspect address that its pod leaves is not given to another") {
  Node node(tagged(), {1, 3, 0});
  node.with_pods(2);
  const net::IpAddress held = node.address_of("c1");
  std::erase(node.eni().ipv4, held);
  node.list();
  node.list();
  REQUIRE(node.state_of(held) == AddressState::Suspect);
  node.del("c1");
  node.run_for(minutes(2));
  CHECK_FALSE(node.knows(held));
}

TEST_CASE("a listing begun before an address came or went says nothing about it") {
  Node node;
  node.with_pods(1);
  const std::vector<model::Eni> old = node.cloud.list();
  const Instant begun = node.now;
  for (int i = 5; i < 8; ++i) node.add("d" + std::to_string(i));
  node.run_for(seconds(5));
  CHECK(node.granted.size() == 4);
  for (int i = 0; i < 3; ++i) {
    node.ipam->learn({Listing::Source::Api, begun + std::chrono::milliseconds(i), old}, node.now);
  }
  node.step();
  CHECK(node.counts().held == 4);
  CHECK(node.notices.empty());
}

TEST_CASE("an address just given back is not taken in again from listings that lag") {
  Settings settings = tagged();
  settings.max_pool_size = 0;
  Node node(settings);
  node.with_pods(3);
  const std::vector<model::Eni> old = node.cloud.list();
  const net::IpAddress address = node.address_of("c2");
  node.del("c2");
  node.run_for(seconds(70));
  REQUIRE_FALSE(node.knows(address));
  for (int i = 0; i < 5; ++i) node.hear(Listing::Source::Api, old);
  for (int i = 0; i < 5; ++i) node.hear(Listing::Source::Metadata, old);
  CHECK_FALSE(node.knows(address));
}

TEST_CASE(
    "an ENI that two API listings lack serves no more pods, and its pods keep their addresses") {
  Node node;
  node.with_pods(2);
  const std::string id = node.ipam->enis().front().eni_id;
  node.hear(Listing::Source::Api, {});
  CHECK(node.count(Notice::Kind::EniLost) == 0);
  node.hear(Listing::Source::Api, {});
  CHECK(node.count(Notice::Kind::EniLost) == 1);
  CHECK(node.counts().suspect == 2);
  node.add("new");
  node.run_for(seconds(20));
  REQUIRE(node.has("new"));
  CHECK(node.granted.at(Node::key("new")).eni_id != id);
  // It was a lie: all is as before.
  node.list();
  node.run_for(seconds(5));
  CHECK(node.counts().suspect == 0);
  CHECK(node.counts().held == 3);
  for (const EniRecord& eni : node.ipam->enis()) CHECK(eni.state == EniState::Ready);
}

TEST_CASE("an ENI that somebody removed is forgotten when its last pod is gone") {
  Node node;
  node.with_pods(2);
  node.cloud.remove(node.ipam->enis().front().eni_id);
  node.list();
  node.list();
  node.run_for(minutes(10));
  CHECK(node.ipam->enis().size() == 1);
  node.del("c0");
  node.del("c1");
  node.run_for(minutes(10));
  CHECK(node.ipam->enis().empty());
  CHECK(node.ipam->addresses().empty());
}

TEST_CASE("an attached ENI with our tag that the journal lost is taken over after two sightings") {
  Node node;
  node.cloud.put(stranger("eni-x"));
  node.list();
  CHECK(node.ipam->enis().empty());
  node.list();
  REQUIRE(node.ipam->enis().size() == 1);
  CHECK(node.ipam->enis().front().state == EniState::Attached);
  CHECK(node.ipam->addresses().size() == 2);
  CHECK(node.count(Notice::Kind::AddressOrphan) == 1);
}

TEST_CASE("the ENI of a creation that nobody remembers is found by our tags and removed") {
  Node node;
  model::Eni lost = stranger("eni-x");
  lost.status = model::EniStatus::Available;
  lost.instance_id.clear();
  node.cloud.put(lost);
  node.list();
  node.list();
  CHECK(node.ipam->enis().empty());  // without this node's tag it may be another node's
  node.cloud.find("eni-x")->tags["node"] = "n1";
  Settings settings = tagged();
  settings.max_pool_size = 0;
  node.ipam->reconfigure(settings, node.limits);
  node.list();
  node.list();
  node.run_for(seconds(10));
  CHECK(node.ipam->enis().empty());
  CHECK(node.cloud.list().empty());
}

TEST_CASE("what is not ours is left alone, whatever its tags say") {
  Settings settings = tagged();
  settings.eni_tag_block_list = {{"team", "storage"}};
  Node node(settings);
  const auto put = [&node](const std::string& id, auto&& change) {
    model::Eni eni = stranger(id);
    change(eni);
    node.cloud.put(eni);
  };
  put("eni-primary", [](model::Eni&) {});
  put("eni-typed", [](model::Eni& eni) { eni.type = model::EniType::Primary; });
  put("eni-trunk", [](model::Eni& eni) { eni.type = model::EniType::Trunk; });
  put("eni-member", [](model::Eni& eni) { eni.type = model::EniType::Member; });
  put("eni-node-ip", [](model::Eni& eni) { eni.ipv4 = {*net::IpAddress::parse("10.0.15.1")}; });
  put("eni-excluded",
      [](model::Eni& eni) { eni.tags["terway.alibabacloud.com/excluded"] = "true"; });
  put("eni-erdma", [](model::Eni& eni) { eni.tags["creator"] = "alibabacloud-erdma-controller"; });
  put("eni-blocked", [](model::Eni& eni) { eni.tags["team"] = "storage"; });
  put("eni-untagged", [](model::Eni& eni) { eni.tags.clear(); });
  for (int i = 0; i < 5; ++i) node.list();
  node.run_for(minutes(10));
  CHECK(node.ipam->enis().empty());
  CHECK(node.started.empty());
}

TEST_CASE("a tag filter has to match as well") {
  Settings settings = tagged();
  settings.eni_tag_filter = {{"pool", "a"}};
  Node node(settings);
  node.cloud.put(stranger("eni-x"));
  node.list();
  node.list();
  CHECK(node.ipam->enis().empty());
  node.cloud.find("eni-x")->tags["pool"] = "a";
  node.list();
  node.list();
  CHECK(node.ipam->enis().size() == 1);
}

TEST_CASE(
    "an ENI that gets a no-manage tag takes no new pods and is neither detached nor deleted") {
  Node node;
  node.with_pods(1);
  const std::string id = node.ipam->enis().front().eni_id;
  node.eni().tags["terway.alibabacloud.com/excluded"] = "true";
  node.list();
  CHECK(node.count(Notice::Kind::EniUnwanted) == 1);
  node.add("b");
  node.run_for(seconds(20));
  CHECK(node.granted.at(Node::key("b")).eni_id != id);
  node.del("c0");
  node.run_for(minutes(5));
  REQUIRE(node.ipam->enis().size() == 1);
  CHECK(node.ipam->enis().front().eni_id != id);
  CHECK(node.cloud.find(id)->status == model::EniStatus::InUse);
}

TEST_CASE("a living pod that the journal lost takes its address over before anybody else can") {
  Node node;
  const net::IpAddress address = *net::IpAddress::parse("10.0.14.2");
  node.cloud.put(stranger("eni-x"));
  const Result<> early =
      node.ipam->adopt(Node::key("alive"), {"default", "alive", "", ""}, {address}, node.now);
  CHECK(early.is(Error::Kind::NotFound));
  node.list();
  node.list();
  CHECK(node.state_of(address) == AddressState::Held);
  REQUIRE(node.ipam->held_by(Node::key("alive")));
  CHECK(node.ipam->adopt(Node::key("alive"), {}, {address}, node.now).ok());
  CHECK(node.ipam->adopt(Node::key("thief"), {}, {address}, node.now).is(Error::Kind::Exists));
  node.del("alive");
  CHECK(node.state_of(address) == AddressState::Cooling);
}

TEST_CASE("a claim ends with its pod") {
  Node node;
  const net::IpAddress address = *net::IpAddress::parse("10.0.14.2");
  node.cloud.put(stranger("eni-x"));
  (void)node.ipam->adopt(Node::key("alive"), {}, {address}, node.now);
  node.del("alive");
  node.list();
  node.list();
  CHECK(node.state_of(address) == AddressState::Idle);
}

TEST_CASE(
    "an address that is being given back while a pod lives with it becomes suspect, not lost") {
  Settings settings = tagged();
  settings.max_pool_size = 0;
  Node node(settings);
  node.with_pods(2);
  const net::IpAddress address = node.address_of("c1");
  node.del("c1");
  node.run_for(seconds(60));
  node.step();
  REQUIRE(node.state_of(address) == AddressState::Releasing);
  CHECK(node.ipam->adopt(Node::key("alive"), {}, {address}, node.now).ok());
  node.run_for(minutes(3));
  CHECK(node.state_of(address) == AddressState::Suspect);
  CHECK(node.ipam->held_by(Node::key("alive")));
  CHECK(node.count(Notice::Kind::AddressSuspect) >= 1);
}

}  // namespace
}  // namespace terway::ipam
