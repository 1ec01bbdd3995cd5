// SPDX-License-Identifier: Apache-2.0
// What `bench_cni` found out, for programs and for people.
#pragma once

#include <map>
#include <string>

#include "burst.h"
#include "phases.h"

namespace terway::bench {

// Each figure is that of the best of its runs.
struct Answer {
  Series one_by_one;
  Series callers;
  Series churn;
  Series floor;
  Series heal;
  Series burst;
  Bound bound;
  CloudSettings cloud;
  std::map<std::string, unsigned> burst_calls;  // of the cloud, by action
  double rss_mb = 0;

  // The kernel's objects by hand, and the plugin with a daemon that does nothing.
  double floor_ms() const;
  // The kernel's objects of all pods of the burst, by hand.
  double wiring_s() const;
  std::string json() const;
  std::string table() const;
};

// Keeps, series by series, the run with the lower median; of throughputs the one that took less.
void keep_best(Series& best, const Series& run);
void keep_fastest(Series& best, const Series& run);

}  // namespace terway::bench
