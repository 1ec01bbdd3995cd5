// SPDX-License-Identifier: Apache-2.0
// The cloud's operations that were begun and have not ended, with their retries.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "ipam/backoff.h"
#include "ipam/record.h"

namespace terway::ipam {

// The Describe ones: they change nothing in the cloud.
bool only_reads(OperationKind kind);
bool assigns(OperationKind kind);
bool unassigns(OperationKind kind);

struct OpenOperation {
  Operation operation;
  bool in_flight = false;
  bool unsure = false;  // an attempt ended without a word from the cloud: it may have been done
  Instant begun{};      // the first attempt (of this process)
  Instant started{};    // the latest attempt
  Backoff backoff{std::chrono::milliseconds(500), std::chrono::seconds(30)};
  std::optional<Error> last_error;
};

class Operations {
 public:
  // Begun by a process before this one: how far it came is not known.
  void restore(const Operation& operation);
  // Gives it an id; it is started by the next start_due().
  std::uint64_t begin(Operation operation);
  // Null if there is none.
  OpenOperation* find(std::uint64_t id);
  const std::map<std::uint64_t, OpenOperation>& open() const { return open_; }

  // The attempt failed in a way that passes: another one after a backoff.
  void retry(OpenOperation& open, Error error, Instant now, Random& random);
  OpenOperation end(std::uint64_t id);

  // Appends what is to be started (again) now.
  void start_due(Instant now, std::vector<Operation>& start, Alarm& alarm);
  // Appends what began and ended since the last time.
  void collect(Changes& changes);

 private:
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, OpenOperation> open_;
  std::set<std::uint64_t> unrecorded_;  // begun, not yet handed out as a change
  std::vector<std::uint64_t> ended_;
};

}  // namespace terway::ipam
