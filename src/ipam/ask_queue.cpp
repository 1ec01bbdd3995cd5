// SPDX-License-Identifier: Apache-2.0
#include "ipam/ask_queue.h"

#include <algorithm>

namespace terway::ipam {

void AskQueue::push(const Ask& ask, Instant now) {
  Place place = next_;
  Instant since = now;
  if (const auto known = places_.find(ask.key); known != places_.end()) {
    place = known->second;
    const auto entry = waiting_.find(place);
    since = entry->second.since;
    forget(entry);
  } else {
    ++next_;
  }
  waiting_.emplace(place, Waiting{ask, since});
  places_.emplace(ask.key, place);
  deadlines_.emplace(ask.deadline, place);
  if (ask.sticky) sticky_.insert(place);
}

bool AskQueue::remove(const model::AttachmentKey& key) {
  const auto place = places_.find(key);
  if (place == places_.end()) return false;
  forget(waiting_.find(place->second));
  return true;
}

Waiting AskQueue::pop_front() {
  Waiting first = waiting_.begin()->second;
  forget(waiting_.begin());
  return first;
}

std::vector<Waiting> AskQueue::take_expired(Instant now) {
  std::vector<Place> expired;
  for (const auto& [deadline, place] : deadlines_) {
    if (deadline > now) break;
    expired.push_back(place);
  }
  std::sort(expired.begin(), expired.end());
  std::vector<Waiting> taken;
  for (const Place place : expired) {
    const auto entry = waiting_.find(place);
    taken.push_back(entry->second);
    forget(entry);
  }
  return taken;
}

std::vector<Waiting> AskQueue::take_last(std::uint32_t count, Instant arrived_by) {
  std::vector<Place> chosen;
  for (auto entry = waiting_.rbegin(); entry != waiting_.rend() && count > 0; ++entry, --count) {
    if (entry->second.since <= arrived_by) chosen.push_back(entry->first);
  }
  std::vector<Waiting> taken;
  for (auto place = chosen.rbegin(); place != chosen.rend(); ++place) {
    const auto entry = waiting_.find(*place);
    taken.push_back(entry->second);
    forget(entry);
  }
  return taken;
}

std::optional<Instant> AskQueue::earliest_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

std::vector<Ask> AskQueue::sticky() const {
  std::vector<Ask> asks;
  for (const Place place : sticky_) asks.push_back(waiting_.at(place).ask);
  return asks;
}

void AskQueue::forget(std::map<Place, Waiting>::iterator entry) {
  places_.erase(entry->second.ask.key);
  deadlines_.erase({entry->second.ask.deadline, entry->first});
  sticky_.erase(entry->first);
  waiting_.erase(entry);
}

}  // namespace terway::ipam
