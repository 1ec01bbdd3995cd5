// SPDX-License-Identifier: Apache-2.0
// The state machine against a world that grants, wires, fails and kills in any order.
#include "agent/attachments.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <deque>
#include <set>

#include "base/random.h"

namespace terway::agent {

namespace {

using std::chrono::seconds;

net::IpAddress ip(std::uint32_t n) { return net::IpAddress::from_v4(0x0a000000 + n); }

// Journal, kernel, addresses and callers around one Attachments.
class World {
 public:
  World(std::uint64_t seed, std::uint32_t addresses) : random_(seed) {
    for (std::uint32_t n = 1; n <= addresses; ++n) free_.insert(ip(n));
  }

  void step(bool may_fail) {
    switch (random_.below(12)) {
      case 0:
      case 1:
      case 2:
        return add(key());
      case 3:
      case 4:
        return del(key());
      case 5:
        return hang_up();
      case 6:
      case 7:
        return grant_one(may_fail);
      case 8:
      case 9:
      case 10:
        return wiring_works(may_fail);
      default:
        if (random_.below(8) == 0) return kill();
        now_ += seconds(random_.below(3));
        machine_.tick(now_);
        return settle();
    }
  }

  void quiesce() {
    for (int i = 0; i < 1000 && (!asks_.empty() || !commands_.empty() || machine_.wake_at()); ++i) {
      if (!asks_.empty()) grant_one(false);
      if (!commands_.empty()) wiring_works(false);
      now_ += seconds(61);
      machine_.tick(now_);
      settle();
    }
    REQUIRE(commands_.empty());
    REQUIRE(asks_.empty());
  }

  void check_all() {
    for (const auto& [call, what] : open_) {
      CAPTURE(call);
      FAIL_CHECK("a caller was never answered");
    }
    std::set<net::IpAddress> owned;
    for (const auto& [k, record] : journal_) {
      CAPTURE(k.to_string());
      CHECK(record.state == model::AttachmentState::Wired);
      CHECK(kernel_.contains(k));
      CHECK(kernel_[k] == record.addresses.at(0));
      CHECK(owned.insert(record.addresses.at(0)).second);
      CHECK(held_.at(k) == record.addresses.at(0));
    }
    CHECK(kernel_.size() == journal_.size());
    CHECK(held_.size() == journal_.size());
    for (const auto& [k, address] : held_) CHECK_FALSE(free_.contains(address));
    // What the callers were told last is so.
    for (const auto& [k, present] : told_) {
      CAPTURE(k.to_string());
      CHECK(journal_.contains(k) == present);
    }
  }

 private:
  struct Open {
    bool adding = false;
    model::AttachmentKey key;
  };
  struct Command {
    bool wire = false;
    std::uint64_t serial = 0;
    model::Attachment attachment;
  };

  model::AttachmentKey key() { return {"c" + std::to_string(random_.below(4)), "eth0"}; }

  void add(const model::AttachmentKey& k) {
    AddRequest request;
    request.key = k;
    open_[++call_] = {true, k};
    told_.erase(k);
    last_[k] = call_;
    machine_.add(call_, request, WallTime{});
    settle();
  }

  void del(const model::AttachmentKey& k) {
    open_[++call_] = {false, k};
    told_.erase(k);
    last_[k] = call_;
    machine_.del(call_, k);
    settle();
  }

  void hang_up() {
    if (open_.empty()) return;
    auto at = open_.begin();
    std::advance(at, static_cast<long>(random_.below(open_.size())));
    told_.erase(at->second.key);
    if (last_[at->second.key] == at->first) last_.erase(at->second.key);
    machine_.hung_up(at->first);
    open_.erase(at);
    settle();
  }

  void grant_one(bool may_fail) {
    if (asks_.empty()) return;
    const model::AttachmentKey k = *asks_.begin();
    asks_.erase(asks_.begin());
    if (free_.empty() || (may_fail && random_.below(5) == 0)) {
      machine_.refused(k, Error(Error::Kind::Exhausted, "none left"));
    } else {
      const net::IpAddress address = *free_.begin();
      free_.erase(free_.begin());
      REQUIRE_FALSE(held_.contains(k));
      held_[k] = address;
      machine_.granted({k, "key-1", "eni-1", {address}});
    }
    settle();
  }

  void wiring_works(bool may_fail) {
    if (commands_.empty()) return;
    const Command command = commands_.front();
    commands_.pop_front();
    const auto& k = command.attachment.key;
    const bool fails = may_fail && random_.below(6) == 0;
    if (command.wire) {
      Result<WiredAs> result = WiredAs{"cali1", {}, {}, 1500, {}};
      kernel_.erase(k);
      if (fails) {
        result = Error(Error::Kind::Internal, "no memory");
      } else {
        for (const auto& [other, address] : kernel_) {
          REQUIRE(address != command.attachment.addresses.at(0));
        }
        kernel_[k] = command.attachment.addresses.at(0);
      }
      machine_.wired(k, command.serial, result);
    } else {
      Result<> result = Ok{};
      if (fails) {
        result = Error(Error::Kind::Internal, "busy");
      } else {
        kernel_.erase(k);
      }
      machine_.unwired(k, command.serial, result, now_);
    }
    settle();
  }

  // The daemon dies: its callers with it, orders that were not carried out too.
  void kill() {
    for (const auto& [call, open] : open_) told_.erase(open.key);
    open_.clear();
    last_.clear();
    asks_.clear();
    if (!commands_.empty() && random_.below(2) == 0) {
      const Command& command = commands_.front();
      if (!command.wire) {
        kernel_.erase(command.attachment.key);
      } else {
        kernel_[command.attachment.key] = command.attachment.addresses.at(0);
      }
    }
    commands_.clear();
    machine_ = Attachments();
    std::vector<model::Attachment> known;
    for (const auto& [k, record] : journal_) known.push_back(record);
    machine_.restore(known, now_);
    settle();
  }

  void settle() {
    for (auto actions = machine_.take(); !actions.empty(); actions = machine_.take()) {
      for (const auto& demand : actions.demands) {
        if (const auto* request = std::get_if<AddRequest>(&demand)) {
          asks_.insert(request->key);
        } else {
          release(std::get<model::AttachmentKey>(demand));
        }
      }
      for (const auto& record : actions.put) journal_[record.key] = record;
      for (const auto& k : actions.erase) journal_.erase(k);
      for (const auto& wire : actions.wire) {
        commands_.push_back({true, wire.serial, wire.attachment});
      }
      for (const auto& unwire : actions.unwire) {
        commands_.push_back({false, unwire.serial, unwire.attachment});
      }
      for (const auto& answer : actions.answers) hear(answer);
    }
  }

  void release(const model::AttachmentKey& k) {
    asks_.erase(k);
    const auto found = held_.find(k);
    if (found == held_.end()) return;
    REQUIRE_FALSE(kernel_.contains(k));  // never while the kernel still has it
    free_.insert(found->second);
    held_.erase(found);
  }

  void hear(const Answer& answer) {
    const auto found = open_.find(answer.call);
    REQUIRE(found != open_.end());  // each once, and nobody who has hung up
    const Open open = found->second;
    open_.erase(found);
    const bool failed = std::holds_alternative<CallFailure>(answer.outcome);
    if (last_[open.key] != answer.call) return;
    if (open.adding) {
      told_[open.key] = !failed;
    } else {
      CHECK_FALSE(failed);
      told_[open.key] = false;
    }
  }

  Random random_;
  Attachments machine_;
  Instant now_{seconds(100)};
  Call call_ = 0;
  std::map<Call, Open> open_;
  std::map<model::AttachmentKey, Call> last_;
  std::map<model::AttachmentKey, bool> told_;
  std::map<model::AttachmentKey, model::Attachment> journal_;
  std::map<model::AttachmentKey, net::IpAddress> kernel_;
  std::map<model::AttachmentKey, net::IpAddress> held_;
  std::set<net::IpAddress> free_;
  std::set<model::AttachmentKey> asks_;
  std::deque<Command> commands_;
};

AddRequest request_of(const char* container) {
  AddRequest request;
  request.key = {container, "eth0"};
  return request;
}

}  // namespace

TEST_CASE(
    "any interleaving of ADD, DEL, hang-up, failure and kill ends without leak or second owner") {
  const char* wanted = std::getenv("TERWAY_SEEDS");
  const std::uint64_t seeds = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 100'000;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    World world(seed, 2 + seed % 4);
    for (int i = 0; i < 60; ++i) world.step(seed % 3 != 0);
    world.quiesce();
    world.check_all();
  }
}

TEST_CASE("a DEL that meets an ADD in flight wins, and both are answered") {
  Attachments machine;
  machine.add(1, request_of("c"), {});
  (void)machine.take();
  machine.granted({{"c", "eth0"}, "k", "eni-1", {ip(1)}});
  auto actions = machine.take();
  REQUIRE(actions.wire.size() == 1);
  CHECK(actions.put.at(0).state == model::AttachmentState::Intent);
  machine.del(2, {"c", "eth0"});
  CHECK(machine.take().answers.empty());
  machine.wired({"c", "eth0"}, actions.wire[0].serial, WiredAs{});
  actions = machine.take();
  CHECK(actions.put.at(0).state == model::AttachmentState::Removing);
  REQUIRE(actions.unwire.size() == 1);
  CHECK(actions.answers.empty());
  machine.unwired({"c", "eth0"}, actions.unwire[0].serial, Ok{}, Instant{});
  actions = machine.take();
  REQUIRE(actions.answers.size() == 2);
  CHECK(actions.answers[0].call == 1);
  CHECK(std::holds_alternative<CallFailure>(actions.answers[0].outcome));
  CHECK(actions.answers[1].call == 2);
  CHECK(std::holds_alternative<Ok>(actions.answers[1].outcome));
  CHECK(actions.erase.size() == 1);
}

TEST_CASE("a DEL of what nobody knows succeeds, and asks the kernel all the same") {
  Attachments machine;
  machine.del(1, {"unknown", "eth0"});
  auto actions = machine.take();
  REQUIRE(actions.unwire.size() == 1);
  CHECK(actions.put.empty());
  machine.unwired({"unknown", "eth0"}, actions.unwire[0].serial, Ok{}, Instant{});
  actions = machine.take();
  REQUIRE(actions.answers.size() == 1);
  CHECK(std::holds_alternative<Ok>(actions.answers[0].outcome));
  CHECK(actions.erase.empty());
  CHECK(machine.size() == 0);
}

TEST_CASE("a removal that fails answers the DEL, keeps the address and is tried again") {
  Attachments machine;
  model::Attachment known;
  known.key = {"c", "eth0"};
  known.state = model::AttachmentState::Wired;
  machine.restore({known}, Instant{});
  machine.del(1, known.key);
  auto actions = machine.take();
  machine.unwired(known.key, actions.unwire.at(0).serial, Error(Error::Kind::Internal, "busy"),
                  Instant(seconds(10)));
  actions = machine.take();
  CHECK(actions.answers.size() == 1);
  CHECK(actions.demands.empty());
  CHECK(actions.complaints.size() == 1);
  REQUIRE(machine.wake_at() == Instant(seconds(11)));
  machine.tick(Instant(seconds(11)));
  actions = machine.take();
  REQUIRE(actions.unwire.size() == 1);
  machine.unwired(known.key, actions.unwire[0].serial, Ok{}, Instant(seconds(12)));
  CHECK(machine.take().demands.size() == 1);
  CHECK(machine.size() == 0);
}

TEST_CASE("what was half made when the daemon died is removed at the next start") {
  Attachments machine;
  model::Attachment half;
  half.key = {"c", "eth0"};
  half.state = model::AttachmentState::Intent;
  machine.restore({half}, Instant{});
  const auto actions = machine.take();
  REQUIRE(actions.unwire.size() == 1);
  CHECK(actions.put.at(0).state == model::AttachmentState::Removing);
}

TEST_CASE("the namespace is not held once the wiring has it") {
  Attachments machine;
  AddRequest request = request_of("c");
  request.netns = std::make_shared<UniqueFd>();
  std::weak_ptr<UniqueFd> seen = request.netns;
  machine.add(1, std::move(request), {});
  (void)machine.take();
  CHECK_FALSE(seen.expired());
  machine.granted({{"c", "eth0"}, "k", "eni-1", {ip(1)}});
  (void)machine.take();
  CHECK(seen.expired());
}

}  // namespace terway::agent
