// SPDX-License-Identifier: Apache-2.0
// For tests: a node around Ipam, as the daemon would be: it journals what turn() says, starts what
// it says on a simulated cloud, brings NICs up, and hears of what comes back. Speaks the domain.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipam/ipam.h"
#include "ipam/simulated_cloud.h"

namespace terway::ipam {

// A journal in memory: what was written is what a restart finds.
class SimulatedJournal {
 public:
  void apply(const Changes& changes) {
    for (const EniRecord& eni : changes.enis) enis_[eni.key] = eni;
    for (const std::string& key : changes.erased_enis) enis_.erase(key);
    for (const net::IpAddress& address : changes.erased_addresses) addresses_.erase(address);
    for (const AddressRecord& record : changes.addresses) addresses_[record.address] = record;
    for (const Operation& operation : changes.begun) operations_[operation.id] = operation;
    for (const std::uint64_t id : changes.ended) operations_.erase(id);
  }
  Snapshot snapshot() const {
    Snapshot snapshot;
    for (const auto& [key, eni] : enis_) snapshot.enis.push_back(eni);
    for (const auto& [address, record] : addresses_) snapshot.addresses.push_back(record);
    for (const auto& [id, operation] : operations_) snapshot.operations.push_back(operation);
    return snapshot;
  }

 private:
  std::map<std::string, EniRecord> enis_;
  std::map<net::IpAddress, AddressRecord> addresses_;
  std::map<std::uint64_t, Operation> operations_;
};

class SimulatedNode {
 public:
  SimulatedNode(Settings settings_in, Limits limits_in, std::uint64_t seed = 1)
      : settings(std::move(settings_in)), limits(limits_in), seed_(seed) {
    cloud.on_reply = [this](const Outcome& outcome) { ipam->finished(outcome, now); };
    cloud.on_nic = [this](const std::string& id) {
      for (const EniRecord& eni : ipam->enis()) {
        if (eni.eni_id == id) ipam->nic_seen(eni.key, now);
      }
    };
    boot();
  }

  SimulatedCloud cloud;
  Settings settings;
  Limits limits;
  SimulatedJournal journal;
  std::unique_ptr<Ipam> ipam;
  Instant now{std::chrono::hours(1)};
  bool gateway_answers = true;

  // Die at the next turn, after the journal was written and before anything was done.
  bool die_at_next_turn = false;
  std::function<void(const Grant&)> on_grant = [](const Grant&) {};

  std::map<model::AttachmentKey, Grant> granted;
  std::map<model::AttachmentKey, Error> refused;
  std::vector<Notice> notices;
  std::vector<Operation> started;

  // The process dies and starts again with what the journal has.
  void restart() {
    cloud.forget_replies();
    boot();
  }

  static model::AttachmentKey key(const std::string& container) { return {container, "eth0"}; }
  void add(const std::string& container, Duration patience = std::chrono::minutes(5)) {
    add_pod(container, "pod-" + container, false, patience);
  }
  void add_pod(const std::string& container, const std::string& pod, bool sticky,
               Duration patience = std::chrono::minutes(5)) {
    Ask ask;
    ask.key = key(container);
    ask.pod.namespace_ = "default";
    ask.pod.name = pod;
    ask.sticky = sticky;
    ask.deadline = now + patience;
    ipam->ask(ask, now);
    step();
  }
  void del(const std::string& container) {
    granted.erase(key(container));
    ipam->release(key(container), now);
    step();
  }
  bool has(const std::string& container) const { return granted.contains(key(container)); }
  net::IpAddress address_of(const std::string& container) const {
    return granted.at(key(container)).addresses.front();
  }

  // Does what Ipam wants, until it wants nothing more now.
  void step() {
    for (int round = 0; round < 100; ++round) {
      const Turn turn = ipam->turn(now);
      journal.apply(turn.changes);
      if (tracing_) print_turn(turn);
      wake_at_ = turn.wake_at;
      notices.insert(notices.end(), turn.notices.begin(), turn.notices.end());
      if (die_at_next_turn) {
        die_at_next_turn = false;
        restart();
        continue;
      }
      for (const Grant& grant : turn.grants) {
        on_grant(grant);
        granted.insert_or_assign(grant.key, grant);
      }
      for (const Refusal& refusal : turn.refusals) {
        refused.insert_or_assign(refusal.key, refusal.error);
      }
      for (const Operation& operation : turn.start) {
        started.push_back(operation);
        cloud.start(operation, now);
      }
      bool heard = false;
      for (const std::string& id : turn.tear_down) {
        ipam->torn_down(id, now);
        heard = true;
      }
      for (const EniRecord& eni : turn.bring_up) {
        if (!cloud.nic_visible(eni.eni_id)) continue;
        heard = true;
        if (gateway_answers) {
          ipam->nic_ready(eni.key, now);
        } else {
          ipam->nic_failed(eni.key, "the gateway does not answer", now);
        }
      }
      if (!heard) return;
    }
  }

  // Time passes, with all that happens in it.
  void run_for(Duration duration) {
    const Instant end = now + duration;
    while (true) {
      Instant next = end;
      if (const auto event = cloud.next_event(); event && *event < next) next = *event;
      if (wake_at_ && *wake_at_ < next) next = *wake_at_;
      now = std::max(now, next);
      cloud.run_until(now);
      step();
      if (now >= end) return;
    }
  }

  void list(Listing::Source source = Listing::Source::Api) {
    now += std::chrono::seconds(1);
    ipam->learn({source, now, cloud.list()}, now);
    step();
  }
  std::size_t count(Notice::Kind kind) const {
    return static_cast<std::size_t>(std::count_if(notices.begin(), notices.end(),
                                                  [&](const Notice& n) { return n.kind == kind; }));
  }
  std::size_t count(OperationKind kind) const {
    return static_cast<std::size_t>(std::count_if(
        started.begin(), started.end(), [&](const Operation& o) { return o.kind == kind; }));
  }
  Ipam::Counts counts(net::Family family = net::Family::V4) const { return ipam->counts(family); }

  // TERWAY_TRACE=1 shows each turn, for whoever looks into a failure.
  void print_turn(const Turn& turn) const {
    const double at = std::chrono::duration<double>(now.time_since_epoch()).count() - 3600;
    for (const EniRecord& eni : turn.changes.enis) {
      fmt::print("{:9.3f} {} {} {} {}\n", at, eni.key.substr(0, 4), eni.eni_id,
                 to_string(eni.state), eni.last_error);
    }
    for (const std::string& key : turn.changes.erased_enis) {
      fmt::print("{:9.3f} {} erased\n", at, key.substr(0, 4));
    }
    for (const AddressRecord& record : turn.changes.addresses) {
      fmt::print("{:9.3f} {} {} {} {}\n", at, record.address.to_string(), to_string(record.state),
                 record.owner.container_id, record.pod.name);
    }
    for (const net::IpAddress& address : turn.changes.erased_addresses) {
      fmt::print("{:9.3f} {} erased\n", at, address.to_string());
    }
    for (const Operation& operation : turn.start) {
      fmt::print("{:9.3f} start {} {} {} {} {}+{} {}\n", at, operation.id,
                 to_string(operation.kind), operation.eni_key.substr(0, 4), operation.vswitch_id,
                 operation.ipv4_count, operation.ipv6_count, operation.addresses.size());
    }
    for (const Grant& grant : turn.grants) {
      fmt::print("{:9.3f} grant {} {}\n", at, grant.key.container_id,
                 grant.addresses.front().to_string());
    }
    for (const Refusal& refusal : turn.refusals) {
      fmt::print("{:9.3f} refuse {} {}\n", at, refusal.key.container_id, refusal.error.to_string());
    }
    for (const Notice& notice : turn.notices) {
      fmt::print("{:9.3f} notice {} {}\n", at, notice.subject, notice.message);
    }
  }

 private:
  void boot() {
    ipam = std::make_unique<Ipam>(settings, limits, Random(seed_++));
    ipam->restore(journal.snapshot(), now);
    wake_at_ = now;
  }

  const bool tracing_ = std::getenv("TERWAY_TRACE") != nullptr;
  std::uint64_t seed_;
  std::optional<Instant> wake_at_;
};

}  // namespace terway::ipam
