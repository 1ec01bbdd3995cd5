// SPDX-License-Identifier: Apache-2.0
#include "ipam/pool.h"

#include <algorithm>
#include <numeric>

namespace terway::ipam {
namespace {

bool is_owned(AddressState state) {
  return state == AddressState::Held || state == AddressState::Suspect;
}

bool is_kept(const AddressRecord& record) {
  return record.state == AddressState::Cooling && record.sticky;
}

}  // namespace

std::uint32_t Stock::total(net::Family family) const {
  return std::accumulate(counts_[family].begin(), counts_[family].end(), 0U);
}

std::uint32_t Stock::held() const {
  return of_state(AddressState::Held) + of_state(AddressState::Suspect);
}

std::uint32_t Stock::of_state(AddressState state) const {
  return count(net::Family::V4, state) + count(net::Family::V6, state);
}

Count Stock::idle() const {
  return {count(net::Family::V4, AddressState::Idle), count(net::Family::V6, AddressState::Idle)};
}

void Pool::add(const net::IpAddress& address, const std::string& eni_key, Instant now) {
  AddressRecord record;
  record.address = address;
  record.unit = net::Prefix::host(address);
  record.eni_key = eni_key;
  record.since = now;
  const bool recorded = erased_.erase(address) > 0;
  insert(record, recorded);
  changed_.insert(address);
}

void Pool::erase(const net::IpAddress& address) {
  const auto found = entries_.find(address);
  if (found == entries_.end()) return;
  unindex(found->second.record);
  changed_.erase(address);
  if (found->second.recorded) erased_.insert(address);
  entries_.erase(found);
}

void Pool::erase_eni(const std::string& eni_key) {
  const std::set<net::IpAddress> all = stock(eni_key).all();
  for (const net::IpAddress& address : all) erase(address);
  stocks_.erase(eni_key);
}

const AddressRecord* Pool::find(const net::IpAddress& address) const {
  const auto found = entries_.find(address);
  return found == entries_.end() ? nullptr : &found->second.record;
}

const Stock& Pool::stock(const std::string& eni_key) const {
  static const Stock empty;
  const auto found = stocks_.find(eni_key);
  return found == stocks_.end() ? empty : found->second;
}

std::vector<AddressRecord> Pool::records() const {
  std::vector<AddressRecord> all;
  all.reserve(entries_.size());
  for (const auto& [address, entry] : entries_) all.push_back(entry.record);
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  return all;
}

std::vector<net::IpAddress> Pool::owned_by(const model::AttachmentKey& key) const {
  const auto found = owned_.find(key);
  if (found == owned_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<net::IpAddress> Pool::kept_for(const model::Pod& pod) const {
  const auto found = kept_.find(pod.to_string());
  if (found == kept_.end()) return {};
  std::vector<net::IpAddress> kept;
  for (const net::IpAddress& address : found->second) {
    if (kept.empty() || find(address)->eni_key == find(kept.front())->eni_key) {
      kept.push_back(address);
    }
  }
  return kept;
}

void Pool::hold(const net::IpAddress& address, const model::AttachmentKey& key,
                const model::Pod& pod, bool sticky, Instant now) {
  change(entries_.at(address), [&](AddressRecord& record) {
    record.state = AddressState::Held;
    record.owner = key;
    record.pod = pod;
    record.sticky = sticky;
    record.since = now;
    record.until = {};
  });
}

void Pool::release(const model::AttachmentKey& key, Instant now, Instant until,
                   Instant kept_until) {
  for (const net::IpAddress& address : owned_by(key)) {
    change(entries_.at(address), [&](AddressRecord& record) {
      record.state = AddressState::Cooling;
      record.owner = {};
      record.since = now;
      record.until = record.sticky ? std::max(until, kept_until) : until;
    });
  }
}

void Pool::set_state(const net::IpAddress& address, AddressState state, Instant now) {
  change(entries_.at(address), [&](AddressRecord& record) {
    record.state = state;
    record.since = now;
    if (is_owned(state)) return;
    record.owner = {};
    if (state == AddressState::Cooling) return;
    record.pod = {};
    record.sticky = false;
    record.until = {};
  });
}

std::vector<net::IpAddress> Pool::warm_up(Instant now, Alarm& alarm) {
  std::vector<net::IpAddress> warm;
  while (!cooling_.empty()) {
    const auto [until, address] = *cooling_.begin();
    if (until > now) {
      alarm.at(until);
      break;
    }
    set_state(address, AddressState::Idle, until);
    warm.push_back(address);
  }
  return warm;
}

std::optional<net::IpAddress> Pool::next_to_cool(const std::string& eni_key,
                                                 net::Family family) const {
  for (const auto& [until, address] : cooling_) {
    if (address.family() == family && find(address)->eni_key == eni_key) return address;
  }
  return std::nullopt;
}

std::vector<net::IpAddress> Pool::cooling_on(const std::string& eni_key) const {
  std::vector<net::IpAddress> cooling;
  for (const net::IpAddress& address : stock(eni_key).all()) {
    if (find(address)->state == AddressState::Cooling) cooling.push_back(address);
  }
  return cooling;
}

void Pool::cut_short(const net::IpAddress& address, Instant now) {
  set_state(address, AddressState::Idle, now);
}

void Pool::collect(Changes& changes) {
  for (const net::IpAddress& address : changed_) {
    Entry& entry = entries_.at(address);
    entry.recorded = true;
    changes.addresses.push_back(entry.record);
  }
  changes.erased_addresses.insert(changes.erased_addresses.end(), erased_.begin(), erased_.end());
  changed_.clear();
  erased_.clear();
}

void Pool::insert(const AddressRecord& record, bool recorded) {
  const auto [entry, added] = entries_.emplace(record.address, Entry{record, recorded});
  if (!added) return;
  index(record);
}

void Pool::index(const AddressRecord& record) {
  const net::Family family = record.address.family();
  Stock& stock = stocks_[record.eni_key];
  stock.all_.insert(record.address);
  ++stock.counts_[family][static_cast<std::size_t>(record.state)];
  if (record.state == AddressState::Idle) {
    stock.idle_[family].emplace(record.since, record.address);
  }
  if (record.state == AddressState::Cooling) cooling_.emplace(record.until, record.address);
  if (is_owned(record.state)) owned_[record.owner].insert(record.address);
  if (is_kept(record)) kept_[record.pod.to_string()].insert(record.address);
}

void Pool::unindex(const AddressRecord& record) {
  const net::Family family = record.address.family();
  Stock& stock = stocks_[record.eni_key];
  stock.all_.erase(record.address);
  --stock.counts_[family][static_cast<std::size_t>(record.state)];
  stock.idle_[family].erase({record.since, record.address});
  cooling_.erase({record.until, record.address});
  if (is_owned(record.state)) {
    const auto owner = owned_.find(record.owner);
    owner->second.erase(record.address);
    if (owner->second.empty()) owned_.erase(owner);
  }
  if (is_kept(record)) {
    const auto pod = kept_.find(record.pod.to_string());
    pod->second.erase(record.address);
    if (pod->second.empty()) kept_.erase(pod);
  }
}

}  // namespace terway::ipam
