// SPDX-License-Identifier: Apache-2.0
// The addresses of this node's ENIs and who owns them. Every change goes through here, so that the
// indexes, the counts and what the journal must be told never disagree with the records.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ipam/backoff.h"
#include "ipam/per_family.h"
#include "ipam/record.h"

namespace terway::ipam {

// The addresses of one ENI.
class Stock {
 public:
  std::uint32_t count(net::Family family, AddressState state) const {
    return counts_[family][static_cast<std::size_t>(state)];
  }
  std::uint32_t total(net::Family family) const;
  std::uint32_t held() const;  // by pods, Suspect ones included; both families
  std::uint32_t of_state(AddressState state) const;  // both families
  Count idle() const;
  const std::set<net::IpAddress>& all() const { return all_; }
  // Idle longest first.
  const std::set<std::pair<Instant, net::IpAddress>>& idle(net::Family family) const {
    return idle_[family];
  }

 private:
  friend class Pool;
  PerFamily<std::array<std::uint32_t, 5>> counts_;
  PerFamily<std::set<std::pair<Instant, net::IpAddress>>> idle_;
  std::set<net::IpAddress> all_;
};

class Pool {
 public:
  void restore(const AddressRecord& record) { insert(record, true); }
  // Idle since `now`, confirmed by the cloud.
  void add(const net::IpAddress& address, const std::string& eni_key, Instant now);
  void erase(const net::IpAddress& address);
  void erase_eni(const std::string& eni_key);

  const AddressRecord* find(const net::IpAddress& address) const;
  const Stock& stock(const std::string& eni_key) const;
  std::vector<AddressRecord> records() const;
  // Empty if it owns none.
  std::vector<net::IpAddress> owned_by(const model::AttachmentKey& key) const;
  // Idle or Cooling addresses that are kept for this pod's name, all of one ENI.
  std::vector<net::IpAddress> kept_for(const model::Pod& pod) const;

  void hold(const net::IpAddress& address, const model::AttachmentKey& key, const model::Pod& pod,
            bool sticky, Instant now);
  // Whatever `key` owns cools down until `until`; a sticky one is kept for its pod until
  // `kept_until`.
  void release(const model::AttachmentKey& key, Instant now, Instant until, Instant kept_until);
  void set_state(const net::IpAddress& address, AddressState state, Instant now);
  // The cool-downs that are over make their addresses idle: these.
  std::vector<net::IpAddress> warm_up(Instant now, Alarm& alarm);
  // The Cooling address of `eni_key` whose time is up first.
  std::optional<net::IpAddress> next_to_cool(const std::string& eni_key, net::Family family) const;
  // All of them.
  std::vector<net::IpAddress> cooling_on(const std::string& eni_key) const;
  void cut_short(const net::IpAddress& address, Instant now);

  // Appends the records that changed since the last time.
  void collect(Changes& changes);

 private:
  struct Entry {
    AddressRecord record;
    bool recorded = false;  // the journal has (some version of) it
  };
  using Entries = std::unordered_map<net::IpAddress, Entry>;

  void insert(const AddressRecord& record, bool recorded);
  void index(const AddressRecord& record);
  void unindex(const AddressRecord& record);
  template <class Change>
  void change(Entry& entry, Change&& apply) {
    unindex(entry.record);
    apply(entry.record);
    index(entry.record);
    changed_.insert(entry.record.address);
  }

  Entries entries_;
  std::map<std::string, Stock> stocks_;
  std::map<model::AttachmentKey, std::set<net::IpAddress>> owned_;
  std::set<std::pair<Instant, net::IpAddress>> cooling_;
  std::unordered_map<std::string, std::set<net::IpAddress>> kept_;  // by pod
  std::set<net::IpAddress> changed_;
  std::set<net::IpAddress> erased_;
};

}  // namespace terway::ipam
