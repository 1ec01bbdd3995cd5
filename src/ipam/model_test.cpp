// SPDX-License-Identifier: Apache-2.0
// Random lives of a node on a faulty cloud: pods come and go, calls fail in every way, listings
// lie, the daemon dies. After each step nobody shares an address; when the faults end, the cloud,
// the records and the pods agree. TERWAY_SEED repeats one life, TERWAY_SEEDS sets how many there
// are.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ipam/simulated_node.h"

namespace terway::ipam {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Trouble = SimulatedCloud::Trouble;

constexpr int kSteps = 36;
constexpr std::size_t kMostCalls = 600;  // in more than an hour of the node's time

class Life {
 public:
  explicit Life(std::uint64_t seed)
      : dice_(seed), node_(random_settings(), random_limits(), seed * 7919 + 1) {
    node_.cloud.max_enis = node_.limits.max_enis - (chance(10) ? 1 : 0);
    node_.cloud.ipv4_per_eni = node_.limits.ipv4_per_eni - (chance(10) ? 1 : 0);
    node_.cloud.ipv6_per_eni = node_.limits.ipv6_per_eni;
    node_.cloud.call_delay = milliseconds(50 + dice_.below(400));
    node_.cloud.attach_delay = seconds(1 + dice_.below(5));
    node_.cloud.add_vswitch("vsw-a", "10.0.0.0/24", 4 + pick(20));
    node_.cloud.add_vswitch("vsw-b", "10.0.1.0/24", 4 + pick(20));
    faults_ = pick(40);
    node_.cloud.trouble = [this](const Operation& operation) { return trouble_for(operation); };
    node_.on_grant = [this](const Grant& grant) { check_grant(grant); };
  }

  // Empty if all went well.
  std::string live() {
    node_.step();
    for (int step = 0; step < kSteps && failure_.empty(); ++step) {
      act();
      check_owners();
      check_rest();
    }
    if (failure_.empty()) settle();
    return failure_;
  }

 private:
  std::uint32_t pick(std::uint64_t bound) { return static_cast<std::uint32_t>(dice_.below(bound)); }
  bool chance(std::uint32_t percent) { return dice_.below(100) < percent; }

  Settings random_settings() {
    Settings settings;
    settings.vswitch_ids = {"vsw-a"};
    if (chance(50)) settings.vswitch_ids.emplace_back("vsw-b");
    settings.stack = chance(70) ? Stack::V4 : chance(70) ? Stack::Dual : Stack::V6;
    settings.exclusive = chance(25);
    settings.min_pool_size = pick(3);
    settings.max_pool_size = settings.min_pool_size + pick(4);
    settings.min_eni = chance(10) ? 1 : 0;
    settings.vswitch_policy = chance(50) ? VSwitchPolicy::Random : VSwitchPolicy::Most;
    settings.eni_policy = chance(70) ? EniPolicy::MostIps : EniPolicy::LeastIps;
    settings.batch = 2 + pick(9);
    settings.cool_down = seconds(10 + dice_.below(50));
    if (chance(20)) settings.idle_reclaim_after = minutes(5);
    settings.owner_tags = {{"creator", "terway"}};
    settings.node_tags = {{"node", "n1"}};
    return settings;
  }
  Limits random_limits() { return {2 + pick(2), 3 + pick(4), 3 + pick(4)}; }

  Trouble trouble_for(const Operation& operation) {
    if (!chance(faults_)) return {};
    Trouble trouble;
    if (chance(20)) trouble.delay = seconds(dice_.below(15));
    const std::uint32_t what = pick(100);
    trouble.kind = Trouble::Kind::Refused;
    if (what < 30) {
      trouble.kind = Trouble::Kind::LostReply;
    } else if (what < 55) {
      trouble.error = Error(Error::Kind::Throttled, "slow down").with_code("Throttling", "r");
    } else if (what < 75) {
      trouble.error = Error(Error::Kind::Unavailable, "timeout");
    } else if (what < 85) {
      trouble.kind = Trouble::Kind::Partial;
    } else if (what < 90 && operation.kind == OperationKind::DescribeEni) {
      trouble.error =
          Error(Error::Kind::NotFound, "not found").with_code("InvalidEniId.NotFound", "r");
    } else if (what < 95) {
      trouble.error = Error(Error::Kind::Denied, "denied").with_code("Forbidden.RAM", "r");
    } else {
      trouble.error = Error(Error::Kind::Internal, "what?").with_code("Unknown", "r");
    }
    return trouble;
  }

  void act() {
    const std::uint32_t what = pick(100);
    if (what < 30) {
      add();
    } else if (what < 50) {
      del();
    } else if (what < 75) {
      node_.run_for(milliseconds(dice_.below(20000)));
    } else if (what < 82) {
      die();
    } else if (what < 83) {
      lose_journal();
    } else if (what < 93) {
      list();
    } else if (what < 96) {
      const std::string vswitch = chance(50) ? "vsw-a" : "vsw-b";
      node_.cloud.drain_vswitch(vswitch, pick(3));
    } else {
      node_.cloud.attaching_ends = chance(70);
      node_.cloud.nics_appear = chance(70);
      node_.gateway_answers = chance(70);
    }
  }

  void add() {
    const std::string container = "c" + std::to_string(++containers_);
    const std::string pod = "p" + std::to_string(pick(6));
    alive_[container] = pod;
    node_.add_pod(container, pod, chance(30), seconds(20 + dice_.below(200)));
  }

  void del() {
    if (alive_.empty() || chance(10)) return node_.del("nobody");
    auto victim = alive_.begin();
    std::advance(victim, pick(alive_.size()));
    remove(victim->first);
    if (chance(20)) node_.del(victim->first);
    alive_.erase(victim);
  }

  void remove(const std::string& container) {
    const auto held = node_.ipam->held_by(SimulatedNode::key(container));
    node_.del(container);
    if (!held) return;
    for (const net::IpAddress& address : held->addresses) {
      freed_[address] = {node_.now, alive_.at(container)};
    }
  }

  // The runtime sees the ADDs that were under way fail: it deletes those, or asks again.
  void die() {
    if (chance(50)) {
      node_.die_at_next_turn = true;
      chance(50) ? add() : del();
      node_.run_for(milliseconds(dice_.below(2000)));
    }
    node_.die_at_next_turn = false;
    check_journal();
    reboot();
    std::vector<std::string> waiting;
    for (const auto& [container, pod] : alive_) {
      if (!node_.has(container)) waiting.push_back(container);
    }
    for (const std::string& container : waiting) {
      if (chance(50)) {
        node_.add_pod(container, alive_.at(container), false, seconds(60));
      } else {
        remove(container);
        alive_.erase(container);
      }
    }
  }

  // Of the pods that live, the kernel tells; of the ENIs, the listings.
  void lose_journal() {
    node_.journal = {};
    journal_lost_ = true;
    freed_.clear();
    reboot();
  }

  // A node without pods may come back in the other mode.
  void reboot() {
    if (alive_.empty() && chance(30)) {
      node_.settings.exclusive = !node_.settings.exclusive;
    }
    node_.restart();
    for (const auto& [key, grant] : node_.granted) {
      if (node_.ipam->held_by(key)) continue;
      model::Pod pod;
      pod.name = alive_.at(key.container_id);
      (void)node_.ipam->adopt(key, pod, grant.addresses, node_.now);
    }
    node_.step();
  }

  void list() {
    // A reply may be a few seconds old although it was asked for just now.
    Listing listing{chance(70) ? Listing::Source::Api : Listing::Source::Metadata, node_.now,
                    node_.cloud.list()};
    if (chance(50)) node_.run_for(milliseconds(dice_.below(5000)));
    if (chance(20)) listing.begun = node_.now;
    if (listing.source == Listing::Source::Metadata) {
      std::erase_if(listing.enis, [this](const model::Eni&) { return chance(20); });
      for (model::Eni& eni : listing.enis) {
        std::erase_if(eni.ipv4, [this](const net::IpAddress&) { return chance(20); });
        if (chance(5)) eni.ipv4.push_back(net::IpAddress::from_v4(0x0a000900U + pick(99)));
        eni.tags.clear();
      }
    } else if (chance(5)) {
      listing.enis.clear();  // a lie
    }
    node_.ipam->learn(listing, node_.now);
    node_.step();
  }

  void check_grant(const Grant& grant) {
    if (node_.granted.contains(grant.key)) return;  // said again
    const auto pod = alive_.find(grant.key.container_id);
    if (pod == alive_.end()) return fail("a grant for a pod that is gone");
    for (const net::IpAddress& address : grant.addresses) {
      const auto freed = freed_.find(address);
      if (freed == freed_.end()) continue;
      const bool soon = node_.now - freed->second.at < node_.settings.cool_down;
      const bool told =
          std::any_of(node_.notices.begin(), node_.notices.end(), [&](const Notice& notice) {
            return notice.kind == Notice::Kind::CoolDownShortened &&
                   notice.subject == address.to_string();
          });
      if (soon && !told && freed->second.pod != pod->second) {
        fail(fmt::format("{} reused too soon", address.to_string()));
      }
    }
  }

  void check_owners() {
    std::map<net::IpAddress, model::AttachmentKey> owners;
    std::set<std::string> enis;
    for (const auto& [key, grant] : node_.granted) {
      if (!enis.insert(grant.eni_id).second && node_.settings.exclusive) {
        return fail(fmt::format("{} has a second pod", grant.eni_id));
      }
      for (const net::IpAddress& address : grant.addresses) {
        if (!owners.emplace(address, key).second) {
          return fail(fmt::format("{} has two owners", address.to_string()));
        }
      }
      const auto held = node_.ipam->held_by(key);
      const bool sure = held && held->addresses.size() == grant.addresses.size();
      if (journal_lost_ && !sure) continue;  // until the listings show it
      if (!held || held->addresses != grant.addresses) {
        return fail(fmt::format("{} lost what it was granted", key.to_string()));
      }
    }
    for (const AddressRecord& record : node_.ipam->addresses()) {
      const auto owner = owners.find(record.address);
      if (owner != owners.end() && record.owner != owner->second) {
        return fail(fmt::format("{} is not of its owner", record.address.to_string()));
      }
      const bool owned =
          record.state == AddressState::Held || record.state == AddressState::Suspect;
      if (owned && !alive_.contains(record.owner.container_id)) {
        return fail(fmt::format("{} is held for nobody", record.address.to_string()));
      }
    }
  }

  // Without news there is nothing more to do.
  void check_rest() {
    const Turn turn = node_.ipam->turn(node_.now);
    if (!turn.changes.empty() || !turn.start.empty() || !turn.grants.empty()) {
      if (std::getenv("TERWAY_TRACE") != nullptr) node_.print_turn(turn);
      fail("a turn without news does something");
    }
  }

  void check_journal() {
    const Snapshot written = node_.journal.snapshot();
    if (written.enis != node_.ipam->enis()) return fail("the journal's ENIs differ");
    if (written.addresses != node_.ipam->addresses()) return fail("the journal's addresses differ");
    std::vector<Operation> operations = node_.ipam->operations();
    std::erase_if(operations, [](const Operation& operation) {
      return operation.kind == OperationKind::DescribeEni ||
             operation.kind == OperationKind::DescribeVSwitch;
    });
    if (written.operations != operations) return fail("the journal's operations differ");
  }

  void pass(int minutes_passed) {
    for (int i = 0; i < minutes_passed; i += 4) {
      node_.run_for(minutes(4));
      node_.list();
    }
  }

  // The faults end; the cloud, the records and the pods come to agree, and then it is quiet.
  void settle() {
    faults_ = 0;
    // An idle ENI to be kept that the cloud refuses is asked for again and again.
    if (node_.settings.exclusive) node_.cloud.max_enis = node_.limits.max_enis;
    node_.cloud.attaching_ends = true;
    node_.cloud.nics_appear = true;
    node_.gateway_answers = true;
    node_.cloud.refill_vswitch("vsw-a", 100, 50);
    node_.cloud.refill_vswitch("vsw-b", 100, 50);
    pass(20);
    journal_lost_ = false;
    check_owners();
    if (node_.ipam->counts(net::Family::V4).waiting + node_.ipam->counts(net::Family::V6).waiting >
        0) {
      return fail("an ask neither granted nor refused");
    }
    for (const auto& [container, pod] : alive_) node_.del(container);
    alive_.clear();
    alive_["last"] = "pod-last";
    node_.add("last");
    pass(4);
    if (!node_.has("last")) return fail("a pod gets no address of a healthy cloud");
    node_.del("last");
    alive_.clear();
    pass(24);
    check_owners();
    check_agreement();
    if (node_.started.size() > kMostCalls) {
      fail(fmt::format("{} calls were made", node_.started.size()));
    }
    check_journal();
    const std::size_t calls = node_.started.size();
    node_.run_for(minutes(30));
    if (node_.started.size() != calls && !node_.settings.idle_reclaim_after)
      return fail("it is not quiet");
  }

  void check_agreement() {
    if (!node_.ipam->operations().empty()) return fail("an operation did not end");
    std::map<std::string, std::set<net::IpAddress>> known;
    std::map<std::string, std::string> id_of;
    for (const EniRecord& eni : node_.ipam->enis()) {
      known[eni.eni_id];
      id_of[eni.key] = eni.eni_id;
      if (eni.state != EniState::Ready) {
        return fail(fmt::format("{} is {}", eni.eni_id, to_string(eni.state)));
      }
    }
    std::uint32_t idle = 0;
    for (const AddressRecord& record : node_.ipam->addresses()) {
      known[id_of[record.eni_key]].insert(record.address);
      if (record.state != AddressState::Idle) {
        return fail(fmt::format("{} is {}", record.address.to_string(), to_string(record.state)));
      }
      ++idle;
    }
    std::map<std::string, std::set<net::IpAddress>> real;
    for (const model::Eni& eni : node_.cloud.list()) {
      std::set<net::IpAddress>& addresses = real[eni.id];
      if (node_.settings.stack != Stack::V6) addresses.insert(eni.ipv4.begin(), eni.ipv4.end());
      if (node_.settings.stack != Stack::V4) addresses.insert(eni.ipv6.begin(), eni.ipv6.end());
    }
    if (known != real) return fail("the cloud and the records differ");
    for (const auto& [token, made] : node_.cloud.made_by_token) {
      if (made > 1) return fail("two ENIs of one client token");
    }
    const std::uint32_t families = node_.settings.stack == Stack::Dual ? 2 : 1;
    const std::uint32_t most = (node_.settings.max_pool_size + node_.settings.min_eni) * families;
    if (idle > most)
      return fail(fmt::format("{} idle addresses are kept, {} are enough", idle, most));
  }

  void fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
  }

  struct Freed {
    Instant at{};
    std::string pod;
  };
  Random dice_;
  SimulatedNode node_;
  std::uint32_t faults_ = 0;  // of 100 calls
  int containers_ = 0;
  bool journal_lost_ = false;
  std::map<std::string, std::string> alive_;  // container to pod
  std::map<net::IpAddress, Freed> freed_;
  std::string failure_;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
constexpr std::uint64_t kLives = 2'000;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr std::uint64_t kLives = 2'000;
#else
constexpr std::uint64_t kLives = 100'000;
#endif
#else
constexpr std::uint64_t kLives = 100'000;
#endif

TEST_CASE("whatever fails, no address has two owners, nothing leaks, and it ends in agreement") {
  const std::uint64_t one = number_from("TERWAY_SEED", 0);
  const std::uint64_t first = one == 0 ? 1 : one;
  const std::uint64_t last = one == 0 ? number_from("TERWAY_SEEDS", kLives) : one;
  constexpr int kEnough = 5;
  std::atomic<std::uint64_t> next = first;
  std::atomic<int> failed = 0;
  std::vector<std::string> failures(kEnough);
  const auto live_on = [&] {
    for (std::uint64_t seed = next++; seed <= last && failed < kEnough; seed = next++) {
      const std::string failure = Life(seed).live();
      if (failure.empty()) continue;
      const int place = failed++;
      if (place < kEnough) {
        failures[static_cast<std::size_t>(place)] =
            fmt::format("TERWAY_SEED={}: {}", seed, failure);
      }
    }
  };
  std::vector<std::thread> threads;
  const unsigned count = one == 0 ? std::clamp(std::thread::hardware_concurrency(), 1U, 8U) : 1;
  for (unsigned i = 0; i < count; ++i) threads.emplace_back(live_on);
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) {
    if (!failure.empty()) FAIL_CHECK(failure);
  }
}

}  // namespace
}  // namespace terway::ipam
