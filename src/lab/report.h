// SPDX-License-Identifier: Apache-2.0
// What a descendant tells its starter, once, across pid namespaces: a text, and who it is as the
// starter sees it.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace terway::lab {

struct Report {
  pid_t pid = 0;  // of the teller, in the receiver's pid namespace (SCM_CREDENTIALS)
  std::string text;
};

// Made before the fork; both ends are inherited.
class ReportLine {
 public:
  static Result<ReportLine> make();

  // For the descendant; may be called after entering any namespace.
  void tell(std::string_view text) const;
  // For the starter. Unavailable when nobody tells anything in time.
  Result<Report> receive(Duration timeout) const;

 private:
  ReportLine(UniqueFd near_end, UniqueFd far_end)
      : near_(std::move(near_end)), far_(std::move(far_end)) {}
  UniqueFd near_;
  UniqueFd far_;
};

}  // namespace terway::lab
