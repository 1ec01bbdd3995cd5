// SPDX-License-Identifier: Apache-2.0
// The ENIs that are ours, with what a restart derives again beside what the journal keeps.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ipam/backoff.h"
#include "ipam/per_family.h"
#include "ipam/record.h"

namespace terway::ipam {

struct Eni {
  EniRecord record;  // change it through EniSet::changed()

  // Facts about it that this process has seen.
  bool nic_confirmed = false;  // the NIC was reported ready by this process
  bool torn_down = false;      // no rules or tables name it any more
  bool unwanted = false;       // it carries a tag that keeps our hands off
  bool stuck = false;          // its NIC did not become ready in time, but pods hold it
  bool missing = false;        // two listings did not have it: nothing new happens on it
  std::uint8_t absences = 0;   // listings without it, in a row
  Instant absent_begun{};      // when the latest of those began

  // What is going on.
  std::optional<std::uint64_t> operation;  // at most one that changes it
  std::optional<std::uint64_t> lookup;     // at most one DescribeEni
  Count pending;                           // addresses that the open Create or Assign will bring
  bool accepted = false;                   // Attaching, Detaching: the cloud took the order
  bool nic_awaited = false;                // Attaching, and the kernel is watched for its NIC
  bool doubt = false;                      // look it up until that settles whether it exists
  std::uint8_t not_found = 0;              // lookups, in a row, that did not find it

  // When the next attempt may be.
  Backoff assign{std::chrono::seconds(1), std::chrono::minutes(5)};
  Backoff release{std::chrono::seconds(1), std::chrono::minutes(5)};
  Backoff nic{std::chrono::milliseconds(200), std::chrono::seconds(5)};
  Backoff leave{std::chrono::seconds(1), std::chrono::minutes(5)};  // detach and delete
  Instant lookup_at{};
  Duration lookup_interval{};
  Instant nic_since{};    // InUse since
  Instant empty_since{};  // Draining: nothing on it since

  // What the cloud said it can carry, where that is less than its instance type's limit.
  PerFamily<std::optional<std::uint32_t>> learned_limit;
  Instant learned_until{};
};

inline bool leaving(EniState state) {
  return state == EniState::Draining || state == EniState::Detaching ||
         state == EniState::Deleting || state == EniState::Gone;
}

class EniSet {
 public:
  void restore(const EniRecord& record);
  // New, known to the journal from the next collect() on.
  Eni& add(EniRecord record);
  void erase(const std::string& key);
  // Its record is about to change: to be called at every change.
  void changed(const Eni& eni) { changed_.insert(eni.record.key); }

  Eni* find(const std::string& key);
  const Eni* find(const std::string& key) const;
  Eni* find_by_id(const std::string& eni_id);

  std::map<std::string, Eni>& all() { return enis_; }
  const std::map<std::string, Eni>& all() const { return enis_; }

  void collect(Changes& changes);

 private:
  std::map<std::string, Eni> enis_;
  std::set<std::string> recorded_;  // the journal has (some version of) them
  std::set<std::string> changed_;
  std::set<std::string> erased_;
};

}  // namespace terway::ipam
