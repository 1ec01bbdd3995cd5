// SPDX-License-Identifier: Apache-2.0
// For tests: a cloud in memory, with quotas, delays, client tokens and faults on demand. It answers
// the operations that Ipam begins; time is handed in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ipam/ipam.h"

namespace terway::ipam {

class SimulatedCloud {
 public:
  std::uint32_t max_enis = 3;  // attached at a time, the primary one not among them
  std::uint32_t ipv4_per_eni = 10;
  std::uint32_t ipv6_per_eni = 10;
  Duration call_delay = std::chrono::milliseconds(100);
  Duration attach_delay = std::chrono::seconds(3);
  Duration nic_delay = std::chrono::milliseconds(500);
  Duration detach_delay = std::chrono::seconds(2);
  model::Tags tags = {{"creator", "terway"}, {"node", "n1"}};
  std::string instance_id = "i-1";

  // What goes wrong with a call. A refusal has no effect; a lost reply has all of it.
  struct Trouble {
    enum class Kind : std::uint8_t { None, Refused, LostReply, Partial } kind = Kind::None;
    std::optional<Error> error;  // Refused
    Duration delay{};            // on top of call_delay
  };
  std::function<Trouble(const Operation&)> trouble = [](const Operation&) { return Trouble{}; };
  bool attaching_ends = true;
  bool nics_appear = true;

  // What happened, for a test's assertions.
  std::map<OperationKind, std::uint32_t> calls;
  std::map<std::string, std::uint32_t> made_by_token;  // ENIs

  // What the node hears of.
  std::function<void(const Outcome&)> on_reply;
  std::function<void(const std::string& eni_id)> on_nic;

  void add_vswitch(const std::string& id, std::string_view cidr, std::uint32_t addresses) {
    VSwitch vswitch;
    vswitch.cidr = *net::Prefix::parse(cidr);
    for (std::uint32_t i = 1; i <= addresses; ++i) {
      vswitch.free.push_back(vswitch.cidr.first().plus(i));
    }
    vswitches_[id] = std::move(vswitch);
  }
  // Somebody else takes all but `left`.
  void drain_vswitch(const std::string& id, std::size_t left) {
    auto& free = vswitches_.at(id).free;
    while (free.size() > left) free.pop_back();
  }
  void refill_vswitch(const std::string& id, std::uint32_t from, std::uint32_t count) {
    VSwitch& vswitch = vswitches_.at(id);
    for (std::uint32_t i = 0; i < count; ++i) {
      vswitch.free.push_back(vswitch.cidr.first().plus(from + i));
    }
  }

  void start(const Operation& operation, Instant now) {
    ++calls[operation.kind];
    const Trouble trouble_now = trouble(operation);
    const Duration delay = call_delay + trouble_now.delay;
    at(now + delay / 2, [this, operation, trouble_now, delay, life = life_](Instant then) {
      Outcome outcome;
      outcome.operation_id = operation.id;
      if (trouble_now.kind == Trouble::Kind::Refused) {
        outcome.error = trouble_now.error;
      } else {
        partial_ = trouble_now.kind == Trouble::Kind::Partial;
        outcome = carry_out(operation, then);
      }
      if (trouble_now.kind == Trouble::Kind::LostReply) {
        outcome = {};
        outcome.operation_id = operation.id;
        outcome.error = Error(Error::Kind::Unavailable, "connection reset");
      }
      at(then + delay / 2, [this, outcome, life](Instant) {
        if (life == life_) on_reply(outcome);
      });
    });
  }
  // The process died: the replies under way have nobody to go to.
  void forget_replies() { ++life_; }

  std::optional<Instant> next_event() const {
    if (events_.empty()) return std::nullopt;
    return events_.begin()->first;
  }
  void run_until(Instant now) {
    while (!events_.empty() && events_.begin()->first <= now) {
      const auto first = events_.begin();
      const Instant then = first->first;
      const auto action = std::move(first->second);
      events_.erase(first);
      action(then);
    }
  }

  // As DescribeNetworkInterfaces shows this instance's (and, by their tags, this node's).
  std::vector<model::Eni> list() const {
    std::vector<model::Eni> enis;
    for (const auto& [id, eni] : enis_) enis.push_back(eni.eni);
    return enis;
  }
  model::Eni* find(const std::string& id) {
    const auto found = enis_.find(id);
    return found == enis_.end() ? nullptr : &found->second.eni;
  }
  // An ENI that somebody else made.
  void put(model::Eni eni) {
    const std::string id = eni.id;
    enis_[id].eni = std::move(eni);
  }
  void remove(const std::string& id) { enis_.erase(id); }
  bool nic_visible(const std::string& id) const { return nics_.contains(id); }
  std::size_t free_in(const std::string& vswitch) const {
    return vswitches_.at(vswitch).free.size();
  }

 private:
  struct VSwitch {
    net::Prefix cidr;
    std::deque<net::IpAddress> free;
  };
  struct Eni {
    model::Eni eni;
    std::string token;
  };

  void at(Instant instant, std::function<void(Instant)> action) {
    events_.emplace(instant, std::move(action));
  }

  Outcome carry_out(const Operation& operation, Instant now) {
    Outcome outcome;
    switch (operation.kind) {
      case OperationKind::CreateEni:
        outcome = create(operation);
        break;
      case OperationKind::AttachEni:
        outcome = attach(operation, now);
        break;
      case OperationKind::DetachEni:
        outcome = detach(operation, now);
        break;
      case OperationKind::DeleteEni:
        outcome = erase(operation);
        break;
      case OperationKind::AssignIpv4:
      case OperationKind::AssignIpv6:
        outcome = assign(operation);
        break;
      case OperationKind::UnassignIpv4:
      case OperationKind::UnassignIpv6:
        outcome = unassign(operation);
        break;
      case OperationKind::DescribeEni:
        outcome = describe(operation);
        break;
      case OperationKind::DescribeVSwitch:
        outcome.vswitch.emplace();
        outcome.vswitch->id = operation.vswitch_id;
        outcome.vswitch->available_addresses = vswitches_.at(operation.vswitch_id).free.size();
        break;
    }
    outcome.operation_id = operation.id;
    return outcome;
  }

  static Outcome refused(Error::Kind kind, const std::string& code) {
    Outcome outcome;
    outcome.error = Error(kind, "refused").with_code(code, "req-1");
    return outcome;
  }

  Outcome create(const Operation& operation) {
    Outcome outcome;
    if (const auto made = created_.find(operation.client_token); made != created_.end()) {
      const model::Eni* eni = find(made->second);
      if (eni == nullptr) return refused(Error::Kind::Invalid, "IdempotentFailed");
      outcome.eni = *eni;
      return outcome;
    }
    VSwitch& vswitch = vswitches_.at(operation.vswitch_id);
    if (vswitch.free.size() < operation.ipv4_count) {
      return refused(Error::Kind::Exhausted, "InvalidVSwitchId.IpNotEnough");
    }
    if (operation.ipv4_count > ipv4_per_eni || operation.ipv6_count > ipv6_per_eni) {
      return refused(Error::Kind::Exhausted, "QuotaExceeded.PrivateIpAddress");
    }
    Eni eni;
    const std::uint32_t number = ++made_;
    eni.token = operation.client_token;
    eni.eni.id = "eni-" + std::to_string(number);
    eni.eni.status = model::EniStatus::Available;
    eni.eni.mac.bytes = {0,
                         0x16,
                         0x3e,
                         0,
                         static_cast<std::uint8_t>(number >> 8),
                         static_cast<std::uint8_t>(number)};
    eni.eni.vswitch_id = operation.vswitch_id;
    eni.eni.tags = tags;
    for (std::uint32_t i = 0; i < operation.ipv4_count; ++i) eni.eni.ipv4.push_back(take(vswitch));
    for (std::uint32_t i = 0; i < operation.ipv6_count; ++i) eni.eni.ipv6.push_back(next_ipv6());
    eni.eni.primary_address = eni.eni.ipv4.front();
    created_[operation.client_token] = eni.eni.id;
    ++made_by_token[operation.client_token];
    outcome.eni = eni.eni;
    enis_[eni.eni.id] = std::move(eni);
    return outcome;
  }

  Outcome attach(const Operation& operation, Instant now) {
    model::Eni* eni = find(operation.eni_id);
    if (eni == nullptr) return refused(Error::Kind::NotFound, "InvalidEniId.NotFound");
    if (eni->status != model::EniStatus::Available) {
      return refused(Error::Kind::Unavailable, "InvalidOperation.InvalidEniState");
    }
    const auto attached = std::count_if(enis_.begin(), enis_.end(), [](const auto& entry) {
      return entry.second.eni.status != model::EniStatus::Available;
    });
    if (attached >= static_cast<std::ptrdiff_t>(max_enis)) {
      return refused(Error::Kind::Exhausted, "EniPerInstanceLimitExceeded");
    }
    eni->status = model::EniStatus::Attaching;
    eni->instance_id = instance_id;
    if (!attaching_ends) return {};
    at(now + attach_delay, [this, id = eni->id](Instant then) {
      model::Eni* attaching = find(id);
      if (attaching == nullptr || attaching->status != model::EniStatus::Attaching) return;
      attaching->status = model::EniStatus::InUse;
      if (!nics_appear) return;
      at(then + nic_delay, [this, id](Instant) {
        const model::Eni* in_use = find(id);
        if (in_use == nullptr || in_use->status != model::EniStatus::InUse) return;
        nics_.insert(id);
        on_nic(id);
      });
    });
    return {};
  }

  Outcome detach(const Operation& operation, Instant now) {
    model::Eni* eni = find(operation.eni_id);
    if (eni == nullptr) return refused(Error::Kind::NotFound, "InvalidEniId.NotFound");
    if (eni->status == model::EniStatus::Available || eni->status == model::EniStatus::Detaching) {
      return refused(Error::Kind::Unavailable, "InvalidOperation.InvalidEniState");
    }
    eni->status = model::EniStatus::Detaching;
    nics_.erase(eni->id);
    at(now + detach_delay, [this, id = eni->id](Instant) {
      model::Eni* detaching = find(id);
      if (detaching == nullptr || detaching->status != model::EniStatus::Detaching) return;
      detaching->status = model::EniStatus::Available;
      detaching->instance_id.clear();
    });
    return {};
  }

  Outcome erase(const Operation& operation) {
    const model::Eni* eni = find(operation.eni_id);
    if (eni == nullptr) return refused(Error::Kind::NotFound, "InvalidEniId.NotFound");
    if (eni->status != model::EniStatus::Available) {
      return refused(Error::Kind::Unavailable, "InvalidOperation.InvalidEniState");
    }
    for (const net::IpAddress& address : eni->ipv4) {
      vswitches_.at(eni->vswitch_id).free.push_back(address);
    }
    enis_.erase(operation.eni_id);
    return {};
  }

  Outcome assign(const Operation& operation) {
    Outcome outcome;
    model::Eni* eni = find(operation.eni_id);
    if (eni == nullptr) return refused(Error::Kind::NotFound, "InvalidEniId.NotFound");
    if (const auto done = assigned_.find(operation.client_token); done != assigned_.end()) {
      outcome.addresses = done->second;
      return outcome;
    }
    if (eni->status != model::EniStatus::InUse && eni->status != model::EniStatus::Available) {
      return refused(Error::Kind::Unavailable, "InvalidOperation.InvalidEniState");
    }
    if (eni->ipv4.size() + operation.ipv4_count > ipv4_per_eni) {
      return refused(Error::Kind::Exhausted, "InvalidOperation.Ipv4CountExceeded");
    }
    if (eni->ipv6.size() + operation.ipv6_count > ipv6_per_eni) {
      return refused(Error::Kind::Exhausted, "InvalidOperation.Ipv6CountExceeded");
    }
    VSwitch& vswitch = vswitches_.at(eni->vswitch_id);
    if (vswitch.free.size() < operation.ipv4_count) {
      return refused(Error::Kind::Exhausted, "InvalidVSwitchId.IpNotEnough");
    }
    const std::uint32_t wanted = operation.ipv4_count + operation.ipv6_count;
    const std::uint32_t count = partial_ ? (wanted + 1) / 2 : wanted;
    const bool v4 = operation.kind == OperationKind::AssignIpv4;
    for (std::uint32_t i = 0; i < count; ++i) {
      outcome.addresses.push_back(v4 ? take(vswitch) : next_ipv6());
      (v4 ? eni->ipv4 : eni->ipv6).push_back(outcome.addresses.back());
    }
    assigned_[operation.client_token] = outcome.addresses;
    return outcome;
  }

  Outcome unassign(const Operation& operation) {
    model::Eni* eni = find(operation.eni_id);
    if (eni == nullptr) return refused(Error::Kind::NotFound, "InvalidEniId.NotFound");
    bool any = false;
    for (const net::IpAddress& address : operation.addresses) {
      auto& list = address.is_v4() ? eni->ipv4 : eni->ipv6;
      if (std::erase(list, address) == 0) continue;
      any = true;
      if (address.is_v4()) vswitches_.at(eni->vswitch_id).free.push_back(address);
    }
    return any ? Outcome{} : refused(Error::Kind::NotFound, "InvalidIp.IpUnassigned");
  }

  Outcome describe(const Operation& operation) {
    Outcome outcome;
    for (const auto& [id, eni] : enis_) {
      if (operation.eni_id.empty() ? eni.token == operation.client_token : id == operation.eni_id) {
        outcome.eni = eni.eni;
        return outcome;
      }
    }
    return refused(Error::Kind::NotFound, "InvalidEniId.NotFound");
  }

  static net::IpAddress take(VSwitch& vswitch) {
    const net::IpAddress address = vswitch.free.front();
    vswitch.free.pop_front();
    return address;
  }
  net::IpAddress next_ipv6() { return net::IpAddress::parse("2001:db8::")->plus(++ipv6_made_); }

  std::map<std::string, VSwitch> vswitches_;
  std::map<std::string, Eni> enis_;
  std::set<std::string> nics_;
  std::map<std::string, std::string> created_;  // by token
  std::map<std::string, std::vector<net::IpAddress>> assigned_;
  std::multimap<Instant, std::function<void(Instant)>> events_;
  std::uint64_t life_ = 0;
  std::uint32_t made_ = 0;
  std::uint64_t ipv6_made_ = 0;
  bool partial_ = false;
};

}  // namespace terway::ipam
