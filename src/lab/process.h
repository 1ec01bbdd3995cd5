// SPDX-License-Identifier: Apache-2.0
// A child process that is run to its end with captured output.
#pragma once

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

}  // namespace terway::lab
