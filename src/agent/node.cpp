// SPDX-License-Identifier: Apache-2.0
#include "agent/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/facts.h"
#include "agent/settings.h"
#include "base/log.h"

namespace terway::agent {

namespace {

using std::chrono::seconds;

constexpr Duration kJournalRetry = seconds(1);
constexpr Duration kLookAtKernel = seconds(60);
constexpr std::size_t kMostNotices = 200;

std::string_view to_string(ipam::Notice::Kind kind) {
  using Kind = ipam::Notice::Kind;
  switch (kind) {
    case Kind::VSwitchExhausted:
      return "VSwitchExhausted";
    case Kind::VSwitchRecovered:
      return "VSwitchRecovered";
    case Kind::EniLimitReached:
      return "EniLimitReached";
    case Kind::EniFailed:
      return "EniFailed";
    case Kind::EniLost:
      return "EniLost";
    case Kind::EniUnwanted:
      return "EniUnwanted";
    case Kind::AddressSuspect:
      return "AddressSuspect";
    case Kind::AddressLost:
      return "AddressLost";
    case Kind::AddressOrphan:
      return "AddressOrphan";
    case Kind::CoolDownShortened:
      return "CoolDownShortened";
    case Kind::CloudFault:
      return "CloudFault";
  }
  return "?";
}

template <class T>
void append(std::vector<T>& into, std::vector<T>&& from) {
  into.insert(into.end(), std::make_move_iterator(from.begin()),
              std::make_move_iterator(from.end()));
}

}  // namespace

datapath::PodPlan plan_of(const model::Attachment& attachment) {
  datapath::PodPlan plan;
  plan.key = attachment.key;
  plan.pod = attachment.pod;
  plan.mode = attachment.mode;
  plan.netns_path = attachment.netns_path;
  plan.netns_inode = attachment.netns_inode;
  plan.eni_id = attachment.eni_id;
  plan.addresses = attachment.addresses;
  plan.mtu = attachment.mtu;
  for (const auto& prefix : attachment.extra_routes) plan.extra_routes.push_back({prefix});
  plan.bandwidth = attachment.bandwidth;
  plan.priority = attachment.priority;
  if (attachment.mode == model::NetworkMode::Exclusive) {
    plan.nic_mac = attachment.pod_mac;
    plan.host_peer = attachment.host_peer;
    plan.host_stack = attachment.host_stack;
  }
  return plan;
}

Node::Node(Parts parts, Names names, config::Loaded loaded, Random random)
    : parts_(parts),
      names_(std::move(names)),
      started_wall_(parts.clock.wall()),
      started_(parts.clock.now()),
      loaded_(std::move(loaded)),
      config_(loaded_.config),
      loaded_at_(started_wall_),
      ipam_(ipam_settings(config_, {}, names_.mode), ipam_limits(config_, {}), std::move(random)) {}

void Node::start(const journal::Journal::Opened& opened, const journal::Contents& contents) {
  const Instant now = parts_.clock.now();
  fresh_ = opened.fresh;
  for (const auto& fact : contents.facts) {
    if (fact.key == kIdentityFact) {
      if (auto identity = decode_identity(fact.value)) identity_ = std::move(*identity);
    } else if (fact.key.starts_with(kVSwitchFact)) {
      if (auto vswitch = decode_vswitch(fact.value)) vswitches_[vswitch->id] = *vswitch;
    }
  }
  reconfigure();
  ipam_.restore(contents.ipam, now);
  attachments_.restore(contents.attachments, now);

  // One transaction binds an attachment to its addresses, so these two loops find nothing unless
  // the file was edited; but a leak or a second owner would be forever.
  std::set<model::AttachmentKey> known;
  for (const auto& attachment : contents.attachments) {
    known.insert(attachment.key);
    if (!ipam_.held_by(attachment.key)) {
      (void)ipam_.adopt(attachment.key, attachment.pod, attachment.addresses, now);
    }
  }
  for (const auto& address : contents.ipam.addresses) {
    const bool held =
        address.state == model::AddressState::Held || address.state == model::AddressState::Suspect;
    if (held && !known.contains(address.owner)) ipam_.release(address.owner, now);
  }

  datapath::Desired desired;
  std::map<std::string, std::string> keys;
  for (const auto& eni : contents.ipam.enis) {
    const bool carries = eni.state == model::EniState::Ready ||
                         eni.state == model::EniState::NicSeen ||
                         eni.state == model::EniState::Draining;
    const auto plan = carries ? eni_plan(eni) : std::nullopt;
    if (!plan) continue;
    desired.enis.push_back(*plan);
    keys[eni.eni_id] = eni.key;
  }
  for (const auto& attachment : contents.attachments) {
    // The others are about to be removed.
    if (attachment.state == model::AttachmentState::Wired) {
      desired.pods.push_back(plan_of(attachment));
    }
  }
  parts_.wiring.restore(std::move(desired), std::move(keys));
  look_at_kernel(now);
  if (identity_.known()) parts_.cloud.identified(identity_, security_groups());
}

void Node::handle(Event event) {
  std::visit([this](auto&& one) { on(std::forward<decltype(one)>(one)); }, std::move(event));
}

std::optional<Instant> Node::settle() {
  const Instant now = parts_.clock.now();
  wake_at_.reset();
  attachments_.tick(now);
  refuse_overdue(now);
  if (now >= next_look_) look_at_kernel(now);
  decide(now);
  commit();
  if (now >= next_metrics_) update_metrics();

  const auto no_later_than = [this](std::optional<Instant> at) {
    if (at && (!wake_at_ || *at < *wake_at_)) wake_at_ = at;
  };
  no_later_than(attachments_.wake_at());
  no_later_than(next_look_);
  no_later_than(next_metrics_);
  if (!entries_.empty()) no_later_than(journal_retry_);
  for (const auto& [key, request] : early_) no_later_than(request.deadline);
  return wake_at_;
}

void Node::decide(Instant now) {
  // Ends: each round hands on what the one before has led to, and a pod goes through a few states
  // only.
  for (bool again = true; again;) {
    auto actions = attachments_.take();
    again = !actions.empty();
    apply(std::move(actions), now);
    auto turn = ipam_.turn(now);
    again |= !turn.grants.empty() || !turn.refusals.empty();
    absorb(std::move(turn), now);
  }
}

void Node::apply(Attachments::Actions actions, Instant now) {
  for (const auto& one : actions.demands) demand(one, now);
  journal::Entry entry;
  entry.attachments = std::move(actions.put);
  entry.erased_attachments = std::move(actions.erase);
  if (!entry.empty()) entries_.push_back(std::move(entry));
  for (auto& wire : actions.wire) {
    parts_.metrics.add_phase("wait", now - wire.received);
    effects_.emplace_back([this, wire = std::move(wire)] {
      parts_.wiring.wire(plan_of(wire.attachment), wire.serial, wire.netns);
    });
  }
  for (auto& unwire : actions.unwire) {
    effects_.emplace_back([this, unwire = std::move(unwire)] {
      parts_.wiring.unwire(plan_of(unwire.attachment), unwire.serial, unwire.netns);
    });
  }
  for (auto& one : actions.answers) {
    effects_.emplace_back([this, one = std::move(one)] { answer(one); });
  }
  for (const auto& complaint : actions.complaints) {
    log::warning("removal failed, trying again", {{log::kError, complaint}});
  }
}

void Node::demand(const std::variant<AddRequest, model::AttachmentKey>& demand, Instant now) {
  if (const auto* key = std::get_if<model::AttachmentKey>(&demand)) {
    early_.erase(*key);
    ipam_.release(*key, now);
    return;
  }
  const auto& request = std::get<AddRequest>(demand);
  if (!identity_.known()) {
    early_[request.key] = request;
    early_[request.key].netns.reset();
    return;
  }
  ipam_.ask({request.key, request.pod, request.sticky, request.deadline}, now);
}

void Node::refuse_overdue(Instant now) {
  for (auto at = early_.begin(); at != early_.end();) {
    if (now < at->second.deadline) {
      ++at;
      continue;
    }
    const std::string why = poll_fault_.empty() ? "no answer yet" : poll_fault_;
    attachments_.refused(
        at->first, Error(Error::Kind::Unavailable,
                         fmt::format("what this instance is and may have is not known: {}", why)));
    at = early_.erase(at);
  }
}

void Node::absorb(ipam::Turn turn, Instant) {
  if (!turn.changes.empty()) {
    journal::Entry entry;
    entry.ipam = std::move(turn.changes);
    entries_.push_back(std::move(entry));
  }
  if (!turn.grants.empty()) {
    std::map<std::string, net::Mac> macs;
    for (const auto& eni : ipam_.enis()) macs[eni.key] = eni.mac;
    for (auto& grant : turn.grants) {
      attachments_.granted(
          {grant.key, grant.eni_key, grant.eni_id, grant.addresses, macs[grant.eni_key]});
    }
  }
  for (const auto& refusal : turn.refusals) attachments_.refused(refusal.key, refusal.error);
  for (auto& operation : turn.start) {
    effects_.emplace_back(
        [this, operation = std::move(operation)] { parts_.cloud.start(operation); });
  }
  std::map<std::string, datapath::EniPlan> rising;
  for (const auto& eni : turn.bring_up) {
    auto plan = eni_plan(eni);
    if (!plan) {
      effects_.emplace_back([this] { parts_.cloud.list_soon(); });  // it learns the vSwitch, too
      continue;
    }
    const auto before = rising_.find(eni.key);
    if (before == rising_.end() || before->second != *plan) {
      effects_.emplace_back(
          [this, key = eni.key, plan = *plan] { parts_.wiring.bring_up(key, plan); });
    }
    rising[eni.key] = std::move(*plan);
  }
  rising_ = std::move(rising);
  for (const auto& eni_id : turn.tear_down) {
    effects_.emplace_back([this, eni_id] { parts_.wiring.tear_down(eni_id); });
  }
  for (const auto& notice : turn.notices) {
    if (notice.kind == ipam::Notice::Kind::VSwitchExhausted) {
      exhausted_vswitches_.insert(notice.subject);
    } else if (notice.kind == ipam::Notice::Kind::VSwitchRecovered) {
      exhausted_vswitches_.erase(notice.subject);
    }
    note(to_string(notice.kind), notice.subject, notice.message);
  }
  if (turn.wake_at && (!wake_at_ || *turn.wake_at < *wake_at_)) wake_at_ = turn.wake_at;
}

void Node::commit() {
  const Instant now = parts_.clock.now();
  if (!entries_.empty()) {
    if (!journal_fault_.empty() && now < journal_retry_) return;
    const auto written = parts_.journal.write(entries_);
    parts_.metrics.journal_commit(parts_.clock.now() - now);
    if (!written.ok()) {
      // What is not written must not happen: effects wait with it, and so do their callers.
      parts_.metrics.journal_failure();
      if (journal_fault_.empty()) {
        log::error("the journal cannot be written; nothing new is begun until it can",
                   {{log::kError, written.error().to_string()}});
      }
      journal_fault_ = written.error().to_string();
      journal_retry_ = now + kJournalRetry;
      return;
    }
    if (!journal_fault_.empty()) log::info("the journal is written again");
    journal_fault_.clear();
    entries_.clear();
  }
  for (auto& effect : std::exchange(effects_, {})) effect();
}

void Node::answer(const Answer& answer) {
  const auto found = callers_.find(answer.call);
  if (found == callers_.end()) return;
  Caller& caller = found->second;
  if (--caller.parts > 0) return;
  const bool failed = std::holds_alternative<CallFailure>(answer.outcome);
  const Duration took = parts_.clock.now() - caller.since;
  parts_.metrics.rpc(caller.verb, failed, took);
  if (caller.verb == "ADD" && !failed) parts_.metrics.add_phase("total", took);
  tell(caller.reply, answer);
  callers_.erase(found);
}

void Node::note(std::string_view kind, const std::string& subject, const std::string& message) {
  parts_.metrics.notice(kind);
  const auto key = std::pair(std::string(kind), subject);
  if (!notices_.contains(key) && notices_.size() >= kMostNotices) {
    notices_.erase(std::min_element(notices_.begin(), notices_.end(), [](auto& a, auto& b) {
      return a.second.last < b.second.last;
    }));
  }
  Noted& noted = notices_[key];
  // The same again is counted; a line for each would drown the rest.
  if (noted.message != message) {
    log::warning(kind, {{"subject", subject}, {"message", message}});
  }
  noted.message = message;
  noted.last = parts_.clock.wall();
  ++noted.count;
}

void Node::reconfigure() {
  ipam_.reconfigure(ipam_settings(config_, identity_, names_.mode),
                    ipam_limits(config_, identity_));
  if (!identity_.known()) return;
  const Instant now = parts_.clock.now();
  for (auto& [key, request] : std::exchange(early_, {})) {
    ipam_.ask({request.key, request.pod, request.sticky, request.deadline}, now);
  }
}

std::optional<datapath::EniPlan> Node::eni_plan(const model::EniRecord& eni) const {
  const auto vswitch = vswitches_.find(eni.vswitch_id);
  if (vswitch == vswitches_.end() || eni.eni_id.empty()) return std::nullopt;
  datapath::EniPlan plan;
  plan.eni_id = eni.eni_id;
  plan.mac = eni.mac;
  if (config_.stack != config::Stack::V6) plan.gateway_v4 = model::gateway_of(vswitch->second.cidr);
  if (config_.stack != config::Stack::V4 && vswitch->second.ipv6_cidr) {
    plan.gateway_v6 = model::gateway_of(*vswitch->second.ipv6_cidr);
  }
  if (!eni.primary_address.is_unspecified()) {
    plan.own_addresses.push_back(eni.primary_address);
  }
  return plan;
}

std::vector<std::string> Node::security_groups() const {
  return config_.security_groups.empty() ? identity_.instance.security_group_ids
                                         : config_.security_groups;
}

void Node::look_at_kernel(Instant now) {
  next_look_ = now + kLookAtKernel;
  parts_.wiring.find_attachments();
}

void Node::drain() {
  draining_ = true;
  attachments_.give_up(Error(Error::Kind::Unavailable, "terwayd is stopping"));
}

std::vector<net::Family> Node::families() const {
  switch (config_.stack) {
    case config::Stack::V4:
      return {net::Family::V4};
    case config::Stack::V6:
      return {net::Family::V6};
    case config::Stack::Dual:
      break;
  }
  return {net::Family::V4, net::Family::V6};
}

}  // namespace terway::agent
