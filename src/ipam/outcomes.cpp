// SPDX-License-Identifier: Apache-2.0
// What the cloud answered, and what follows from it. An error that passes is retried with the same
// id and token; one that does not is told to the pods that waited for it; "already so" is success.
#include <fmt/core.h>

#include "ipam/state.h"

namespace terway::ipam {
namespace {

constexpr std::string_view kVSwitchExhausted = "InvalidVSwitchId.IpNotEnough";
constexpr std::uint8_t kAgreeing = 2;  // lookups that have to say the same
constexpr std::uint32_t kFailuresWorthANotice = 3;

bool passes(const Error& error) {
  return error.kind() == Error::Kind::Throttled || error.kind() == Error::Kind::Unavailable;
}

bool is_done(const Outcome& outcome) {
  return !outcome.error || outcome.error->kind() == Error::Kind::Exists ||
         outcome.error->kind() == Error::Kind::NotFound;
}

net::Family family_of(OperationKind kind) {
  return kind == OperationKind::AssignIpv4 || kind == OperationKind::UnassignIpv4 ? net::Family::V4
                                                                                  : net::Family::V6;
}

const std::string& subject_of(const Operation& operation) {
  if (!operation.eni_id.empty()) return operation.eni_id;
  return operation.eni_key.empty() ? operation.vswitch_id : operation.eni_key;
}

}  // namespace

void Ipam::State::finished(const Outcome& outcome, Instant now) {
  OpenOperation* attempt = operations.find(outcome.operation_id);
  if (attempt == nullptr || !attempt->in_flight) return;
  const Operation& operation = attempt->operation;
  if (outcome.error && !only_reads(operation.kind)) last_error = Fault{*outcome.error, now};
  if (outcome.error && passes(*outcome.error)) {
    operations.retry(*attempt, *outcome.error, now, random);
    if (attempt->backoff.failures() == kFailuresWorthANotice) {
      notify(
          Notice::Kind::CloudFault, subject_of(operation),
          fmt::format("{}: {}; retrying", to_string(operation.kind), outcome.error->to_string()));
    }
    return;
  }
  const OpenOperation open = operations.end(outcome.operation_id);
  switch (open.operation.kind) {
    case OperationKind::CreateEni:
      return created(open, outcome, now);
    case OperationKind::AttachEni:
      return attached(open, outcome, now);
    case OperationKind::DetachEni:
      return detached(open, outcome, now);
    case OperationKind::DeleteEni:
      return deleted(open, outcome, now);
    case OperationKind::AssignIpv4:
    case OperationKind::AssignIpv6:
      return assigned(open, outcome, now);
    case OperationKind::UnassignIpv4:
    case OperationKind::UnassignIpv6:
      return unassigned(open, outcome, now);
    case OperationKind::DescribeEni:
      return described(open, outcome, now);
    case OperationKind::DescribeVSwitch:
      return described_vswitch(open, outcome, now);
  }
}

void Ipam::State::fail_for_good(const Error& error, const std::string& subject, Instant now) {
  fault = Fault{error, now};
  notify(Notice::Kind::CloudFault, subject, error.to_string());
}

void Ipam::State::exhaust_vswitch(const std::string& id, std::uint32_t wanted, const Error& error,
                                  Instant now) {
  if (!vswitches.exhausted(id, wanted, now)) return;
  notify(Notice::Kind::VSwitchExhausted, id,
         fmt::format("vSwitch {} has no address left for a call that wanted {}: {}", id, wanted,
                     error.to_string()));
}

void Ipam::State::created(const OpenOperation& open, const Outcome& outcome, Instant now) {
  Eni* eni = enis.find(open.operation.eni_key);
  if (eni == nullptr) return;
  eni->operation.reset();
  eni->pending = {};
  if (!outcome.error && outcome.eni && !outcome.eni->id.empty()) {
    return adopt_new(*eni, *outcome.eni, now);
  }
  bool may_exist = open.unsure || !outcome.error;
  if (outcome.error) {
    const Error& error = *outcome.error;
    enis.changed(*eni);
    eni->record.last_error = error.to_string();
    if (error.kind() == Error::Kind::Exists) {
      may_exist = true;
    } else if (error.code() == kVSwitchExhausted) {
      exhaust_vswitch(open.operation.vswitch_id, open.operation.ipv4_count, error, now);
    } else if (error.kind() == Error::Kind::Exhausted) {
      reach_limit(error, now);
    } else {
      fail_for_good(error, eni->record.key, now);
      create_backoff.fail(now, random);
    }
  }
  // An attempt whose reply was lost may have made it all the same.
  if (may_exist) return look_up_soon(*eni, now);
  forget(eni->record.key, now);
}

void Ipam::State::adopt_new(Eni& eni, const model::Eni& seen, Instant now) {
  if (const Eni* known = enis.find_by_id(seen.id); known != nullptr && known != &eni) {
    return forget(eni.record.key, now);  // a listing told of it before
  }
  eni.record.eni_id = seen.id;
  eni.record.mac = seen.mac;
  if (!seen.vswitch_id.empty()) eni.record.vswitch_id = seen.vswitch_id;
  eni.record.primary_address = seen.primary_address;
  eni_sightings.erase(seen.id);
  enter(eni, EniState::Created, now);
  for (const net::IpAddress& address : seen.ipv4) admit(address, eni, now);
  for (const net::IpAddress& address : seen.ipv6) admit(address, eni, now);
  if (seen.status == model::EniStatus::InUse) enter(eni, EniState::Attached, now);
}

void Ipam::State::attached(const OpenOperation& open, const Outcome& outcome, Instant now) {
  Eni* eni = enis.find(open.operation.eni_key);
  if (eni == nullptr) return;
  eni->operation.reset();
  if (eni->record.state != EniState::Attaching) return;
  if (!outcome.error || outcome.error->kind() == Error::Kind::Exists) {
    limit_hits = 0;
    eni->accepted = true;
    eni->lookup_at = now + eni->lookup_interval;
    return;
  }
  const Error& error = *outcome.error;
  enis.changed(*eni);
  eni->record.last_error = error.to_string();
  ++eni->record.failures;
  if (error.kind() == Error::Kind::Exhausted) {
    reach_limit(error, now);
  } else {
    fail_for_good(error, eni->record.eni_id, now);
    create_backoff.fail(now, random);
  }
  enter(*eni, open.unsure ? EniState::Detaching : EniState::Deleting, now);
}

void Ipam::State::detached(const OpenOperation& open, const Outcome& outcome, Instant now) {
  Eni* eni = enis.find(open.operation.eni_key);
  if (eni == nullptr) return;
  eni->operation.reset();
  if (eni->record.state != EniState::Detaching) return;
  if (!outcome.error || outcome.error->kind() == Error::Kind::Exists) {
    eni->accepted = true;
    eni->lookup_at = now + eni->lookup_interval;
    return;
  }
  if (outcome.error->kind() == Error::Kind::NotFound) return enter(*eni, EniState::Deleting, now);
  enis.changed(*eni);
  eni->record.last_error = outcome.error->to_string();
  ++eni->record.failures;
  eni->leave.fail(now, random);
  look_up_soon(*eni, now);
}

void Ipam::State::deleted(const OpenOperation& open, const Outcome& outcome, Instant now) {
  Eni* eni = enis.find(open.operation.eni_key);
  if (eni == nullptr) return;
  eni->operation.reset();
  if (eni->record.state != EniState::Deleting) return;
  if (is_done(outcome)) return forget(eni->record.key, now);
  enis.changed(*eni);
  eni->record.last_error = outcome.error->to_string();
  ++eni->record.failures;
  eni->leave.fail(now, random);
  look_up_soon(*eni, now);
}

void Ipam::State::assigned(const OpenOperation& open, const Outcome& outcome, Instant now) {
  Eni* eni = enis.find(open.operation.eni_key);
  if (eni == nullptr) return;
  eni->operation.reset();
  eni->pending = {};
  for (const net::IpAddress& address : outcome.addresses) admit(address, *eni, now);
  if (outcome.error) return assign_failed(*eni, open, *outcome.error, now);
  if (!outcome.addresses.empty()) {
    eni->assign.succeed();
    return;
  }
  // Done, says the cloud, and names none.
  eni->assign.fail(now, random);
  look_up_soon(*eni, now);
}

void Ipam::State::assign_failed(Eni& eni, const OpenOperation& open, const Error& error,
                                Instant now) {
  const net::Family family = family_of(open.operation.kind);
  const std::uint32_t count =
      family == net::Family::V4 ? open.operation.ipv4_count : open.operation.ipv6_count;
  if (open.unsure || error.kind() == Error::Kind::Exists || error.kind() == Error::Kind::NotFound) {
    look_up_soon(eni, now);
  }
  if (error.code() == kVSwitchExhausted) {
    return exhaust_vswitch(eni.record.vswitch_id, count, error, now);
  }
  if (error.kind() == Error::Kind::Exhausted) {
    // Full, whatever its instance type promises; a call for fewer may still fit.
    const std::uint32_t known = pool.stock(eni.record.key).total(family);
    eni.learned_limit[family] = known + (count - 1) / 2;
    eni.learned_until = now + settings.vswitch_probe_after;
    return look_up_soon(eni, now);
  }
  eni.assign.fail(now, random);
  if (error.kind() == Error::Kind::Exists || error.kind() == Error::Kind::NotFound) return;
  fail_for_good(error, eni.record.eni_id, now);
}

void Ipam::State::unassigned(const OpenOperation& open, const Outcome& outcome, Instant now) {
  Eni* eni = enis.find(open.operation.eni_key);
  if (eni == nullptr) return;
  eni->operation.reset();
  if (!is_done(outcome)) {
    // Whether an address is still ours, the ENI's own listing tells.
    eni->release.fail(now, random);
    notify(Notice::Kind::CloudFault, eni->record.eni_id, outcome.error->to_string());
    return look_up_soon(*eni, now);
  }
  eni->release.succeed();
  for (const net::IpAddress& address : open.operation.addresses) {
    const AddressRecord* record = pool.find(address);
    if (record == nullptr || record->eni_key != eni->record.key) continue;
    if (record->state == AddressState::Releasing) {
      pool.erase(address);
      released[address] = now + settings.operation_deadline;
    } else if (record->state == AddressState::Held) {
      pool.set_state(address, AddressState::Suspect, now);
    }
  }
  vswitches.gave_back(eni->record.vswitch_id,
                      static_cast<std::uint32_t>(open.operation.addresses.size()));
}

void Ipam::State::described(const OpenOperation& open, const Outcome& outcome, Instant now) {
  Eni* eni = enis.find(open.operation.eni_key);
  if (eni == nullptr) return;
  eni->lookup.reset();
  const bool not_found =
      outcome.error ? outcome.error->kind() == Error::Kind::NotFound : !outcome.eni.has_value();
  if (!outcome.error && outcome.eni) {
    eni->not_found = 0;
    if (eni->record.state != EniState::Creating)
      return observe(*eni, *outcome.eni, open.started, now);
    if (!eni->operation) adopt_new(*eni, *outcome.eni, now);
    return;
  }
  if (!not_found) return;  // asked again later
  if (eni->not_found < kAgreeing) ++eni->not_found;
  if (eni->not_found < kAgreeing) return;
  switch (eni->record.state) {
    case EniState::Creating:
      if (!eni->operation) forget(eni->record.key, now);
      return;
    case EniState::Created:
    case EniState::Attaching:
    case EniState::Detaching:
      if (cancel(*eni)) enter(*eni, EniState::Deleting, now);
      return;
    case EniState::Deleting:
      if (cancel(*eni)) forget(eni->record.key, now);
      return;
    default:
      observe_absence(*eni, open.started, now);
      if (eni->missing) eni->doubt = false;
  }
}

void Ipam::State::described_vswitch(const OpenOperation& open, const Outcome& outcome,
                                    Instant now) {
  const std::string& id = open.operation.vswitch_id;
  const bool recovered = !outcome.error && outcome.vswitch ? vswitches.learn(*outcome.vswitch, now)
                                                           : vswitches.lookup_failed(id, now);
  if (!recovered) return;
  notify(Notice::Kind::VSwitchRecovered, id, fmt::format("vSwitch {} is used again", id));
}

}  // namespace terway::ipam
