// SPDX-License-Identifier: Apache-2.0
#include "ipam/ipam.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "ipam/state.h"

namespace terway::ipam {

std::uint32_t Limits::pods(Stack stack) const {
  return max_enis * pods_of(stack, {ipv4_per_eni, ipv6_per_eni});
}

Ipam::State::State(Settings settings_in, Limits limits_in, Random random_in) : random(random_in) {
  configure(std::move(settings_in), limits_in);
}

void Ipam::State::configure(Settings settings_in, Limits limits_in) {
  settings = std::move(settings_in);
  limits = limits_in;
  if (settings.exclusive) {
    limits.ipv4_per_eni = std::min(limits.ipv4_per_eni, 1U);
    limits.ipv6_per_eni = std::min(limits.ipv6_per_eni, 1U);
  }
  vswitches.configure(settings);
}

Ipam::Ipam(Settings settings, Limits limits, Random random)
    : state_(std::make_unique<State>(std::move(settings), limits, random)) {}

Ipam::~Ipam() = default;

void Ipam::restore(const Snapshot& snapshot, Instant now) {
  State& state = *state_;
  state.last_activity = now;
  for (const EniRecord& record : snapshot.enis) state.enis.restore(record);
  for (const AddressRecord& record : snapshot.addresses) state.pool.restore(record);
  for (const Operation& operation : snapshot.operations) {
    Eni* eni = state.enis.find(operation.eni_key);
    state.operations.restore(operation);
    if (eni == nullptr || eni->operation) {
      state.operations.end(operation.id);  // of an ENI that is gone
      continue;
    }
    eni->operation = operation.id;
    const bool brings = operation.kind == OperationKind::CreateEni || assigns(operation.kind);
    if (!brings) continue;
    eni->pending = {operation.ipv4_count, operation.ipv6_count};
    if (!has(state.settings.stack, net::Family::V4)) eni->pending.v4 = 0;
  }
  for (auto& [key, eni] : state.enis.all()) {
    // What needs an order and has none open was ordered: how far that went, a lookup tells.
    eni.accepted = !eni.operation;
    eni.lookup_at = now;
    eni.lookup_interval = std::chrono::seconds(1);
    eni.nic_since = now;
  }
}

void Ipam::reconfigure(const Settings& settings, const Limits& limits) {
  state_->configure(settings, limits);
  for (auto& [key, eni] : state_->enis.all()) eni.learned_limit = {};
}

void Ipam::ask(const Ask& ask, Instant now) {
  state_->last_activity = now;
  if (state_->grant_of(ask.key)) {
    state_->again.push_back(ask.key);
  } else {
    state_->asks.push(ask, now);
  }
}

void Ipam::release(const model::AttachmentKey& key, Instant now) {
  State& state = *state_;
  state.last_activity = now;
  state.asks.remove(key);
  std::erase(state.again, key);
  std::erase_if(state.claims, [&](const auto& claim) { return claim.second.key == key; });
  state.pool.release(key, now, now + state.settings.cool_down, now + state.settings.stick_time);
}

Result<> Ipam::adopt(const model::AttachmentKey& key, const model::Pod& pod,
                     const std::vector<net::IpAddress>& addresses, Instant now) {
  State& state = *state_;
  std::vector<net::IpAddress> unknown;
  for (const net::IpAddress& address : addresses) {
    const AddressRecord* record = state.pool.find(address);
    if (record == nullptr) {
      unknown.push_back(address);
      continue;
    }
    const bool owned =
        record->state == AddressState::Held || record->state == AddressState::Suspect;
    if (owned && record->owner != key) {
      return Error(
          Error::Kind::Exists,
          fmt::format("adopt {} for {}: held by {} (pod {})", address.to_string(), key.to_string(),
                      record->owner.to_string(), record->pod.to_string()));
    }
  }
  state.asks.remove(key);
  for (const net::IpAddress& address : addresses) {
    const AddressRecord* record = state.pool.find(address);
    if (record == nullptr) {
      state.claims[address] = {key, pod};
      continue;
    }
    if (record->state == AddressState::Held || record->state == AddressState::Suspect) continue;
    const bool being_returned = record->state == AddressState::Releasing;
    state.pool.hold(address, key, pod, false, now);
    if (!being_returned) continue;
    state.pool.set_state(address, AddressState::Suspect, now);
    state.notify(Notice::Kind::AddressSuspect, address.to_string(),
                 fmt::format("pod {} lives with it while it is being given back", pod.to_string()));
  }
  if (unknown.empty()) return Ok{};
  return Error(Error::Kind::NotFound, fmt::format("adopt {} for {}: no ENI of ours carries it yet",
                                                  unknown.front().to_string(), key.to_string()));
}

void Ipam::finished(const Outcome& outcome, Instant now) { state_->finished(outcome, now); }
void Ipam::learn(const Listing& listing, Instant now) { state_->learn(listing, now); }
void Ipam::learn(const model::VSwitch& vswitch, Instant now) {
  if (!state_->vswitches.learn(vswitch, now)) return;
  state_->notify(Notice::Kind::VSwitchRecovered, vswitch.id,
                 fmt::format("vSwitch {} is used again", vswitch.id));
}

void Ipam::nic_seen(const std::string& eni_key, Instant now) {
  if (Eni* eni = state_->enis.find(eni_key)) state_->nic_seen(*eni, now);
}
void Ipam::nic_ready(const std::string& eni_key, Instant now) {
  if (Eni* eni = state_->enis.find(eni_key)) state_->nic_ready(*eni, now);
}
void Ipam::nic_failed(const std::string& eni_key, const std::string& why, Instant now) {
  if (Eni* eni = state_->enis.find(eni_key)) state_->nic_failed(*eni, why, now);
}
void Ipam::torn_down(const std::string& eni_id, Instant now) {
  Eni* eni = state_->enis.find_by_id(eni_id);
  if (eni == nullptr || !state_->wants_tear_down(*eni)) return;
  eni->torn_down = true;
  state_->advance(*eni, now);
}

Turn Ipam::turn(Instant now) {
  State& state = *state_;
  Turn turn;
  state.alarm = {};
  state.warm_up(now);
  state.refuse_expired(now, turn);
  state.advance_enis(now);
  state.serve(now, turn);
  if (state.balance(now, turn)) state.advance_enis(now);
  for (const std::string& id : state.vswitches.take_lookups(now, state.alarm)) {
    Operation operation;
    operation.kind = OperationKind::DescribeVSwitch;
    operation.vswitch_id = id;
    state.operations.begin(std::move(operation));
  }
  state.list_kernel_work(now, turn);
  state.enis.collect(turn.changes);
  state.pool.collect(turn.changes);
  state.operations.collect(turn.changes);
  state.operations.start_due(now, turn.start, state.alarm);
  if (const auto deadline = state.asks.earliest_deadline()) state.alarm.at(*deadline);
  std::swap(turn.notices, state.notices);
  turn.wake_at = state.alarm.earliest();
  return turn;
}

std::vector<EniRecord> Ipam::enis() const {
  std::vector<EniRecord> records;
  for (const auto& [key, eni] : state_->enis.all()) records.push_back(eni.record);
  return records;
}

std::vector<AddressRecord> Ipam::addresses() const { return state_->pool.records(); }

std::vector<Operation> Ipam::operations() const {
  std::vector<Operation> all;
  for (const auto& [id, open] : state_->operations.open()) all.push_back(open.operation);
  return all;
}

const Limits& Ipam::limits() const { return state_->limits; }

std::optional<Grant> Ipam::held_by(const model::AttachmentKey& key) const {
  return state_->grant_of(key);
}

Ipam::Counts Ipam::counts(net::Family family) const {
  const State& state = *state_;
  Counts counts;
  for (const auto& [key, eni] : state.enis.all()) {
    const Stock& stock = state.pool.stock(key);
    const std::uint32_t idle = stock.count(family, AddressState::Idle);
    counts.total += stock.total(family);
    (leaving(eni.record.state) ? counts.releasing : counts.idle) += idle;
    counts.held += stock.count(family, AddressState::Held);
    counts.cooling += stock.count(family, AddressState::Cooling);
    counts.releasing += stock.count(family, AddressState::Releasing);
    counts.suspect += stock.count(family, AddressState::Suspect);
  }
  counts.waiting = has(state.settings.stack, family) ? state.asks.size() : 0;
  counts.capacity = state.limits.max_enis * (family == net::Family::V4 ? state.limits.ipv4_per_eni
                                                                       : state.limits.ipv6_per_eni);
  return counts;
}

void Ipam::State::serve(Instant now, Turn& turn) {
  for (const model::AttachmentKey& key : again) {
    if (const auto held = grant_of(key)) turn.grants.push_back(*held);
  }
  again.clear();
  for (const Ask& ask : asks.sticky()) {
    if (serve_kept(ask, now, turn)) asks.remove(ask.key);
  }
  while (!asks.empty()) {
    const Eni* eni = eni_for_pod();
    if (eni == nullptr) return;
    std::vector<net::IpAddress> addresses;
    for (const net::Family family : kFamilies) {
      if (!has(settings.stack, family)) continue;
      addresses.push_back(next_idle(*eni, family));
    }
    grant(asks.pop_front().ask, addresses, now, turn);
  }
}

// The addresses that this pod's predecessor had, if they are still kept for it.
bool Ipam::State::serve_kept(const Ask& ask, Instant now, Turn& turn) {
  const std::vector<net::IpAddress> kept = pool.kept_for(ask.pod);
  if (kept.empty()) return false;
  std::vector<net::IpAddress> addresses;
  for (const net::Family family : kFamilies) {
    if (!has(settings.stack, family)) continue;
    const auto match =
        std::find_if(kept.begin(), kept.end(), [&](const auto& a) { return a.family() == family; });
    if (match == kept.end()) return false;
    addresses.push_back(*match);
  }
  const Eni* eni = enis.find(pool.find(addresses.front())->eni_key);
  if (eni == nullptr || !serves(*eni) || is_taken(*eni)) return false;
  grant(ask, addresses, now, turn);
  return true;
}

void Ipam::State::grant(const Ask& ask, const std::vector<net::IpAddress>& addresses, Instant now,
                        Turn& turn) {
  for (const net::IpAddress& address : addresses) {
    pool.hold(address, ask.key, ask.pod, ask.sticky, now);
  }
  turn.grants.push_back(*grant_of(ask.key));
}

// For how many more pods the idle addresses of an ENI are enough. An exclusive one is for one pod,
// and only while nothing of it is anybody's.
std::uint32_t Ipam::State::pods_on(const Eni& eni) const {
  const std::uint32_t pods = pods_of(settings.stack, pool.stock(eni.record.key).idle());
  if (!settings.exclusive) return pods;
  return is_untouched(eni) ? std::min(pods, 1U) : 0;
}

// An exclusive one that has its pod. What is kept on it for others dates from when it was shared.
bool Ipam::State::is_taken(const Eni& eni) const {
  return settings.exclusive && pool.stock(eni.record.key).held() > 0;
}

// Neither owned by a pod nor cooling down.
bool Ipam::State::is_untouched(const Eni& eni) const {
  const Stock& stock = pool.stock(eni.record.key);
  return stock.held() == 0 && stock.of_state(AddressState::Cooling) == 0;
}

// The address that was idle longest; of an exclusive ENI the primary one.
net::IpAddress Ipam::State::next_idle(const Eni& eni, net::Family family) const {
  const net::IpAddress& primary = eni.record.primary_address;
  const AddressRecord* record = pool.find(primary);
  const bool whole = settings.exclusive && primary.family() == family && record != nullptr &&
                     record->state == AddressState::Idle;
  return whole ? primary : pool.stock(eni.record.key).idle(family).begin()->second;
}

// With addresses for one more pod: the one with the most pods already (so that the others become
// free), or the fewest, as the settings say; of exclusive ones the one that was idle longest.
Eni* Ipam::State::eni_for_pod() {
  Eni* best = nullptr;
  std::uint32_t best_held = 0;
  Instant best_since{};
  const net::Family told_by = settings.stack == Stack::V6 ? net::Family::V6 : net::Family::V4;
  for (auto& [key, eni] : enis.all()) {
    const Stock& stock = pool.stock(key);
    if (!serves(eni) || pods_on(eni) == 0) continue;
    if (settings.exclusive) {
      const Instant since = pool.find(next_idle(eni, told_by))->since;
      if (best != nullptr && since >= best_since) continue;
      best = &eni;
      best_since = since;
      continue;
    }
    const std::uint32_t held = stock.held();
    const bool better =
        settings.eni_policy == EniPolicy::MostIps ? held > best_held : held < best_held;
    if (best != nullptr && !better) continue;
    best = &eni;
    best_held = held;
  }
  return best;
}

void Ipam::State::refuse_expired(Instant now, Turn& turn) {
  for (const Waiting& waiting : asks.take_expired(now)) {
    turn.refusals.push_back({waiting.ask.key, why_waiting(waiting.since)});
  }
}

Error Ipam::State::why_waiting(Instant since) const {
  std::vector<std::string> reasons = shortage;
  for (const auto& [key, eni] : enis.all()) {
    if (serves(eni) && !eni.operation) continue;
    const OpenOperation* open = eni.operation ? &operations.open().at(*eni.operation) : nullptr;
    reasons.push_back(fmt::format(
        "ENI {} is {}{}{}{}", eni.record.eni_id.empty() ? key : eni.record.eni_id,
        to_string(eni.record.state), eni.missing ? " but not listed by the cloud" : "",
        open != nullptr ? fmt::format(", {} is under way", to_string(open->operation.kind)) : "",
        eni.record.last_error.empty() ? "" : " (" + eni.record.last_error + ")"));
  }
  const bool recent = last_error && last_error->at >= since;
  if (recent) reasons.push_back("last error: " + last_error->error.message());
  std::string message = "no address in time";
  for (const std::string& reason : reasons)
    message += (&reason == &reasons.front() ? ": " : "; ") + reason;
  const bool is_limit = !shortage.empty() && !relief_expected;
  Error error(is_limit ? Error::Kind::Exhausted : Error::Kind::Unavailable, std::move(message));
  if (!recent) return error;
  return std::move(error).with_code(last_error->error.code(), last_error->error.request_id());
}

std::optional<Grant> Ipam::State::grant_of(const model::AttachmentKey& key) const {
  const std::vector<net::IpAddress> owned = pool.owned_by(key);
  if (owned.empty()) return std::nullopt;
  const std::string& eni_key = pool.find(owned.front())->eni_key;
  const Eni* eni = enis.find(eni_key);
  return Grant{key, eni_key, eni == nullptr ? "" : eni->record.eni_id, owned};
}

}  // namespace terway::ipam
