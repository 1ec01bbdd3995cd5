// SPDX-License-Identifier: Apache-2.0
// Every order of faults, up to a depth, from the creation of an ENI to its end: whatever happens
// first, each ENI becomes Ready or is gone, and no client token makes two.
#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "ipam/simulated_node.h"

namespace terway::ipam {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Trouble = SimulatedCloud::Trouble;

Trouble refusal(Error::Kind kind, const std::string& code) {
  return {Trouble::Kind::Refused, Error(kind, "no").with_code(code, "r"), {}};
}

// What a call may meet.
const std::vector<Trouble>& troubles() {
  static const std::vector<Trouble> all = {
      {},
      {Trouble::Kind::LostReply, {}, {}},
      {Trouble::Kind::None, {}, minutes(3)},
      refusal(Error::Kind::Throttled, "Throttling"),
      refusal(Error::Kind::Unavailable, "ServiceUnavailable"),
      refusal(Error::Kind::Denied, "Forbidden.RAM"),
      refusal(Error::Kind::NotFound, "InvalidEniId.NotFound"),
      refusal(Error::Kind::Exhausted, "EniPerInstanceLimitExceeded"),
      refusal(Error::Kind::Exhausted, "InvalidVSwitchId.IpNotEnough"),
      refusal(Error::Kind::Exists, "InvalidOperation.InvalidEniState"),
  };
  return all;
}

enum class World : std::uint8_t { Healthy, AttachingNeverEnds, NicNeverComes, GatewayIsSilent };

struct Story {
  World world;
  bool pod_stays;
  bool dies;                        // the daemon, in the middle
  std::vector<std::size_t> script;  // what calls meet …
  std::size_t healthy_first = 0;    // … after as many that meet nothing
};

Settings no_pool() {
  Settings settings;
  settings.vswitch_ids = {"vsw-a"};
  settings.max_pool_size = 0;
  settings.owner_tags = {{"creator", "terway"}};
  settings.node_tags = {{"node", "n1"}};
  return settings;
}

// Empty if it ended well.
std::string tell(const Story& story) {
  SimulatedNode node(no_pool(), {2, 3, 0});
  node.cloud.add_vswitch("vsw-a", "10.0.0.0/24", 100);
  std::size_t calls = 0;
  node.cloud.trouble = [&](const Operation&) {
    const std::size_t call = calls++;
    if (call < story.healthy_first) return Trouble{};
    const std::size_t line = call - story.healthy_first;
    return line < story.script.size() ? troubles()[story.script[line]] : Trouble{};
  };
  node.cloud.attaching_ends = story.world != World::AttachingNeverEnds;
  node.cloud.nics_appear = story.world != World::NicNeverComes;
  node.gateway_answers = story.world != World::GatewayIsSilent;
  node.add("a", minutes(2));
  node.run_for(seconds(4));
  if (story.dies) node.restart();
  if (!story.pod_stays) node.del("a");
  node.run_for(minutes(5));
  node.cloud.attaching_ends = true;
  node.cloud.nics_appear = true;
  node.gateway_answers = true;
  for (int i = 0; i < 6; ++i) {
    node.run_for(minutes(5));
    node.list();
  }
  // A runtime asks again; an exhausted vSwitch is probed after ten minutes.
  for (std::size_t i = 0; i <= story.script.size() && story.pod_stays && !node.has("a"); ++i) {
    node.add("a", minutes(12));
    node.run_for(minutes(13));
  }
  if (story.pod_stays && !node.has("a")) return "the pod has no address";
  if (!story.pod_stays) node.del("a");
  for (int i = 0; i < 4; ++i) {
    node.run_for(minutes(5));
    node.list();
  }
  node.run_for(minutes(5));
  const std::vector<EniRecord> enis = node.ipam->enis();
  for (const EniRecord& eni : enis) {
    if (eni.state != EniState::Ready)
      return eni.eni_id + " ended as " + std::string(to_string(eni.state));
  }
  if (enis.size() != (story.pod_stays ? 1 : 0)) return "not the ENIs that are needed";
  if (node.cloud.list().size() != enis.size()) return "an ENI leaked";
  for (const auto& [token, made] : node.cloud.made_by_token) {
    if (made > 1) return "two ENIs of one token";
  }
  if (node.started.size() > 150) return "too many calls: " + std::to_string(node.started.size());
  return "";
}

std::string describe(const Story& story, const std::string& failure) {
  std::string text = failure + " after";
  for (const std::size_t what : story.script) text += " " + std::to_string(what);
  text += ", the first " + std::to_string(story.healthy_first) + " calls healthy,";
  return text + " in world " + std::to_string(static_cast<int>(story.world)) +
         (story.pod_stays ? ", pod stays" : ", pod leaves") + (story.dies ? ", daemon dies" : "");
}

TEST_CASE("whatever order of faults an ENI meets in any state, it becomes Ready or is gone") {
  constexpr std::size_t kDepth = 3;
  constexpr std::size_t kCallsOfALife = 9;  // create, attach, look-ups, detach, look-ups, delete
  const std::size_t kinds = troubles().size();
  std::size_t scripts = 1;
  for (std::size_t i = 0; i < kDepth; ++i) scripts *= kinds;
  int failures = 0;
  for (std::size_t number = 0; number < scripts * kCallsOfALife * 2; ++number) {
    const std::size_t variant = number / scripts;
    Story story{World::Healthy, variant % 2 == 0, number % 3 == 0, {}, variant / 2};
    for (std::size_t i = 0, rest = number % scripts; i < kDepth; ++i, rest /= kinds) {
      story.script.push_back(rest % kinds);
    }
    const std::string failure = tell(story);
    if (failure.empty() || ++failures > 5) continue;
    FAIL_CHECK(describe(story, failure));
  }
}

TEST_CASE("every two faults, in every world, with and without a death of the daemon") {
  const std::size_t kinds = troubles().size();
  int failures = 0;
  for (std::size_t number = 0; number < kinds * kinds * 16; ++number) {
    const std::size_t variant = number % 16;
    const std::size_t script = number / 16;
    const Story story{static_cast<World>(variant % 4),
                      variant / 4 % 2 == 0,
                      variant / 8 == 0,
                      {script % kinds, script / kinds},
                      0};
    const std::string failure = tell(story);
    if (failure.empty() || ++failures > 5) continue;
    FAIL_CHECK(describe(story, failure));
  }
}

}  // namespace
}  // namespace terway::ipam
