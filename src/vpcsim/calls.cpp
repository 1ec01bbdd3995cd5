// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/calls.h"

namespace terway::vpcsim {

void Calls::record(Call call) {
  CallCount& count = counts_[call.action];
  ++count.total;
  if (!call.code.empty()) {
    ++count.failed;
    ++count.by_code[call.code];
  }
  call.sequence = ++last_sequence_;
  latest_.push_back(std::move(call));
  if (latest_.size() > kKept) latest_.pop_front();
}

void Calls::clear() {
  latest_.clear();
  counts_.clear();
}

}  // namespace terway::vpcsim
