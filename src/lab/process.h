// SPDX-License-Identifier: Apache-2.0
// Child processes: one that is run to its end with captured output, and one that outlives us; each
// may enter other namespaces first.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace terway::lab {

struct Program {
  std::vector<std::string> argv;  // argv[0] is a path
  std::map<std::string, std::string> environment;
  // Called in the child before it becomes the program (namespaces, groups). May be empty. An error
  // ends the child, with its text on stderr and exit code 126.
  std::function<Result<>()> enter;
};

struct Completed {
  int exit_code = 0;  // 128 + signal where a signal ended it; 127 where it could not be executed
  std::string out;
  std::string err;
};

// Unavailable when it runs longer than `timeout`: it is killed then. It dies with its caller.
Result<Completed> run_process(const Program& program, std::string_view input, Duration timeout);

// A process that outlives its starter, told by its start time from a later one of the same pid.
struct Daemon {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  // /proc/<pid>/stat field 22, clock ticks since boot

  static Daemon of(pid_t pid);
  bool alive() const;
  // SIGKILL, and waits until it is gone. What is gone already is a success.
  Result<> end() const;
};

// Starts one in a session of its own, stdout and stderr appended to `log`.
Result<Daemon> start_daemon(const Program& program, const std::filesystem::path& log);

}  // namespace terway::lab
