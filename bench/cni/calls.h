// SPDX-License-Identifier: Apache-2.0
// Times CNI plugins from exec to exit, as a runtime sees them.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace terway::bench {

// One exec: program, CNI_* and what else is in the environment, standard input.
struct PluginCall {
  std::string program;
  std::map<std::string, std::string> environment;
  std::string config;  // at most what a pipe holds (64 KiB)
};

struct Measured {
  std::vector<double> millis;  // posix_spawn to wait4, sorted
  double seconds = 0;          // of all calls together
  std::size_t failed = 0;      // exit status other than 0
  std::string first_failure;   // what the first of them printed

  double percentile(double percent) const;
  double per_second() const { return static_cast<double>(millis.size()) / seconds; }
};

// Makes the calls in order, `callers` at a time.
Measured measure(const std::vector<PluginCall>& calls, unsigned callers);

// The one with the lowest median of several runs: what the machine can do when nobody else
// disturbs.
const Measured& best(const std::vector<Measured>& runs);

}  // namespace terway::bench
