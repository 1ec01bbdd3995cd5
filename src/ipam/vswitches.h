// SPDX-License-Identifier: Apache-2.0
// Which vSwitch a new ENI goes to, and a circuit breaker for each: one that ran out of addresses is
// left alone, looked up once at once (a few may be left), and probed again later.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "ipam/backoff.h"
#include "ipam/ipam.h"

namespace terway::ipam {

class VSwitches {
 public:
  void configure(const Settings& settings);

  // How many addresses one call may ask for there: 0 while it counts as exhausted.
  std::uint32_t allowance(const std::string& id) const;
  // For a new ENI; nullopt when all are exhausted. Under Most, counts that have become old are
  // looked up again for the next choice.
  std::optional<std::string> choose(Instant now, Random& random);
  // Whether the choice should wait for lookups that are under way.
  bool undecided() const;
  // Whether every configured one is exhausted.
  bool all_exhausted() const;
  std::vector<std::string> exhausted_ids() const;

  // A call took `count` addresses (or is about to).
  void take(const std::string& id, std::uint32_t count);
  // The cloud said that there are not `wanted` addresses left. True if that is news.
  bool exhausted(const std::string& id, std::uint32_t wanted, Instant now);
  // Addresses went back to it: an exhausted one may be tried again.
  void gave_back(const std::string& id, std::uint32_t count);
  // True if an exhausted one has recovered.
  bool learn(const model::VSwitch& vswitch, Instant now);
  // The lookup failed for good; true if the vSwitch is to be tried again for want of knowledge.
  bool lookup_failed(const std::string& id, Instant now);

  // Those to be looked up now; each is said once, until learn() or lookup_failed().
  std::vector<std::string> take_lookups(Instant now, Alarm& alarm);

 private:
  enum class Breaker : std::uint8_t { Closed, Low, Open };  // Low: no more than `available`
  struct VSwitch {
    Breaker breaker = Breaker::Closed;
    Instant probe_at{};  // Low and Open
    bool lookup_now = false;
    bool looking_up = false;
    bool asked = false;  // a lookup has ended, one way or the other
    Instant learnt{};
    std::uint32_t wanted = 0;  // what the call asked for that found it exhausted
    std::optional<std::uint64_t> available;
  };

  VSwitchPolicy policy_ = VSwitchPolicy::Random;
  Duration probe_after_{};
  std::vector<std::string> ids_;
  std::map<std::string, VSwitch> vswitches_;
};

}  // namespace terway::ipam
