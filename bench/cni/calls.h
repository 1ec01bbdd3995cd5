// SPDX-License-Identifier: Apache-2.0
// Times CNI plugins from exec to exit, as a runtime sees them.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace terway::bench {

// One exec: program, CNI_* and what else is in the environment, standard input.
struct PluginCall {
  std::string program;
  std::map<std::string, std::string> environment;
  std::string config;  // at most what a pipe holds (64 KiB)
};

// As a runtime makes it for a pod of the container's name; CNI_IFNAME is eth0.
PluginCall call_of(const std::string& program, const std::string& verb, const std::string& config,
                   const std::string& netns, const std::string& container);

// What came of one.
struct Outcome {
  double millis = 0;  // posix_spawn to wait4
  bool failed = true;
  std::string output;
};
Outcome make(const PluginCall& call);

struct Measured {
  std::vector<double> millis;  // sorted
  double seconds = 0;          // of all calls together
  std::size_t failed = 0;      // exit status other than 0
  std::string first_failure;   // what the first of them printed

  double percentile(double percent) const;
  double per_second() const { return static_cast<double>(millis.size()) / seconds; }
  // Calls of several rounds as one series.
  void append(Measured other);
};

Measured collect(std::vector<Outcome> outcomes, double seconds);

// Makes the calls in order, `callers` at a time.
Measured measure(const std::vector<PluginCall>& calls, unsigned callers);

// Internal when a call failed: a time of failures is no answer.
Result<Measured> all_succeeded(Measured measured, const char* what);

}  // namespace terway::bench
