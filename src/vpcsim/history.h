// SPDX-License-Identifier: Apache-2.0
// An instance's ENIs as they were at any recent moment: what the metadata service, which lags,
// tells.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/eni.h"

namespace terway::vpcsim {

class World;

// What the metadata service knows of one ENI.
struct NicView {
  model::Eni eni;
  net::Prefix vswitch_cidr;
  std::optional<net::Prefix> vswitch_ipv6_cidr;
  net::IpAddress gateway;
  std::optional<net::IpAddress> gateway_ipv6;
};

// Only what is InUse; the primary one first.
using NicViews = std::vector<NicView>;

// For one thread.
class History {
 public:
  // Of each instance that changed. Snapshots that nobody can ask for any more are dropped: of those
  // older than kKept one is left.
  void record(const World& world, const std::string& instance_id, Instant now);
  void forget(const std::string& instance_id) { snapshots_.erase(instance_id); }

  // As of that moment; the oldest known when it lies before. Null: an unknown instance.
  std::shared_ptr<const NicViews> at(const std::string& instance_id, Instant when) const;

  static constexpr Duration kKept = std::chrono::minutes(10);

 private:
  struct Snapshot {
    Instant since;
    std::shared_ptr<const NicViews> nics;
  };
  std::map<std::string, std::deque<Snapshot>> snapshots_;
};

// The ENIs of an instance now.
NicViews nics_of(const World& world, const std::string& instance_id);

}  // namespace terway::vpcsim
