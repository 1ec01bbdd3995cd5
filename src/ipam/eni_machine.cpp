// SPDX-License-Identifier: Apache-2.0
// The life of an ENI: from each state, what is begun, what is waited for, and what happens when
// that does not come.
#include <fmt/core.h>

#include <chrono>

#include "ipam/state.h"

namespace terway::ipam {
namespace {

constexpr Duration kFirstLookup = std::chrono::seconds(1);
constexpr Duration kLongestLookup = std::chrono::seconds(10);

bool in_bring_up(const Eni& eni) {
  return eni.record.state == EniState::Attached || eni.record.state == EniState::NicSeen ||
         (eni.record.state == EniState::Ready && !eni.nic_confirmed);
}

long long seconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

}  // namespace

bool Ipam::State::serves(const Eni& eni) const {
  return eni.record.state == EniState::Ready && eni.nic_confirmed && !eni.missing && !eni.unwanted;
}

bool Ipam::State::empty(const Eni& eni) const {
  const Stock& stock = pool.stock(eni.record.key);
  return !eni.operation && stock.held() == 0 && stock.of_state(AddressState::Cooling) == 0;
}

// One that is detached takes no slot of the instance any more.
std::uint32_t Ipam::State::eni_slots_used() const {
  std::uint32_t used = 0;
  for (const auto& [key, eni] : enis.all()) used += eni.record.state != EniState::Deleting;
  return used;
}

std::uint32_t Ipam::State::enis_staying() const {
  std::uint32_t staying = 0;
  for (const auto& [key, eni] : enis.all()) staying += !leaving(eni.record.state);
  return staying;
}

void Ipam::State::enter(Eni& eni, EniState state, Instant now) {
  enis.changed(eni);
  eni.record.state = state;
  eni.record.since = now;
  eni.accepted = false;
  eni.doubt = false;
  eni.not_found = 0;
  eni.lookup_at = now + kFirstLookup;
  eni.lookup_interval = kFirstLookup;
  eni.empty_since = {};
  if (state == EniState::Attached) {
    eni.nic_confirmed = false;
    eni.nic_since = now;
    eni.torn_down = false;
    eni.nic.succeed();
  }
}

Operation Ipam::State::operation_on(const Eni& eni, OperationKind kind) {
  Operation operation;
  operation.kind = kind;
  operation.eni_key = eni.record.key;
  operation.eni_id = eni.record.eni_id;
  operation.vswitch_id = eni.record.vswitch_id;
  return operation;
}

void Ipam::State::begin(Eni& eni, Operation operation) {
  eni.operation = operations.begin(std::move(operation));
}

// Ends the ENI's operation if it is only waiting for its next attempt. False if it is under way.
bool Ipam::State::cancel(Eni& eni) {
  if (!eni.operation) return true;
  if (operations.find(*eni.operation)->in_flight) return false;
  operations.end(*eni.operation);
  eni.operation.reset();
  eni.pending = {};
  return true;
}

void Ipam::State::create_eni(const Count& count, Instant now) {
  const std::optional<std::string> vswitch = vswitches.choose(now, random);
  if (!vswitch) return;
  const std::uint32_t allowance = vswitches.allowance(*vswitch);
  EniRecord record;
  record.key = random.uuid();
  record.vswitch_id = *vswitch;
  record.since = now;
  Eni& eni = enis.add(std::move(record));
  Operation operation = operation_on(eni, OperationKind::CreateEni);
  operation.client_token = eni.record.key;
  operation.ipv4_count = std::min(std::max(count.v4, 1U), allowance);  // it has a primary address
  operation.ipv6_count = count.v6;
  eni.pending = {has(settings.stack, net::Family::V4) ? operation.ipv4_count : 0, count.v6};
  vswitches.take(*vswitch, operation.ipv4_count);
  begin(eni, std::move(operation));
}

void Ipam::State::reach_limit(const Error& error, Instant now) {
  limit_until = now + settings.eni_limit_probe_after * (1 << std::min(limit_hits, 3U));
  ++limit_hits;
  limit_error = error;
  notify(Notice::Kind::EniLimitReached, "",
         fmt::format("no more ENIs: {}; tried again in {} s", error.to_string(),
                     seconds(limit_until - now)));
}

void Ipam::State::forget(const std::string& key, Instant now) {
  Eni* eni = enis.find(key);
  if (!eni->record.eni_id.empty()) gone[eni->record.eni_id] = now + settings.operation_deadline;
  if (eni->lookup) operations.end(*eni->lookup);
  if (eni->operation) operations.end(*eni->operation);
  pool.erase_eni(key);
  enis.erase(key);
}

// It will not become Ready: takes the way out of the state that it is in. Another one is created
// after a backoff if pods still need it.
void Ipam::State::fail(Eni& eni, const std::string& why, Instant now) {
  enis.changed(eni);
  ++eni.record.failures;
  eni.record.last_error = why;
  notify(Notice::Kind::EniFailed, eni.record.eni_id.empty() ? eni.record.key : eni.record.eni_id,
         fmt::format("{} while {}; it is detached and deleted", why, to_string(eni.record.state)));
  create_backoff.fail(now, random);
  const bool had_nic = eni.record.state != EniState::Attaching;
  enter(eni, had_nic ? EniState::Draining : EniState::Detaching, now);
}

void Ipam::State::advance_enis(Instant now) {
  std::vector<std::string> ended;
  for (auto& [key, eni] : enis.all()) {
    advance(eni, now);
    look_up(eni, now);
    if (eni.record.state == EniState::Gone) ended.push_back(key);
  }
  for (const std::string& key : ended) forget(key, now);
}

// As far as it gets without news.
void Ipam::State::advance(Eni& eni, Instant now) {
  EniState before;
  do {
    before = eni.record.state;
    advance_once(eni, now);
  } while (eni.record.state != before);
}

void Ipam::State::advance_once(Eni& eni, Instant now) {
  switch (eni.record.state) {
    case EniState::Creating:  // its operation is retried until the cloud has answered
    case EniState::Gone:
      return;
    case EniState::Created:
      return advance_created(eni, now);
    case EniState::Attaching:
      return advance_attaching(eni, now);
    case EniState::Attached:
    case EniState::NicSeen:
      return advance_nic(eni, now);
    case EniState::Ready:
      return eni.nic_confirmed ? advance_ready(eni, now) : advance_nic(eni, now);
    case EniState::Draining:
      return advance_draining(eni, now);
    case EniState::Detaching:
      return advance_detaching(eni, now);
    case EniState::Deleting:
      return advance_deleting(eni, now);
  }
}

void Ipam::State::advance_created(Eni& eni, Instant now) {
  if (eni.operation) return;
  if (spare(eni, now)) return enter(eni, EniState::Deleting, now);
  enter(eni, EniState::Attaching, now);
  begin(eni, operation_on(eni, OperationKind::AttachEni));
}

void Ipam::State::advance_attaching(Eni& eni, Instant now) {
  const Instant deadline = eni.record.since + settings.operation_deadline;
  if (now < deadline) return alarm.at(deadline);
  if (!cancel(eni)) return;
  fail(eni, fmt::format("attaching did not end within {} s", seconds(settings.operation_deadline)),
       now);
}

void Ipam::State::advance_nic(Eni& eni, Instant now) {
  if (eni.missing || eni.unwanted) return advance_ready(eni, now);
  const Instant deadline = eni.nic_since + settings.nic_deadline;
  if (now < deadline) return alarm.at(deadline);
  const std::string why =
      fmt::format("its NIC did not become ready within {} s{}{}", seconds(settings.nic_deadline),
                  eni.record.last_error.empty() ? "" : ", last: ", eni.record.last_error);
  if (empty(eni) || (cancel(eni) && empty(eni))) return fail(eni, why, now);
  // Pods own addresses of it: it stays as it is, and bringing it up goes on.
  eni.nic_since = now;
  alarm.at(now + settings.nic_deadline);
  if (!eni.stuck) notify(Notice::Kind::EniFailed, eni.record.eni_id, why + "; pods depend on it");
  eni.stuck = true;
}

void Ipam::State::advance_ready(Eni& eni, Instant now) {
  if (!eni.missing && !eni.unwanted) return;
  cancel(eni);
  if (!empty(eni)) return;
  if (eni.unwanted) {
    // Nobody's hands but the operator's: neither detached nor deleted.
    if (eni.torn_down) enter(eni, EniState::Gone, now);
    return;
  }
  enter(eni, EniState::Draining, now);
}

void Ipam::State::advance_draining(Eni& eni, Instant now) {
  if (eni.operation && assigns(operations.find(*eni.operation)->operation.kind)) cancel(eni);
  if (!empty(eni)) {
    eni.empty_since = {};
    return;
  }
  if (eni.empty_since == Instant{}) eni.empty_since = now;
  const Instant deadline = eni.empty_since + settings.operation_deadline;
  if (!eni.torn_down && now < deadline) return alarm.at(deadline);
  if (!eni.torn_down) {
    notify(Notice::Kind::EniFailed, eni.record.eni_id,
           "its rules were not torn down in time; detaching it anyway");
  }
  enter(eni, EniState::Detaching, now);
}

void Ipam::State::advance_detaching(Eni& eni, Instant now) {
  if (eni.operation) return;
  if (eni.accepted) {
    const Instant deadline = eni.record.since + settings.operation_deadline;
    if (now < deadline) return alarm.at(deadline);
    enter(eni, EniState::Detaching, now);
    ++eni.record.failures;
    eni.record.last_error = "detaching did not end";
    eni.leave.fail(now, random);
    notify(Notice::Kind::EniFailed, eni.record.eni_id,
           fmt::format("detaching did not end within {} s; asked for again",
                       seconds(settings.operation_deadline)));
  }
  if (!eni.leave.over(now)) return alarm.at(eni.leave.until());
  begin(eni, operation_on(eni, OperationKind::DetachEni));
}

void Ipam::State::advance_deleting(Eni& eni, Instant now) {
  if (eni.operation) return;
  if (!eni.leave.over(now)) return alarm.at(eni.leave.until());
  begin(eni, operation_on(eni, OperationKind::DeleteEni));
}

bool Ipam::State::wants_tear_down(const Eni& eni) const {
  const bool goes =
      eni.record.state == EniState::Draining || (eni.unwanted && !leaving(eni.record.state));
  return goes && !eni.torn_down && empty(eni);
}

void Ipam::State::list_kernel_work(Instant now, Turn& turn) {
  for (auto& [key, eni] : enis.all()) {
    const bool given_up = eni.nic_awaited && (eni.record.state == EniState::Detaching ||
                                              eni.record.state == EniState::Deleting);
    if (given_up || wants_tear_down(eni)) turn.tear_down.push_back(eni.record.eni_id);
    // The NIC itself tells of the end of attaching sooner than the next lookup would.
    eni.nic_awaited = eni.record.state == EniState::Attaching && eni.accepted;
    if ((!in_bring_up(eni) && !eni.nic_awaited) || eni.missing || eni.unwanted) continue;
    if (eni.nic.over(now)) {
      turn.bring_up.push_back(eni.record);
    } else {
      alarm.at(eni.nic.until());
    }
  }
}

bool Ipam::State::wants_lookup(const Eni& eni) const {
  if (eni.doubt) return true;
  // "Not in a state for that" may mean that an attempt with a lost reply has done it.
  const bool repeated =
      eni.operation && operations.open().at(*eni.operation).backoff.failures() > 0;
  switch (eni.record.state) {
    case EniState::Creating:
      return !eni.operation;
    case EniState::Attaching:
    case EniState::Detaching:
      return repeated || (!eni.operation && eni.accepted);
    case EniState::Deleting:
      return repeated;
    case EniState::Gone:
      return false;
    default:
      // An Unassign that ended without an answer.
      return !eni.operation && pool.stock(eni.record.key).of_state(AddressState::Releasing) > 0;
  }
}

void Ipam::State::look_up_soon(Eni& eni, Instant now) {
  eni.doubt = true;
  eni.lookup_at = now;
  eni.lookup_interval = kFirstLookup;
}

void Ipam::State::look_up(Eni& eni, Instant now) {
  if (eni.lookup || !wants_lookup(eni)) return;
  if (now < eni.lookup_at) return alarm.at(eni.lookup_at);
  eni.lookup_at = now + eni.lookup_interval;
  eni.lookup_interval = std::min<Duration>(eni.lookup_interval * 3 / 2, kLongestLookup);
  Operation operation = operation_on(eni, OperationKind::DescribeEni);
  if (eni.record.eni_id.empty()) operation.client_token = eni.record.key;
  eni.lookup = operations.begin(std::move(operation));
}

void Ipam::State::nic_seen(Eni& eni, Instant now) {
  if (eni.record.state == EniState::Attaching) {
    // The kernel is ahead of the cloud's own view; the order to attach has been carried out.
    if (!cancel(eni)) return;
    enter(eni, EniState::Attached, now);
  }
  if (eni.record.state == EniState::Attached) enter(eni, EniState::NicSeen, now);
}

void Ipam::State::nic_ready(Eni& eni, Instant now) {
  nic_seen(eni, now);
  if (eni.record.state != EniState::NicSeen && eni.record.state != EniState::Ready) return;
  if (eni.record.state == EniState::NicSeen) {
    enter(eni, EniState::Ready, now);
    eni.record.last_error.clear();
    eni.record.failures = 0;
    create_backoff.succeed();
  }
  eni.nic_confirmed = true;
  eni.stuck = false;
  eni.torn_down = false;
  eni.nic.succeed();
}

void Ipam::State::nic_failed(Eni& eni, const std::string& why, Instant now) {
  if (eni.record.state == EniState::Ready) {
    enter(eni, EniState::NicSeen, now);
    eni.nic_since = now;
  }
  if (!in_bring_up(eni)) {
    if (eni.nic_awaited) eni.nic.fail(now, random);
    return;
  }
  enis.changed(eni);
  eni.nic_confirmed = false;
  ++eni.record.failures;
  eni.record.last_error = why;
  eni.nic.fail(now, random);
}

}  // namespace terway::ipam
