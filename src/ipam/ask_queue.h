// SPDX-License-Identifier: Apache-2.0
// The pods that wait for an address, in the order in which they came.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "ipam/ipam.h"

namespace terway::ipam {

struct Waiting {
  Ask ask;
  Instant since{};
};

class AskQueue {
 public:
  // An ask of a key that waits already keeps its place; its deadline is renewed.
  void push(const Ask& ask, Instant now);
  // False if the key does not wait.
  bool remove(const model::AttachmentKey& key);

  bool empty() const { return waiting_.empty(); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(waiting_.size()); }
  bool contains(const model::AttachmentKey& key) const { return places_.contains(key); }
  const Waiting& front() const { return waiting_.begin()->second; }
  Waiting pop_front();

  // Those whose deadline has come, taken out, in order of arrival.
  std::vector<Waiting> take_expired(Instant now);
  // The last `count` that arrived no later than `arrived_by`, taken out.
  std::vector<Waiting> take_last(std::uint32_t count, Instant arrived_by);
  std::optional<Instant> earliest_deadline() const;

  // Those that want the address back that their pod's predecessor had.
  std::vector<Ask> sticky() const;

 private:
  using Place = std::uint64_t;
  void forget(std::map<Place, Waiting>::iterator entry);

  Place next_ = 0;
  std::map<Place, Waiting> waiting_;
  std::map<model::AttachmentKey, Place> places_;
  std::set<std::pair<Instant, Place>> deadlines_;
  std::set<Place> sticky_;
};

}  // namespace terway::ipam
