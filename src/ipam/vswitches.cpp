// SPDX-License-Identifier: Apache-2.0
#include "ipam/vswitches.h"

#include <algorithm>

#include "ipam/per_family.h"

namespace terway::ipam {

void VSwitches::configure(const Settings& settings) {
  policy_ = settings.vswitch_policy;
  probe_after_ = settings.vswitch_probe_after;
  ids_ = settings.vswitch_ids;
  const bool choice_needs_counts = policy_ == VSwitchPolicy::Most && ids_.size() > 1;
  for (const std::string& id : ids_) {
    VSwitch& vswitch = vswitches_[id];
    if (choice_needs_counts && !vswitch.asked) vswitch.lookup_now = true;
  }
}

std::uint32_t VSwitches::allowance(const std::string& id) const {
  const auto found = vswitches_.find(id);
  if (found == vswitches_.end() || found->second.breaker == Breaker::Closed) return kNoLimit;
  if (found->second.breaker == Breaker::Open) return 0;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(found->second.available.value_or(0), kNoLimit));
}

std::optional<std::string> VSwitches::choose(Instant now, Random& random) {
  std::vector<std::string> usable;
  for (const std::string& id : ids_) {
    if (allowance(id) > 0) usable.push_back(id);
  }
  if (usable.empty()) return std::nullopt;
  if (policy_ == VSwitchPolicy::Random) return usable[random.below(usable.size())];
  if (usable.size() == 1) return usable.front();
  std::string best;
  std::uint64_t most = 0;
  for (const std::string& id : usable) {
    VSwitch& vswitch = vswitches_[id];
    if (now - vswitch.learnt > probe_after_) vswitch.lookup_now = true;
    const std::uint64_t available = vswitch.available.value_or(0);
    if (best.empty() || available > most) {
      best = id;
      most = available;
    }
  }
  return best;
}

bool VSwitches::undecided() const {
  if (policy_ == VSwitchPolicy::Random || ids_.size() < 2) return false;
  return std::any_of(ids_.begin(), ids_.end(),
                     [this](const std::string& id) { return !vswitches_.at(id).asked; });
}

bool VSwitches::all_exhausted() const {
  return std::all_of(ids_.begin(), ids_.end(),
                     [this](const std::string& id) { return allowance(id) == 0; });
}

std::vector<std::string> VSwitches::exhausted_ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, vswitch] : vswitches_) {
    if (allowance(id) == 0) ids.push_back(id);
  }
  return ids;
}

void VSwitches::take(const std::string& id, std::uint32_t count) {
  VSwitch& vswitch = vswitches_[id];
  if (vswitch.available) {
    *vswitch.available -= std::min<std::uint64_t>(*vswitch.available, count);
  }
  if (vswitch.breaker == Breaker::Low && vswitch.available.value_or(0) == 0) {
    vswitch.breaker = Breaker::Open;
  }
}

bool VSwitches::exhausted(const std::string& id, std::uint32_t wanted, Instant now) {
  VSwitch& vswitch = vswitches_[id];
  const bool news = vswitch.breaker == Breaker::Closed;
  // A few may be left; that is asked once, not after each refusal.
  if (news) vswitch.lookup_now = wanted > 1;
  vswitch.breaker = Breaker::Open;
  vswitch.wanted = wanted;
  vswitch.probe_at = now + probe_after_;
  return news;
}

void VSwitches::gave_back(const std::string& id, std::uint32_t count) {
  const auto found = vswitches_.find(id);
  if (found == vswitches_.end()) return;
  VSwitch& vswitch = found->second;
  if (vswitch.breaker == Breaker::Closed) {
    if (vswitch.available) *vswitch.available += count;
    return;
  }
  vswitch.available = (vswitch.breaker == Breaker::Low ? vswitch.available.value_or(0) : 0) + count;
  vswitch.breaker = Breaker::Low;
}

bool VSwitches::learn(const model::VSwitch& seen, Instant now) {
  VSwitch& vswitch = vswitches_[seen.id];
  vswitch.looking_up = false;
  vswitch.lookup_now = false;
  vswitch.asked = true;
  vswitch.learnt = now;
  vswitch.available = seen.available_addresses;
  if (vswitch.breaker == Breaker::Closed) return false;
  if (seen.available_addresses == 0) {
    vswitch.breaker = Breaker::Open;
    if (now >= vswitch.probe_at) vswitch.probe_at = now + probe_after_;
    return false;
  }
  if (now >= vswitch.probe_at) {
    vswitch.breaker = Breaker::Closed;
    return true;
  }
  // Sooner than that, a count that contradicts the refusal is not believed.
  if (seen.available_addresses < vswitch.wanted) vswitch.breaker = Breaker::Low;
  return false;
}

bool VSwitches::lookup_failed(const std::string& id, Instant now) {
  VSwitch& vswitch = vswitches_[id];
  vswitch.looking_up = false;
  vswitch.lookup_now = false;
  vswitch.asked = true;
  vswitch.learnt = now;
  if (vswitch.breaker == Breaker::Closed || now < vswitch.probe_at) return false;
  vswitch.breaker = Breaker::Closed;
  return true;
}

std::vector<std::string> VSwitches::take_lookups(Instant now, Alarm& alarm) {
  std::vector<std::string> ids;
  for (auto& [id, vswitch] : vswitches_) {
    if (vswitch.looking_up) continue;
    if (vswitch.breaker != Breaker::Closed && !vswitch.lookup_now) {
      if (now < vswitch.probe_at) {
        alarm.at(vswitch.probe_at);
        continue;
      }
      vswitch.lookup_now = true;
    }
    if (!vswitch.lookup_now) continue;
    vswitch.looking_up = true;
    vswitch.lookup_now = false;
    ids.push_back(id);
  }
  return ids;
}

}  // namespace terway::ipam
