// SPDX-License-Identifier: Apache-2.0
// A child process that is run to its end with captured output.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace terway::lab {

struct Completed {
  int exit_code = 0;  // 128 + signal where a signal ended it
  std::string out;
  std::string err;
};

// argv[0] is a path. Unavailable when it runs longer than `timeout`: it is killed then.
Result<Completed> run_process(const std::vector<std::string>& argv,
                              const std::map<std::string, std::string>& environment,
                              std::string_view input, Duration timeout);

// A process that outlives its starter, as the kernel tells it from a later one of the same pid.
struct Daemon {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  // /proc/<pid>/stat field 22, clock ticks since boot

  bool alive() const;
  // SIGKILL, and waits until it is gone. What is gone already is a success.
  Result<> end() const;
};

// Starts one in a session of its own, stdout and stderr appended to `log`, inside the given network
// namespace (a path) and otherwise where the caller is.
Result<Daemon> start_daemon(const std::vector<std::string>& argv, const std::string& netns_path,
                            const std::filesystem::path& log);

}  // namespace terway::lab
