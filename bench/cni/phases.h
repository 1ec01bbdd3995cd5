// SPDX-License-Identifier: Apache-2.0
// What is measured inside the node, so that nothing but the plugin lies between exec and exit. Each
// phase is a process of its own: `bench_cni phase NAME` prints a JSON object of series.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "calls.h"

namespace terway::bench {

struct Figures {
  std::size_t count = 0;
  double p50 = 0;  // ms
  double p99 = 0;
  double most = 0;
  double seconds = 0;

  double per_second() const { return seconds > 0 ? static_cast<double>(count) / seconds : 0; }
};
using Series = std::map<std::string, Figures>;

std::string to_json(const Series& series);
Result<Series> series_from_json(std::string_view text);

inline constexpr std::size_t kResident = 100;  // pods on the node while others come and go
inline constexpr std::size_t kBatch = 50;      // that come, and then go, in one round
inline constexpr std::size_t kSamples = 1000;  // of each verb in one run
inline constexpr std::size_t kAtOnce = 240;    // pods that 8 callers add, and then delete
inline constexpr unsigned kCallers = 8;
inline constexpr std::size_t kBurst = 250;

// "one-by-one": add, del. "callers": add, del. "churn": add, del. "burst": add. "floor": wiring,
// startup, round_trip, ptp_add, ptp_del.
Result<Series> run_phase(std::string_view name);

}  // namespace terway::bench
