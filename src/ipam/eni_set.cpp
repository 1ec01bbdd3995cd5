// SPDX-License-Identifier: Apache-2.0
#include "ipam/eni_set.h"

#include <utility>

namespace terway::ipam {

void EniSet::restore(const EniRecord& record) {
  enis_[record.key].record = record;
  recorded_.insert(record.key);
}

Eni& EniSet::add(EniRecord record) {
  const std::string key = record.key;
  changed_.insert(key);
  erased_.erase(key);
  Eni& eni = enis_[key];
  eni.record = std::move(record);
  return eni;
}

void EniSet::erase(const std::string& key) {
  if (recorded_.erase(key) > 0) erased_.insert(key);
  changed_.erase(key);
  enis_.erase(key);
}

Eni* EniSet::find(const std::string& key) {
  const auto found = enis_.find(key);
  return found == enis_.end() ? nullptr : &found->second;
}

const Eni* EniSet::find(const std::string& key) const {
  const auto found = enis_.find(key);
  return found == enis_.end() ? nullptr : &found->second;
}

Eni* EniSet::find_by_id(const std::string& eni_id) {
  if (eni_id.empty()) return nullptr;
  for (auto& [key, eni] : enis_) {
    if (eni.record.eni_id == eni_id) return &eni;
  }
  return nullptr;
}

void EniSet::collect(Changes& changes) {
  for (const std::string& key : changed_) {
    recorded_.insert(key);
    changes.enis.push_back(enis_.at(key).record);
  }
  changes.erased_enis.insert(changes.erased_enis.end(), erased_.begin(), erased_.end());
  changed_.clear();
  erased_.clear();
}

}  // namespace terway::ipam
