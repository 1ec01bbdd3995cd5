// SPDX-License-Identifier: Apache-2.0
// A log of the calls that were made: what was asked, by whom, what came of it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "base/clock.h"

namespace terway::vpcsim {

struct Call {
  std::uint64_t sequence = 0;
  WallTime time{};
  std::string action;    // "AssignPrivateIpAddresses"; of the metadata service "metadata:PATH"
  std::string instance;  // whose credentials, or whose metadata listener; empty: the account's
  std::string eni;
  int status = 0;      // HTTP; 0: the reply was lost
  std::string code;    // empty: success
  std::string faults;  // numbers of those that struck, "1,4"
  std::string request_id;
};

struct CallCount {
  std::uint64_t total = 0;
  std::uint64_t failed = 0;
  std::map<std::string, std::uint64_t> by_code;  // failures
};

// For one thread.
class Calls {
 public:
  void record(Call call);
  void clear();

  // The latest kKept.
  const std::deque<Call>& latest() const { return latest_; }
  const std::map<std::string, CallCount>& counts() const { return counts_; }

  static constexpr std::size_t kKept = 5000;

 private:
  std::deque<Call> latest_;
  std::map<std::string, CallCount> counts_;
  std::uint64_t last_sequence_ = 0;
};

}  // namespace terway::vpcsim
