// SPDX-License-Identifier: Apache-2.0
// What the cloud's faults do, and do not do, to pods.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include "ipam/simulated_node.h"

namespace terway::ipam {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Trouble = SimulatedCloud::Trouble;

Settings two_vswitches() {
  Settings settings;
  settings.vswitch_ids = {"vsw-a", "vsw-b"};
  settings.vswitch_policy = VSwitchPolicy::Most;
  settings.max_pool_size = 0;
  return settings;
}

struct Node : SimulatedNode {
  explicit Node(Settings settings_in = two_vswitches(), Limits limits_in = {3, 10, 10},
                std::uint32_t in_a = 4000, std::uint32_t in_b = 100)
      : SimulatedNode(std::move(settings_in), limits_in) {
    cloud.add_vswitch("vsw-a", "10.0.0.0/20", in_a);
    cloud.add_vswitch("vsw-b", "10.1.0.0/20", in_b);
  }
  void add_many(int count, const std::string& prefix = "c") {
    for (int i = 0; i < count; ++i) add(prefix + std::to_string(i));
  }
  // The next `count` calls of this kind fail so.
  void fail_next(OperationKind kind, int count, const Trouble& what) {
    cloud.trouble = [kind, count, what](const Operation& operation) mutable {
      if (operation.kind != kind || count == 0) return Trouble{};
      --count;
      return what;
    };
  }
  std::set<std::string> tokens_of(OperationKind kind) const {
    std::set<std::string> tokens;
    for (const Operation& operation : started) {
      if (operation.kind == kind) tokens.insert(operation.client_token);
    }
    return tokens;
  }
  bool noted(Notice::Kind kind, const std::string& subject) const {
    for (const Notice& notice : notices) {
      if (notice.kind == kind && notice.subject == subject) return true;
    }
    return false;
  }
};

Trouble refusal(Error::Kind kind, const std::string& code) {
  return {Trouble::Kind::Refused, Error(kind, "the cloud says no").with_code(code, "REQ-7"), {}};
}
Trouble lost_reply() { return {Trouble::Kind::LostReply, {}, {}}; }

TEST_CASE("a creation whose reply is lost is asked for again with the same token: one ENI") {
  Node node;
  node.fail_next(OperationKind::CreateEni, 2, lost_reply());
  node.add("a");
  node.run_for(seconds(30));
  CHECK(node.has("a"));
  CHECK(node.count(OperationKind::CreateEni) == 3);
  CHECK(node.tokens_of(OperationKind::CreateEni).size() == 1);
  CHECK(node.cloud.list().size() == 1);
}

TEST_CASE(
    "an assignment whose reply is lost is asked for again with the same token: no address leaks") {
  Node node;
  node.add("a");
  node.run_for(seconds(20));
  node.fail_next(OperationKind::AssignIpv4, 2, lost_reply());
  node.add_many(5);
  node.run_for(seconds(30));
  CHECK(node.granted.size() == 6);
  CHECK(node.cloud.list().front().ipv4.size() == 6);
}

TEST_CASE("a creation that may have happened before it was refused is looked up by its tag") {
  Node node;
  int calls = 0;
  node.cloud.trouble = [&calls](const Operation& operation) {
    if (operation.kind != OperationKind::CreateEni) return Trouble{};
    ++calls;
    if (calls == 1) return lost_reply();
    if (calls == 2) return refusal(Error::Kind::Invalid, "IdempotentFailed");
    return Trouble{};
  };
  node.add("a");
  node.run_for(seconds(30));
  CHECK(node.cloud.list().size() == 1);
  REQUIRE(node.ipam->enis().size() == 1);
  CHECK(node.ipam->enis().front().state == EniState::Ready);
}

TEST_CASE("throttled calls are made again, ever more rarely, and the pod gets its address") {
  Node node;
  node.fail_next(OperationKind::CreateEni, 6, refusal(Error::Kind::Throttled, "Throttling"));
  node.add("a");
  node.run_for(minutes(3));
  CHECK(node.has("a"));
  CHECK(node.count(OperationKind::CreateEni) == 7);
  CHECK(node.noted(Notice::Kind::CloudFault, node.ipam->enis().front().key));
}

TEST_CASE("nodes that were throttled together do not come back together") {
  std::map<std::int64_t, int> calls_at;  // by 100 ms
  int made = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SimulatedNode node(two_vswitches(), {3, 10, 10}, seed);
    node.cloud.add_vswitch("vsw-a", "10.0.0.0/20", 100);
    node.cloud.add_vswitch("vsw-b", "10.1.0.0/20", 100);
    node.cloud.trouble = [&](const Operation& operation) {
      if (operation.kind != OperationKind::CreateEni) return Trouble{};
      ++made;
      ++calls_at[node.now.time_since_epoch() / milliseconds(100)];
      return refusal(Error::Kind::Throttled, "Throttling");
    };
    node.add("a", minutes(10));
    node.run_for(minutes(10));
  }
  CHECK(made < 200 * 60);
  int most = 0;
  const std::int64_t first = calls_at.begin()->first;
  for (const auto& [at, calls] : calls_at) {
    if (at > first + 50) most = std::max(most, calls);
  }
  CHECK(most < 40);  // of 200, in any tenth of a second after the first five
}

TEST_CASE(
    "a refusal for good is told to the pod with its code and request, and not repeated in a loop") {
  Node node;
  node.cloud.trouble = [](const Operation& operation) {
    return operation.kind == OperationKind::CreateEni
               ? refusal(Error::Kind::Denied, "Forbidden.RAM")
               : Trouble{};
  };
  node.add("a");
  node.run_for(seconds(1));
  REQUIRE(node.refused.contains(Node::key("a")));
  const Error& error = node.refused.at(Node::key("a"));
  CHECK(error.kind() == Error::Kind::Denied);
  CHECK(error.code() == "Forbidden.RAM");
  CHECK(error.request_id() == "REQ-7");
  for (int i = 0; i < 60; ++i) {
    node.add("again" + std::to_string(i));
    node.run_for(seconds(10));
  }
  CHECK(node.count(OperationKind::CreateEni) < 40);
  CHECK(node.granted.empty());
}

TEST_CASE("pods are served from the pool while the cloud refuses everything") {
  Settings settings = two_vswitches();
  settings.min_pool_size = 4;
  settings.max_pool_size = 6;
  Node node(settings);
  node.run_for(seconds(30));
  node.cloud.trouble = [](const Operation&) {
    return refusal(Error::Kind::Unavailable, "ServiceUnavailable");
  };
  for (int i = 0; i < 4; ++i) {
    node.add("c" + std::to_string(i));
    CHECK(node.has("c" + std::to_string(i)));
  }
}

TEST_CASE("an exhausted vSwitch is left for the next one, said so, and found again later") {
  Node node(two_vswitches(), {3, 4, 0}, 3, 100);
  node.cloud.drain_vswitch("vsw-b", 1);  // Most prefers vsw-a
  node.add_many(3);
  node.run_for(seconds(20));
  CHECK(node.granted.size() == 3);
  node.cloud.refill_vswitch("vsw-b", 200, 100);
  node.add("d");
  node.run_for(seconds(20));
  CHECK(node.has("d"));
  CHECK(node.noted(Notice::Kind::VSwitchExhausted, "vsw-a"));
  CHECK(node.cloud.find(node.granted.at(Node::key("d")).eni_id)->vswitch_id == "vsw-b");
  node.cloud.refill_vswitch("vsw-a", 300, 50);
  node.run_for(minutes(9));
  CHECK_FALSE(node.noted(Notice::Kind::VSwitchRecovered, "vsw-a"));
  node.run_for(minutes(2));
  CHECK(node.noted(Notice::Kind::VSwitchRecovered, "vsw-a"));
}

TEST_CASE("the last few addresses of a vSwitch are still taken") {
  Settings settings = two_vswitches();
  settings.vswitch_ids = {"vsw-a"};
  Node node(settings, {3, 10, 0}, 6);
  node.add("first");
  node.run_for(seconds(10));
  node.add_many(9);
  node.run_for(seconds(30));
  CHECK(node.granted.size() == 6);
  CHECK(node.cloud.free_in("vsw-a") == 0);
  CHECK(node.noted(Notice::Kind::VSwitchExhausted, "vsw-a"));
  const std::size_t calls = node.started.size();
  node.run_for(minutes(5));
  CHECK(node.started.size() <= calls + 1);
  REQUIRE(node.refused.size() == 4);
  CHECK(node.refused.begin()->second.message().find("vSwitch vsw-a has no address left") !=
        std::string::npos);
}

TEST_CASE("an exhausted vSwitch stops neither the ENIs of another one nor giving back") {
  Node node(two_vswitches(), {2, 4, 0}, 5, 4);
  node.add_many(5);
  node.run_for(seconds(20));
  CHECK(node.granted.size() == 5);
  std::set<std::string> used;
  for (const model::Eni& eni : node.cloud.list()) used.insert(eni.vswitch_id);
  REQUIRE(used.size() == 2);
  node.cloud.drain_vswitch("vsw-a", 0);
  node.cloud.refill_vswitch("vsw-b", 100, 20);
  node.add_many(3, "d");
  node.run_for(seconds(20));
  CHECK(node.granted.size() == 8);
  for (int i = 0; i < 5; ++i) node.del("c" + std::to_string(i));
  for (int i = 0; i < 3; ++i) node.del("d" + std::to_string(i));
  node.run_for(minutes(5));
  CHECK(node.cloud.list().empty());
}

TEST_CASE(
    "an instance that takes no more ENIs is not asked again for a while, and nothing is left "
    "over") {
  Node node;
  node.cloud.max_enis = 1;
  node.add_many(15);
  node.run_for(minutes(4));
  CHECK(node.granted.size() == 10);
  CHECK(node.cloud.list().size() <= 2);
  CHECK(node.noted(Notice::Kind::EniLimitReached, ""));
  CHECK(node.count(OperationKind::CreateEni) <= 6);
  node.run_for(minutes(2));
  REQUIRE(node.refused.size() == 5);
  CHECK(node.refused.begin()->second.message().find("EniPerInstanceLimitExceeded") !=
        std::string::npos);
}

TEST_CASE("an ENI that carries fewer addresses than its type promises is found full, and learnt") {
  Node node(two_vswitches(), {2, 10, 0});
  node.cloud.ipv4_per_eni = 6;
  node.add("first");
  node.run_for(seconds(10));
  node.add_many(9);
  node.run_for(minutes(2));
  CHECK(node.granted.size() == 10);
  CHECK(node.cloud.list().size() == 2);
  CHECK(node.count(OperationKind::AssignIpv4) < 12);
}

TEST_CASE("a partial success is what it is; the rest is asked for again") {
  Node node;
  node.add("first");
  node.run_for(seconds(10));
  node.fail_next(OperationKind::AssignIpv4, 1, {Trouble::Kind::Partial, {}, {}});
  node.add_many(8);
  node.run_for(seconds(20));
  CHECK(node.granted.size() == 9);
  CHECK(node.cloud.list().front().ipv4.size() == 9);
}

TEST_CASE("a slow call delays only whom it must: later pods go around it") {
  Node node(two_vswitches(), {2, 20, 0});
  node.cloud.ipv4_per_eni = 20;
  node.add("first");
  node.run_for(seconds(10));
  Trouble slow;
  slow.delay = minutes(3);
  node.fail_next(OperationKind::AssignIpv4, 1, slow);
  node.add("a");
  node.run_for(seconds(1));
  node.add("b");
  node.run_for(seconds(20));
  CHECK(node.has("a"));
  CHECK(node.has("b"));
}

TEST_CASE("an attachment that never ends is given up, and another ENI is tried") {
  Node node;
  node.cloud.attaching_ends = false;
  node.add("a", minutes(10));
  node.run_for(seconds(100));
  CHECK_FALSE(node.has("a"));
  node.cloud.attaching_ends = true;
  node.run_for(minutes(3));
  CHECK(node.has("a"));
  node.run_for(minutes(5));
  CHECK(node.cloud.list().size() == 1);
  CHECK(node.count(Notice::Kind::EniFailed) >= 1);
}

TEST_CASE("the kernel is watched for the NIC of an ENI that attaches, until that is given up") {
  Node node;
  node.cloud.attaching_ends = false;
  node.add("a", minutes(10));
  node.run_for(seconds(10));
  const Turn turn = node.ipam->turn(node.now);
  REQUIRE(turn.bring_up.size() == 1);
  CHECK(turn.bring_up.front().state == EniState::Attaching);
  node.run_for(node.settings.operation_deadline);
  for (const EniRecord& eni : node.ipam->turn(node.now).bring_up) {
    CHECK(eni.eni_id != turn.bring_up.front().eni_id);
  }
}

TEST_CASE("a NIC that never appears, or a gateway that never answers, costs that ENI") {
  for (const bool appears : {false, true}) {
    Node node;
    node.cloud.nics_appear = appears;
    node.gateway_answers = false;
    node.add("a", minutes(10));
    node.run_for(seconds(50));
    CHECK(node.cloud.list().size() >= 1);
    node.cloud.nics_appear = true;
    node.gateway_answers = true;
    if (appears) {
      node.run_for(seconds(10));
      CHECK(node.has("a"));
      continue;
    }
    node.run_for(minutes(3));
    CHECK(node.has("a"));
    CHECK(node.cloud.list().size() == 1);
  }
}

TEST_CASE("a NIC that fails under pods keeps its ENI, and serves no new ones until it is well") {
  Node node(two_vswitches(), {1, 10, 0});
  node.add("a");
  node.run_for(seconds(10));
  const std::string key = node.ipam->enis().front().key;
  node.gateway_answers = false;
  node.ipam->nic_failed(key, "link down", node.now);
  node.step();
  node.add("b");
  node.run_for(minutes(4));
  CHECK_FALSE(node.has("b"));
  CHECK(node.ipam->held_by(Node::key("a")));
  CHECK(node.cloud.list().size() == 1);
  node.gateway_answers = true;
  node.add("c");
  node.run_for(seconds(30));
  CHECK(node.has("c"));
}

TEST_CASE(
    "a delete that keeps failing is tried for ever, but rarely, and goes through in the end") {
  Node node;
  node.add("a");
  node.run_for(seconds(10));
  node.cloud.trouble = [](const Operation& operation) {
    return operation.kind == OperationKind::DeleteEni
               ? refusal(Error::Kind::Denied, "Forbidden.RAM")
               : Trouble{};
  };
  node.del("a");
  node.run_for(hours(2));
  CHECK(node.cloud.list().size() == 1);
  CHECK(node.count(OperationKind::DeleteEni) > 10);
  CHECK(node.count(OperationKind::DeleteEni) < 100);
  node.add("b");  // and blocks nobody
  node.run_for(seconds(10));
  CHECK(node.has("b"));
  node.del("b");
  node.cloud.trouble = [](const Operation&) { return Trouble{}; };
  node.run_for(minutes(10));
  CHECK(node.cloud.list().empty());
}

TEST_CASE(
    "an address whose return fails is neither lost nor given away before it is known whose it is") {
  Node node(two_vswitches(), {1, 10, 0});
  node.add_many(4);
  node.run_for(seconds(20));
  node.fail_next(OperationKind::UnassignIpv4, 1, refusal(Error::Kind::Internal, "Unknown"));
  node.del("c1");
  node.del("c2");
  node.run_for(minutes(2));
  CHECK(node.ipam->addresses().size() == node.cloud.list().front().ipv4.size());
  CHECK(node.counts().releasing == 0);
  CHECK(node.cloud.list().front().ipv4.size() <= 3);
}

TEST_CASE("a restart between order and reply asks again with the same token") {
  Node node;
  node.add("a");
  node.run_for(milliseconds(70));  // the ENI is made, its reply under way
  node.restart();
  node.add("a");
  node.run_for(seconds(20));
  CHECK(node.has("a"));
  CHECK(node.tokens_of(OperationKind::CreateEni).size() == 1);
  CHECK(node.cloud.list().size() == 1);
}

TEST_CASE("a death at any moment between journal and effect leaves nothing behind") {
  for (int after = 0; after < 14000; after += 250) {
    Node node;
    node.add("a");
    node.add("b");
    node.run_for(milliseconds(after));
    node.die_at_next_turn = true;
    node.step();
    node.add("a");
    node.add("b");
    node.run_for(seconds(30));
    CAPTURE(after);
    CHECK(node.has("a"));
    CHECK(node.has("b"));
    CHECK(node.cloud.list().size() == 1);
    node.del("a");
    node.del("b");
    node.run_for(minutes(10));
    CHECK(node.cloud.list().empty());
    CHECK(node.ipam->enis().empty());
  }
}

}  // namespace
}  // namespace terway::ipam
