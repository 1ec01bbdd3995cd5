// SPDX-License-Identifier: Apache-2.0
#include "agent/datapath_thread.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace terway::agent {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How long after a foreign change the kernel is put right: changes come in groups.
constexpr Duration kHealAfter = milliseconds(50);
// The same while NICs come up: those changes are mostly their own, and a resync keeps pods waiting.
constexpr Duration kHealAmidBringUp = milliseconds(300);
constexpr Duration kResyncEvery = seconds(60);
constexpr Duration kRetryNic = milliseconds(200);
// An ADD that comes right after a restart waits so long for its ENI.
constexpr Duration kWaitForEni = seconds(10);
// Links are deleted, which holds RTNL for tens of ms, after so much silence; or in any case after
// so long.
constexpr Duration kIdle = milliseconds(30);
constexpr Duration kMarkedAtMost = seconds(5);
// Orders between two looks at the kernel's events; fewer while NICs come up, for each of them has
// more pods waiting than an order is about.
constexpr int kOrdersAtOnce = 64;
constexpr int kOrdersAmidBringUp = 4;
// Between two slices of flows within a round, and between two rounds.
constexpr Duration kSweepSlice = milliseconds(50);
constexpr Duration kSweepRound = seconds(5);

}  // namespace

Result<std::unique_ptr<DatapathThread>> DatapathThread::start(const datapath::Settings& settings,
                                                              Inbox& inbox, Clock& clock) {
  auto datapath = TRY_WITHIN("datapath", datapath::Datapath::open(settings));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return Error::from_errno(errno, "datapath: eventfd");
  return std::unique_ptr<DatapathThread>(
      new DatapathThread(std::move(datapath), std::move(wake), inbox, clock));
}

DatapathThread::DatapathThread(std::unique_ptr<datapath::Datapath> datapath, UniqueFd wake,
                               Inbox& inbox, Clock& clock)
    : inbox_(inbox),
      clock_(clock),
      fast_path_(datapath->fast_path()),
      wake_(std::move(wake)),
      datapath_(std::move(datapath)),
      thread_([this] { run(); }) {}

DatapathThread::~DatapathThread() {
  orders_.close();
  ::eventfd_write(wake_.get(), 1);
  thread_.join();
}

void DatapathThread::give(Order order) {
  orders_.send(std::move(order));
  ::eventfd_write(wake_.get(), 1);
}

void DatapathThread::restore(datapath::Desired desired,
                             std::map<std::string, std::string> eni_keys_by_id) {
  give(Restore{std::move(desired), std::move(eni_keys_by_id)});
}
void DatapathThread::keep(datapath::PodPlan plan) { give(Keep{std::move(plan)}); }
void DatapathThread::caches_synced() { give(Synced{}); }
void DatapathThread::wire(datapath::PodPlan plan, std::uint64_t serial,
                          std::shared_ptr<UniqueFd> netns) {
  give(Wire{std::move(plan), serial, std::move(netns), clock_.now()});
}
void DatapathThread::unwire(datapath::PodPlan plan, std::uint64_t serial,
                            std::shared_ptr<UniqueFd> netns) {
  give(Unwire{std::move(plan), serial, std::move(netns)});
}
void DatapathThread::limit(const model::AttachmentKey& key, const model::Bandwidth& bandwidth,
                           std::uint64_t order) {
  give(Limit{key, bandwidth, order});
}
void DatapathThread::check(datapath::PodPlan plan, std::shared_ptr<UniqueFd> netns, Call call) {
  give(Check{std::move(plan), std::move(netns), call});
}
void DatapathThread::bring_up(std::string eni_key, datapath::EniPlan plan) {
  give(BringUp{std::move(eni_key), std::move(plan)});
}
void DatapathThread::tear_down(std::string eni_id) { give(TearDown{std::move(eni_id)}); }
void DatapathThread::find_attachments() { give(Find{}); }

// --- in the thread ------------------------------------------------------------------------------

void DatapathThread::run() {
  next_resync_ = clock_.now() + kResyncEvery;
  while (wait()) {
    const int at_once = rising_.empty() ? kOrdersAtOnce : kOrdersAmidBringUp;
    for (int i = 0; i < at_once; ++i) {
      auto order = orders_.try_receive();
      backlog_ = order.has_value();
      if (!order) break;
      last_order_ = clock_.now();
      obey(std::move(*order));
    }
    try_nics();
    release_waiting_wires();
    heal();
    answer_watchers();
    tidy();
    sweep();
  }
  // What was ordered before the end is done: an answer may depend on it.
  while (auto order = orders_.try_receive()) obey(std::move(*order));
}

// Until there is something to do. False at the end.
bool DatapathThread::wait() {
  std::vector<pollfd> entries = {{wake_.get(), POLLIN, 0}};
  for (const int fd : datapath_->poll_fds()) entries.push_back({fd, POLLIN, 0});
  int timeout = -1;
  if (const auto left = until_next_work()) {
    timeout = static_cast<int>(std::chrono::ceil<milliseconds>(*left).count());
  }
  const int ready = ::poll(entries.data(), entries.size(), std::max(timeout, -1));
  if (ready > 0) {
    eventfd_t count = 0;
    if (entries[0].revents != 0) ::eventfd_read(wake_.get(), &count);
    if (std::any_of(entries.begin() + 1, entries.end(),
                    [](const pollfd& entry) { return entry.revents != 0; })) {
      auto changed = datapath_->drain_events();
      // Events that were lost count as a change.
      if (!changed.ok() || *changed) {
        if (!dirty_) dirty_since_ = clock_.now();
        dirty_ = true;
        for (auto& [key, rising] : rising_) rising.next_try = clock_.now();
      }
    }
  }
  return !orders_.closed();
}

std::optional<Duration> DatapathThread::until_next_work() const {
  if (backlog_) return Duration::zero();
  const Instant now = clock_.now();
  std::optional<Instant> next = next_resync_;
  const auto sooner = [&next](Instant at) { next = next ? std::min(*next, at) : at; };
  if (dirty_) sooner(dirty_since_ + heal_after());
  if (fast_path_.on) sooner(next_sweep_);
  for (const auto& watcher : watchers_) sooner(watcher.until);
  if (datapath_->has_marked_links()) sooner(last_order_ + kIdle);
  for (const auto& [key, rising] : rising_) sooner(rising.next_try);
  for (const auto& wire : waiting_) sooner(wire.since + kWaitForEni);
  return std::max(*next - now, Duration::zero());
}

void DatapathThread::obey(Order order) {
  std::visit([this](auto&& one) { on(std::forward<decltype(one)>(one)); }, std::move(order));
}

void DatapathThread::on(Restore order) {
  for (auto& pod : order.desired.pods) pods_[pod.key] = std::move(pod);
  for (auto& eni : order.desired.enis) {
    const auto key = order.eni_keys_by_id.find(eni.eni_id);
    if (key != order.eni_keys_by_id.end()) rising_[key->second] = {eni, clock_.now(), false, ""};
    enis_[eni.eni_id] = std::move(eni);
  }
  restored_ = true;
  try_nics();
  dirty_ = true;
  dirty_since_ = clock_.now() - kHealAmidBringUp;
}

void DatapathThread::on(Keep order) {
  pods_[order.plan.key] = std::move(order.plan);
  dirty_ = true;
  dirty_since_ = clock_.now();
}

void DatapathThread::on(Synced) {
  authoritative_ = true;
  dirty_ = true;
  dirty_since_ = clock_.now();
}

void DatapathThread::on(Wire order) {
  const bool coming = std::any_of(rising_.begin(), rising_.end(), [&](const auto& entry) {
    return entry.second.plan.eni_id == order.plan.eni_id;
  });
  if (coming) {
    waiting_.push_back(std::move(order));
    return;
  }
  wire_now(order);
}

void DatapathThread::wire_now(const Wire& order) {
  const Instant begun = clock_.now();
  static const UniqueFd kNone;
  const auto wired = datapath_->add_pod(order.plan, order.netns == nullptr ? kNone : *order.netns);
  Result<WiredAs> result = Error(Error::Kind::Internal, "");
  if (wired.ok()) {
    pods_[order.plan.key] = order.plan;
    pods_[order.plan.key].mtu = wired->mtu;
    result =
        WiredAs{wired->host_ifname, wired->host_mac, wired->pod_mac, wired->mtu, wired->gateways};
  } else {
    pods_.erase(order.plan.key);
    result = wired.error();
  }
  inbox_.send(WiredFact{order.plan.key, order.serial, std::move(result), clock_.now() - begun});
}

void DatapathThread::on(Unwire order) {
  std::erase_if(waiting_, [&](const Wire& wire) {
    if (wire.plan.key != order.plan.key) return false;
    inbox_.send(WiredFact{wire.plan.key, wire.serial,
                          Error(Error::Kind::Unavailable, "a DEL has come"), Duration::zero()});
    return true;
  });
  auto result = datapath_->remove_pod(order.plan, order.netns == nullptr ? -1 : order.netns->get());
  const bool is_back = !result.ok() || order.plan.mode != model::NetworkMode::Exclusive ||
                       order.plan.eni_id.empty() || datapath_->is_ready(order.plan.eni_id);
  // Kept in the plan when it failed, nothing would tell a resync from a pod that is to stay.
  pods_.erase(order.plan.key);
  inbox_.send(UnwiredFact{order.plan.key, order.serial, std::move(result), is_back});
}

void DatapathThread::on(const Limit& order) {
  const auto pod = pods_.find(order.key);
  if (pod != pods_.end()) pod->second.bandwidth = order.bandwidth;
  auto result = datapath_->set_bandwidth(order.key, order.bandwidth);
  if (!result.ok()) {
    dirty_ = true;
    dirty_since_ = clock_.now();
  }
  inbox_.send(LimitedFact{order.order, std::move(result)});
}

void DatapathThread::on(const Check& order) {
  static const UniqueFd kNone;
  inbox_.send(CheckedFact{
      order.call, datapath_->check_pod(order.plan, order.netns == nullptr ? kNone : *order.netns)});
}

void DatapathThread::on(BringUp order) {
  Rising& rising = rising_[order.eni_key];
  if (rising.plan.eni_id.empty()) rising.next_try = clock_.now();
  rising.plan = std::move(order.plan);
}

void DatapathThread::on(TearDown order) {
  std::erase_if(rising_,
                [&](const auto& entry) { return entry.second.plan.eni_id == order.eni_id; });
  enis_.erase(order.eni_id);
  const auto gone = datapath_->tear_down(order.eni_id);
  if (gone.ok()) {
    inbox_.send(TornDown{order.eni_id});
  } else {
    inbox_.send(
        DriftFact{{}, Error(gone.error()).within(fmt::format("tear down {}", order.eni_id))});
  }
}

void DatapathThread::on(Find) {
  auto found = datapath_->find_attachments();
  if (!found.ok()) {
    inbox_.send(DriftFact{{}, found.take_error().within("find attachments")});
    return;
  }
  auto clashes = datapath_->find_mark_clashes();
  if (!clashes.ok()) {
    inbox_.send(DriftFact{{}, clashes.take_error().within("find mark clashes")});
    return;
  }
  KernelFact fact;
  fact.mark_clashes = std::move(*clashes);
  for (auto& one : *found) {
    fact.found.push_back({one.key, one.host_ifname, one.addresses});
  }
  inbox_.send(std::move(fact));
}

// Not while pods wait.
void DatapathThread::sweep() {
  const Instant now = clock_.now();
  if (!fast_path_.on || now < next_sweep_) return;
  if (now < last_order_ + kIdle) {
    next_sweep_ = last_order_ + kIdle;
    return;
  }
  const auto more = datapath_->sweep_flows();
  next_sweep_ = now + (more.ok() && *more ? kSweepSlice : kSweepRound);
  if (!more.ok()) inbox_.send(DriftFact{{}, Error(more.error()).within("sweep flows")});
}

void DatapathThread::try_nics() {
  const Instant now = clock_.now();
  for (auto at = rising_.begin(); at != rising_.end();) {
    Rising& rising = at->second;
    if (rising.next_try > now) {
      ++at;
      continue;
    }
    rising.next_try = now + kRetryNic;
    const auto nic = datapath_->bring_up(rising.plan);
    if (nic.ok()) {
      enis_[rising.plan.eni_id] = rising.plan;
      inbox_.send(NicReady{at->first, *nic});
      at = rising_.erase(at);
      continue;
    }
    const bool missing = nic.is(Error::Kind::NotFound);
    if (missing || nic.is(Error::Kind::Unavailable)) {
      if (!rising.seen && !missing) {
        rising.seen = true;
        inbox_.send(NicSeen{at->first});
      }
      rising.why = nic.error().message();
      ++at;
      continue;
    }
    inbox_.send(NicFailed{at->first, nic.error().to_string()});
    enis_.erase(rising.plan.eni_id);
    at = rising_.erase(at);
  }
}

void DatapathThread::release_waiting_wires() {
  const Instant now = clock_.now();
  for (auto& wire : std::exchange(waiting_, {})) {
    const bool late = now >= wire.since + kWaitForEni;
    const auto rising = std::find_if(rising_.begin(), rising_.end(), [&](const auto& entry) {
      return entry.second.plan.eni_id == wire.plan.eni_id;
    });
    if (rising == rising_.end()) {
      wire_now(wire);
    } else if (late) {
      inbox_.send(WiredFact{wire.plan.key, wire.serial,
                            Error(Error::Kind::Unavailable, rising->second.why), now - wire.since});
    } else {
      waiting_.push_back(std::move(wire));
    }
  }
}

Duration DatapathThread::heal_after() const {
  return rising_.empty() ? kHealAfter : kHealAmidBringUp;
}

void DatapathThread::heal() {
  const Instant now = clock_.now();
  const bool due = (dirty_ && now >= dirty_since_ + heal_after()) || now >= next_resync_;
  if (!due || !restored_) return;
  dirty_ = false;
  next_resync_ = now + kResyncEvery;
  datapath::Desired desired;
  for (const auto& [id, plan] : enis_) desired.enis.push_back(plan);
  for (const auto& [key, rising] : rising_) desired.enis.push_back(rising.plan);
  for (const auto& [key, plan] : pods_) desired.pods.push_back(plan);
  auto drift = datapath_->resync(desired, authoritative_);
  // It may have read the answer that one of these waits for.
  for (auto& [key, rising] : rising_) rising.next_try = now;
  if (!drift.ok()) {
    const std::string why = drift.error().to_string();
    if (why != resync_fault_) inbox_.send(DriftFact{{}, drift.take_error().within("resync")});
    resync_fault_ = why;
    next_resync_ = now + seconds(1);
    return;
  }
  resync_fault_.clear();
  if (drift->total() > 0) inbox_.send(DriftFact{std::move(*drift), std::nullopt});
}

void DatapathThread::tidy() {
  if (!datapath_->has_marked_links()) {
    marked_since_.reset();
    return;
  }
  const Instant now = clock_.now();
  if (!marked_since_) marked_since_ = now;
  if (now < last_order_ + kIdle && now < *marked_since_ + kMarkedAtMost) return;
  marked_since_.reset();
  auto deleted = datapath_->delete_marked_links();
  if (!deleted.ok()) {
    inbox_.send(DriftFact{{}, deleted.take_error().within("delete links of removed pods")});
    last_order_ = now + seconds(1);  // not at once again
  } else if (datapath_->has_marked_links()) {
    last_order_ = now;  // token buckets that still drain: look again in a while
  }
}

}  // namespace terway::agent
