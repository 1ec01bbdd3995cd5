// SPDX-License-Identifier: Apache-2.0
// terwayd: which threads there are, and in what order they start and stop.
//
//   plugin calls (one thread each) --\                         /--> datapath thread --> kernel
//   CLI and metrics (HTTP threads) ---+--> inbox --> agent ---+
//   configuration watcher ------------/      ^                 \--> workers, poller --> cloud
//                                            |                          |
//                                            +------- facts ------------+
#pragma once

#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "config/config.h"

namespace terway::agent {

struct Options {
  std::string config_path = config::kDefaultPath;
  std::string daemon_mode;  // as the flag says (settings.h)
  std::string version;
  std::string boot_id_path = "/proc/sys/kernel/random/boot_id";
  // Readable once the daemon shall end.
  int stop_fd = -1;
};

// Until told to stop, or until it cannot go on.
Result<> run(const Options& options, config::Loaded loaded, Clock& clock, Random& random);

}  // namespace terway::agent
