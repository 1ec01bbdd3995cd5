// SPDX-License-Identifier: Apache-2.0
// The size of the pool: what is fetched for the pods that wait and for the idle ones to be kept,
// and what is given back.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "ipam/state.h"

namespace terway::ipam {
namespace {

// A call or an attachment that takes longer than this is gone around, if it is the only such one;
// several at once are the cloud's own trouble, which more calls would make worse.
constexpr Duration kSlowCall = std::chrono::seconds(5);
constexpr Duration kSlowAttach = std::chrono::seconds(30);

long long seconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

bool on_its_way(EniState state) {
  return state == EniState::Attaching || state == EniState::Attached || state == EniState::NicSeen;
}

}  // namespace

std::uint32_t Ipam::State::max_idle() const {
  return std::max(settings.max_pool_size, settings.min_pool_size);
}

std::uint32_t Ipam::State::limit_of(const Eni& eni, net::Family family) const {
  const std::uint32_t of_type =
      family == net::Family::V4 ? limits.ipv4_per_eni : limits.ipv6_per_eni;
  return std::min(of_type, eni.learned_limit[family].value_or(kNoLimit));
}

bool Ipam::State::slow(const Eni& eni, Instant now) {
  if (on_its_way(eni.record.state)) {
    const Instant then = eni.record.since + kSlowAttach;
    if (now >= then) return true;
    alarm.at(then);
  }
  if (!eni.operation) return false;
  const OpenOperation& open = *operations.find(*eni.operation);
  const bool brings =
      open.operation.kind == OperationKind::CreateEni || assigns(open.operation.kind);
  if (!brings) return false;
  // The whole account is throttled: another call would be, too.
  if (open.last_error && open.last_error->kind() == Error::Kind::Throttled) return false;
  if (open.begun == Instant{}) return false;
  const Instant then = open.begun + kSlowCall;
  if (now >= then) return true;
  alarm.at(then);
  return false;
}

Ipam::State::Shelves Ipam::State::shelve(Instant now) {
  Shelves on;
  std::vector<Eni*> slow_ones;
  for (auto& [key, eni] : enis.all()) {
    if (leaving(eni.record.state) || eni.missing || eni.unwanted || eni.stuck) continue;
    if (eni.learned_until != Instant{} && now >= eni.learned_until) {
      eni.learned_until = {};
      eni.learned_limit = {};
    }
    if (!asks.empty() && slow(eni, now)) slow_ones.push_back(&eni);
    on.enis.push_back(&eni);
  }
  on.one_is_slow = slow_ones.size() == 1;
  if (on.one_is_slow) std::erase(on.enis, slow_ones.front());
  for (const Eni* eni : on.enis) {
    on.shelves.push_back(shelf_of(*eni, now));
    on.pods += pods_of(settings.stack, on.shelves.back().usable);
  }
  return on;
}

Shelf Ipam::State::shelf_of(const Eni& eni, Instant now) {
  const Stock& stock = pool.stock(eni.record.key);
  const EniState state = eni.record.state;
  const std::uint32_t allowance = vswitches.allowance(eni.record.vswitch_id);
  const bool may_grow = eni.assign.over(now);
  Shelf shelf;
  shelf.ready = serves(eni);
  for (const net::Family family : kFamilies) {
    const std::uint32_t idle = stock.count(family, AddressState::Idle);
    const std::uint32_t total = stock.total(family) + eni.pending[family];
    shelf.usable[family] = idle + eni.pending[family];
    shelf.total += total;
    shelf.releasable[family] = idle;
    if (!has(settings.stack, family)) continue;
    if (may_grow) {
      const std::uint32_t left = family == net::Family::V4 ? allowance : kNoLimit;
      shelf.room[family] = std::min(less(limit_of(eni, family), total), left);
    }
  }
  if (const AddressRecord* primary = pool.find(eni.record.primary_address);
      primary != nullptr && primary->state == AddressState::Idle) {
    --shelf.releasable.v4;
  }
  if (settings.exclusive) {
    // One pod's or nobody's: no further address makes it anybody else's.
    if (!is_untouched(eni)) shelf.usable = shelf.room = {};
    shelf.usable = {std::min(shelf.usable.v4, 1U), std::min(shelf.usable.v6, 1U)};
  }
  shelf.held = stock.held();
  shelf.growing = eni.pending.v4 + eni.pending.v6 > 0;
  const bool attached =
      state == EniState::Attached || state == EniState::NicSeen || state == EniState::Ready;
  shelf.can_assign = attached && !eni.operation && may_grow;
  shelf.can_release = !settings.exclusive && shelf.ready && !eni.operation && eni.release.over(now);
  shelf.can_leave = shelf.ready && empty(eni) && stock.of_state(AddressState::Releasing) == 0;
  return shelf;
}

// Of an ENI that was just created: is it needed no more? Those that are behind it do not count.
bool Ipam::State::spare(const Eni& eni, Instant now) {
  const Shelves on = shelve(now);
  std::uint32_t others = 0;
  for (std::size_t i = 0; i < on.enis.size(); ++i) {
    const EniState state = on.enis[i]->record.state;
    const bool behind = state == EniState::Creating || state == EniState::Created;
    if (!behind) others += pods_of(settings.stack, on.shelves[i].usable);
  }
  const std::uint32_t mine = pods_on(eni);
  return enis_staying() > settings.min_eni && others >= asks.size() + settings.min_pool_size &&
         others + mine > asks.size() + max_idle();
}

bool Ipam::State::balance(Instant now, Turn& turn) {
  bool begun = false;
  while (true) {
    shortage.clear();
    relief_expected = false;
    const Shelves on = shelve(now);
    const std::int64_t wanted = std::int64_t{asks.size()} + settings.min_pool_size;
    if (on.pods >= wanted) return give_back(on, now) || begun;
    const std::size_t before = operations.open().size();
    const std::uint32_t missing = grow(on, static_cast<std::uint32_t>(wanted - on.pods), now);
    if (operations.open().size() != before) {
      begun =
          true;  // a vSwitch may have allowed less than was planned: what is left is planned anew
      continue;
    }
    // The pods that wait come before the idle addresses to be kept.
    const std::uint32_t pods = std::min(less(missing, settings.min_pool_size), asks.size());
    if (!relieve(on, pods, now, turn)) return begun;
    serve(now, turn);
  }
}

// Of pods that wait for nothing that was begun: those that a fault concerns are refused; for
// another, a cool-down is cut short if that is all there is. True if it was.
bool Ipam::State::relieve(const Shelves& on, std::uint32_t pods, Instant now, Turn& turn) {
  if (pods == 0) return false;
  explain_shortage(on, now);
  if (fault) {
    const std::vector<Waiting> refused = asks.take_last(pods, fault->at);
    for (const Waiting& waiting : refused) {
      turn.refusals.push_back({waiting.ask.key, fault->error});
    }
    pods -= static_cast<std::uint32_t>(refused.size());
  }
  return pods > 0 && !relief_expected && cut_cool_down(now);
}

bool Ipam::State::give_back(const Shelves& on, Instant now) {
  if (enis_staying() < settings.min_eni) {
    if (creatable(now) == 0) return false;
    create_eni(for_pods(settings.stack, 1), now);
    return true;
  }
  return asks.empty() && (shrink(on, now) || trim(on, now));
}

// The number of pods for which nothing can be done now.
std::uint32_t Ipam::State::grow(const Shelves& on, std::uint32_t need, Instant now) {
  const Growth growth =
      plan_growth(settings.stack, need, on.shelves, settings.eni_policy, creatable(now),
                  {limits.ipv4_per_eni, limits.ipv6_per_eni}, settings.batch);
  for (const Growth::Fill& fill : growth.fills) {
    begin_assign(*on.enis[fill.shelf], fill.family, fill.count);
  }
  for (const Count& count : growth.creates) create_eni(count, now);
  return growth.missing;
}

std::uint32_t Ipam::State::creatable(Instant now) {
  const std::uint32_t slots = less(limits.max_enis, eni_slots_used());
  if (slots == 0 || vswitches.all_exhausted()) return 0;
  if (now < limit_until) {
    alarm.at(limit_until);
    return 0;
  }
  if (!create_backoff.over(now)) {
    alarm.at(create_backoff.until());
    return 0;
  }
  return vswitches.undecided() ? 0 : slots;
}

void Ipam::State::begin_assign(Eni& eni, net::Family family, std::uint32_t count) {
  const std::uint32_t allowance = vswitches.allowance(eni.record.vswitch_id);
  if (family == net::Family::V4) count = std::min(count, allowance);
  if (count == 0) return;
  Operation operation = operation_on(
      eni, family == net::Family::V4 ? OperationKind::AssignIpv4 : OperationKind::AssignIpv6);
  operation.client_token = random.uuid();
  (family == net::Family::V4 ? operation.ipv4_count : operation.ipv6_count) = count;
  begin(eni, std::move(operation));
  eni.pending[family] = count;
  if (family == net::Family::V4) vswitches.take(eni.record.vswitch_id, count);
}

void Ipam::State::begin_unassign(Eni& eni, net::Family family, std::uint32_t count, Instant now) {
  std::vector<net::IpAddress> chosen;
  for (const auto& [since, address] : pool.stock(eni.record.key).idle(family)) {
    if (chosen.size() == count) break;
    if (address != eni.record.primary_address) chosen.push_back(address);
  }
  for (const net::IpAddress& address : chosen) {
    pool.set_state(address, AddressState::Releasing, now);
  }
  Operation operation = operation_on(
      eni, family == net::Family::V4 ? OperationKind::UnassignIpv4 : OperationKind::UnassignIpv6);
  operation.addresses = std::move(chosen);
  begin(eni, std::move(operation));
}

bool Ipam::State::shrink(const Shelves& on, Instant now) {
  const std::int64_t above_max = on.pods - max_idle();
  const std::int64_t above_min = on.pods - settings.min_pool_size;
  std::uint32_t surplus = static_cast<std::uint32_t>(std::max<std::int64_t>(above_max, 0));
  if (surplus == 0) surplus = reclaimable(above_min, now);
  const auto unpaired =
      static_cast<std::uint32_t>(surplus > 0 ? 0 : std::max<std::int64_t>(-above_max, 0));
  const Shrink plan = plan_shrink(settings.stack, surplus, unpaired, on.shelves,
                                  less(enis_staying(), settings.min_eni), settings.batch);
  for (const std::size_t i : plan.leaves) enter(*on.enis[i], EniState::Draining, now);
  for (const Shrink::Release& release : plan.releases) {
    begin_unassign(*on.enis[release.shelf], release.family, release.count, now);
  }
  for (const Eni* eni : on.enis) {
    if (!eni->release.over(now)) alarm.at(eni->release.until());
  }
  return !plan.leaves.empty() || !plan.releases.empty();
}

// What an idle exclusive ENI has beyond the addresses of one pod (it was shared before) goes back.
bool Ipam::State::trim(const Shelves& on, Instant now) {
  if (!settings.exclusive) return false;
  bool begun = false;
  for (Eni* eni : on.enis) {
    if (!serves(*eni) || eni->operation || !is_untouched(*eni)) continue;
    for (const net::Family family : kFamilies) {
      const std::uint32_t idle = pool.stock(eni->record.key).count(family, AddressState::Idle);
      if (idle <= 1 || eni->operation) continue;
      if (!eni->release.over(now)) {
        alarm.at(eni->release.until());
        continue;
      }
      begin_unassign(*eni, family, std::min(idle - 1, settings.batch), now);
      begun = true;
    }
  }
  return begun;
}

// When nothing has been asked for or given back for a while, a few of the idle ones above the
// minimum, and again after each interval.
std::uint32_t Ipam::State::reclaimable(std::int64_t above_min, Instant now) {
  if (!settings.idle_reclaim_after || above_min <= 0) return 0;
  const Instant due = std::max(last_activity + *settings.idle_reclaim_after, next_reclaim);
  if (now < due) {
    alarm.at(due);
    return 0;
  }
  const double stretch = 1.0 + random.unit() * settings.idle_reclaim_jitter;
  next_reclaim = now + Duration(static_cast<Duration::rep>(
                           static_cast<double>(settings.idle_reclaim_interval.count()) * stretch));
  alarm.at(next_reclaim);
  return static_cast<std::uint32_t>(std::min<std::int64_t>(above_min, settings.idle_reclaim_batch));
}

void Ipam::State::explain_shortage(const Shelves& on, Instant now) {
  const std::uint32_t used = eni_slots_used();
  relief_expected = on.one_is_slow;
  if (used >= limits.max_enis) {
    shortage.push_back(fmt::format("{} of {} ENIs are in use", used, limits.max_enis));
  } else if (now < limit_until) {
    shortage.push_back(fmt::format("no more ENIs before {} s: {}", seconds(limit_until - now),
                                   limit_error->to_string()));
  } else if (!create_backoff.over(now)) {
    shortage.push_back(fmt::format("the next ENI is tried within {} s",
                                   seconds(create_backoff.until() - now) + 1));
    relief_expected = true;
  } else if (vswitches.undecided()) {
    shortage.push_back("the vSwitches' free addresses are being looked up");
    relief_expected = true;
  }
  for (const std::string& id : vswitches.exhausted_ids()) {
    shortage.push_back(fmt::format("vSwitch {} has no address left", id));
  }
  for (const auto& [key, eni] : enis.all()) {
    const bool frees_slot = leaving(eni.record.state) && empty(eni) && used >= limits.max_enis;
    const bool frees_room = pool.stock(key).of_state(AddressState::Releasing) > 0;
    relief_expected = relief_expected || frees_slot || frees_room;
  }
  std::uint32_t full = 0;
  for (const Eni* eni : on.enis) {
    const Stock& stock = pool.stock(eni->record.key);
    bool room = true;
    for (const net::Family family : kFamilies) {
      if (has(settings.stack, family)) {
        room = room && stock.total(family) + eni->pending[family] < limit_of(*eni, family);
      }
    }
    full += !room;
    if (!room || eni->assign.over(now)) continue;
    alarm.at(eni->assign.until());
    relief_expected = true;
    shortage.push_back(fmt::format("more addresses for {} are asked for within {} s",
                                   eni->record.eni_id, seconds(eni->assign.until() - now) + 1));
  }
  if (settings.exclusive) {
    shortage.emplace_back("each ENI is one pod's");
  } else if (full > 0) {
    shortage.push_back(fmt::format("{} ENIs are full", full));
  }
}

// Makes room for one pod on the ENI whose cooling addresses have had most of their time.
bool Ipam::State::cut_cool_down(Instant now) {
  std::vector<net::IpAddress> best;
  Instant best_until{};
  for (const auto& [key, eni] : enis.all()) {
    if (!serves(eni) || is_taken(eni)) continue;
    std::vector<net::IpAddress> needed;
    Instant until{};
    bool enough = true;
    for (const net::Family family : kFamilies) {
      if (!has(settings.stack, family)) continue;
      if (pool.stock(key).count(family, AddressState::Idle) > 0) continue;
      const auto next = pool.next_to_cool(key, family);
      enough = enough && next.has_value();
      if (next) needed.push_back(*next);
    }
    if (settings.exclusive) needed = pool.cooling_on(key);
    for (const net::IpAddress& address : needed) until = std::max(until, pool.find(address)->until);
    if (!enough || needed.empty()) continue;
    if (best.empty() || until < best_until) {
      best = needed;
      best_until = until;
    }
  }
  for (const net::IpAddress& address : best) {
    notify(Notice::Kind::CoolDownShortened, address.to_string(),
           fmt::format("reused {} s before its cool-down is over, because a pod would have to wait",
                       seconds(pool.find(address)->until - now)));
    pool.cut_short(address, now);
  }
  return !best.empty();
}

}  // namespace terway::ipam
