// SPDX-License-Identifier: Apache-2.0
// What each program costs, now and as it was recorded.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/table.h"
#include "measure.h"

namespace terway::bench {

struct Cost {
  std::string path;
  double ns = 0;
  double ratio = 0;  // to the empty program, in the same run
};

struct ProgramCost {
  std::string program;
  Size size;
  std::vector<Cost> costs;  // none of what only the daemon runs
};

struct Answer {
  double empty_ns = 0;
  std::vector<ProgramCost> programs;

  std::string json() const;
  std::string table(Colour colour) const;
  // What is worse than recorded in that file, a line each: sizes by more than a twentieth, ratios
  // by more than a quarter, and what is in one of both only.
  Result<std::vector<std::string>> worse_than(const std::filesystem::path& recorded) const;
};

}  // namespace terway::bench
