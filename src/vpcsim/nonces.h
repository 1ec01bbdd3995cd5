// SPDX-License-Identifier: Apache-2.0
// Nonces that were used: a signed request counts once.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"

namespace terway::vpcsim {

// A request's time stamp may be this far off the cloud's clock, either way ("Request structure" of
// the ECS documentation: 15 minutes); a nonce is remembered for as long as its stamp could still
// count.
inline constexpr Duration kTimeStampTolerance = std::chrono::minutes(15);

// For one thread.
class Nonces {
 public:
  // False: used before.
  bool use(const std::string& nonce, WallTime now) {
    while (!by_age_.empty() && by_age_.front().first + 2 * kTimeStampTolerance < now) {
      used_.erase(by_age_.front().second);
      by_age_.pop_front();
    }
    if (!used_.insert(nonce).second) return false;
    by_age_.emplace_back(now, nonce);
    return true;
  }

 private:
  std::set<std::string> used_;
  std::deque<std::pair<WallTime, std::string>> by_age_;
};

}  // namespace terway::vpcsim
