// SPDX-License-Identifier: Apache-2.0
// What kernel and cloud say.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "agent/facts.h"
#include "agent/node.h"
#include "base/log.h"

namespace terway::agent {

namespace {

// The runtime's word on a namespace, by the path that it gave: gone, or another one's now. A path
// that we cannot see at all (its folder is not mounted here) says nothing.
bool namespace_is_gone(const model::Attachment& attachment) {
  if (attachment.netns_path.empty()) return false;
  struct stat there{};
  if (::stat(attachment.netns_path.c_str(), &there) == 0) {
    return attachment.netns_inode != 0 && there.st_ino != attachment.netns_inode;
  }
  if (errno != ENOENT) return false;
  std::error_code error;
  return std::filesystem::is_directory(std::filesystem::path(attachment.netns_path).parent_path(),
                                       error);
}

// Long enough for whatever was under way when the kernel was looked at.
constexpr Duration kSettled = std::chrono::seconds(10);

}  // namespace

void Node::on(const WiredFact& fact) {
  parts_.metrics.add_phase("wire", fact.took);
  attachments_.wired(fact.key, fact.serial, fact.result);
}

void Node::on(const UnwiredFact& fact) {
  const model::Attachment* gone = attachments_.find(fact.key);
  if (!fact.nic_is_back && gone != nullptr) {
    // Nothing is granted on it before it is seen again.
    nics_.erase(gone->eni_key);
    ipam_.nic_failed(gone->eni_key, "its NIC has not come back from the pod's namespace yet",
                     parts_.clock.now());
  }
  attachments_.unwired(fact.key, fact.serial, fact.result, parts_.clock.now());
}

void Node::on(LimitedFact fact) {
  const auto caller = limit_callers_.find(fact.order);
  if (caller == limit_callers_.end()) return;
  if (fact.result.ok()) {
    caller->second.reply->send(std::move(caller->second.answer));
  } else {
    caller->second.reply->send(fact.result.take_error().within(
        "the limits are remembered and tried again, but the kernel has them not yet"));
  }
  limit_callers_.erase(caller);
}

void Node::on(CheckedFact fact) {
  if (fact.result.ok()) {
    answer({fact.call, Ok{}});
  } else {
    answer({fact.call, CallFailure{"datapath", fact.result.take_error()}});
  }
}

void Node::on(const NicSeen& fact) { ipam_.nic_seen(fact.eni_key, parts_.clock.now()); }

void Node::on(const NicReady& fact) {
  if (!nics_.contains(fact.eni_key)) {
    log::info("ENI is ready", {{log::kEni, fact.nic.eni_id},
                               {"nic", fact.nic.ifname},
                               {"table", fact.nic.table},
                               {"mtu", fact.nic.mtu}});
  }
  nics_[fact.eni_key] = fact.nic;
  rising_.erase(fact.eni_key);
  ipam_.nic_seen(fact.eni_key, parts_.clock.now());
  ipam_.nic_ready(fact.eni_key, parts_.clock.now());
  sync_wiring();
}

void Node::on(const NicFailed& fact) {
  note("EniFailed", fact.eni_key, fact.why);
  rising_.erase(fact.eni_key);
  ipam_.nic_failed(fact.eni_key, fact.why, parts_.clock.now());
}

void Node::on(const TornDown& fact) {
  std::erase_if(nics_, [&](const auto& entry) { return entry.second.eni_id == fact.eni_id; });
  std::erase_if(rising_, [&](const auto& entry) { return entry.second.eni_id == fact.eni_id; });
  ipam_.torn_down(fact.eni_id, parts_.clock.now());
}

void Node::on(const DriftFact& fact) {
  if (fact.error) {
    note("ResyncFailed", "kernel", fact.error->to_string());
    answer_looked();
    return;
  }
  parts_.metrics.drift(fact.drift);
  for (const model::Pod& pod : fact.drift.tampered) {
    note("ProgramsRemoved", pod.to_string(),
         "the pod had taken the programs off its NIC; they are attached again");
  }
  const auto add = [this](const char* kind, std::uint32_t count) {
    if (count > 0) drift_[kind] += count;
  };
  add("rules", fact.drift.rules);
  add("routes", fact.drift.routes);
  add("marks", fact.drift.marks);
  add("neighbours", fact.drift.neighbours);
  add("links", fact.drift.links);
  add("sysctls", fact.drift.sysctls);
  add("programs", fact.drift.programs);
  std::string what;
  for (std::size_t i = 0; i < fact.drift.what.size() && i < 5; ++i) {
    what += (i == 0 ? "" : "; ") + fact.drift.what[i];
  }
  if (fact.drift.total() > 0) {
    log::info("kernel put right", {{"changes", fact.drift.total()}, {"what", what}});
  }
}

void Node::on(const KernelFact& fact) {
  in_kernel_.clear();
  std::set<model::AttachmentKey> keys;
  for (const auto& found : fact.found) {
    keys.insert(found.key);
    in_kernel_.insert(found.addresses.begin(), found.addresses.end());
    if (fresh_ && attachments_.idle(found.key)) adopt(found);
  }
  kernel_seen_ = true;
  if (!fact.mark_clashes.empty()) {
    note("MarkClash", "mark_mask",
         fmt::format("{}; packets may leave by the wrong NIC: give mark_mask other bits",
                     fmt::join(fact.mark_clashes, "; ")));
  }
  release_orphans(keys);
  sync_wiring();
  answer_looked();
}

void Node::answer_looked() {
  for (const auto& question : std::exchange(until_looked_, {})) {
    if (question.reply != nullptr) question.reply->send(report(question));
  }
}

void Node::release_orphans(const std::set<model::AttachmentKey>& in_kernel) {
  const WallTime settled = parts_.clock.wall() - kSettled;
  for (const auto& attachment : attachments_.all()) {
    if (attachment.state != model::AttachmentState::Wired || in_kernel.contains(attachment.key) ||
        attachment.created > settled) {
      continue;
    }
    if (!namespace_is_gone(attachment)) {
      note("AttachmentBroken", attachment.key.to_string(),
           fmt::format("pod {} has no link in this node, but its namespace is there or cannot be "
                       "seen; its address stays its own",
                       attachment.pod.to_string()));
      continue;
    }
    log::warning(
        "attachment is gone without a DEL: link and namespace are missing",
        {{log::kPod, attachment.pod.to_string()}, {log::kContainer, attachment.key.container_id}});
    attachments_.del(0, attachment.key);
  }
}

void Node::adopt(const FoundInKernel& found) {
  model::Attachment attachment;
  attachment.key = found.key;
  attachment.state = model::AttachmentState::Wired;
  if (names_.mode == DaemonMode::Exclusive) attachment.mode = model::NetworkMode::Exclusive;
  attachment.host_ifname = found.host_ifname;
  attachment.addresses = found.addresses;
  attachment.created = parts_.clock.wall();
  attachments_.adopt(attachment);
  const auto adopted = ipam_.adopt(found.key, attachment.pod, found.addresses, parts_.clock.now());
  if (adopted.is(Error::Kind::Exists)) {
    note("AddressOrphan", found.key.to_string(), adopted.error().to_string());
  }
  log::warning("the journal does not know a pod that the kernel has; it keeps its addresses",
               {{log::kContainer, found.key.container_id}, {"link", found.host_ifname}});
  parts_.wiring.keep(plan_of(attachment));
}

// An adopted pod's ENI becomes known with the cloud's listing.
void Node::place_adopted() {
  for (const auto& attachment : attachments_.all()) {
    if (!attachment.eni_id.empty()) continue;
    const auto grant = ipam_.held_by(attachment.key);
    if (!grant || grant->eni_id.empty()) continue;
    attachments_.place(attachment.key, grant->eni_key, grant->eni_id);
    parts_.wiring.keep(plan_of(*attachments_.find(attachment.key)));
  }
}

// Nothing is removed from the kernel before the journal, the kernel and the cloud were all heard,
// and every ENI that carries pods has its NIC, or has failed.
void Node::sync_wiring() {
  if (synced_ || !listed_ || !kernel_seen_) return;
  for (const auto& eni : ipam_.enis()) {
    if (eni.state == model::EniState::Attached || eni.state == model::EniState::NicSeen) return;
  }
  // An adopted pod whose ENI is not ours yet: two sources have to see it first.
  for (const auto& attachment : attachments_.all()) {
    if (!attachment.eni_id.empty()) continue;
    effects_.emplace_back([this] { parts_.cloud.list_soon(); });
    return;
  }
  synced_ = true;
  effects_.emplace_back([this] { parts_.wiring.caches_synced(); });
  log::info("in sync with journal, kernel and cloud");
}

void Node::on(const IdentityFact& fact) {
  if (identity_.known() && identity_.instance.id != fact.identity.instance.id) {
    fatal_ =
        Error(Error::Kind::Invalid, fmt::format("the journal is about instance {}, and this is {}",
                                                identity_.instance.id, fact.identity.instance.id));
    drain();
    return;
  }
  const bool news =
      !identity_.known() || encode_identity(identity_) != encode_identity(fact.identity);
  identity_ = fact.identity;
  poll_fault_.clear();
  if (news) {
    log::info("instance identified", {{"instance", identity_.instance.id},
                                      {"type", identity_.type.id},
                                      {"zone", identity_.instance.zone_id},
                                      {"enis", identity_.type.eni_quantity},
                                      {"ipv4_per_eni", identity_.type.ipv4_per_eni}});
  }
  if (news || fact.described) {
    journal::Entry entry;
    entry.facts.push_back(
        {std::string(kIdentityFact), encode_identity(identity_), parts_.clock.wall()});
    entries_.push_back(std::move(entry));
  }
  reconfigure();
  parts_.cloud.identified(identity_, security_groups());
}

void Node::on(const VSwitchFact& fact) {
  journal::Entry entry;
  for (const auto& vswitch : fact.vswitches) {
    const auto known = vswitches_.find(vswitch.id);
    if (known == vswitches_.end() || encode_vswitch(known->second) != encode_vswitch(vswitch)) {
      entry.facts.push_back(
          {std::string(kVSwitchFact) + vswitch.id, encode_vswitch(vswitch), parts_.clock.wall()});
    }
    vswitches_[vswitch.id] = vswitch;
    ipam_.learn(vswitch, parts_.clock.now());
  }
  if (!entry.empty()) entries_.push_back(std::move(entry));
}

void Node::on(const ListingFact& fact) {
  ipam_.learn(fact.listing, parts_.clock.now());
  if (fact.listing.source == ipam::Listing::Source::Api) remember_listing(fact.listing);
  place_adopted();
  sync_wiring();
}

void Node::remember_listing(const ipam::Listing& listing) {
  listed_ = true;
  poll_fault_.clear();
  last_listing_ = listing.enis;
  in_cloud_.clear();
  for (const auto& eni : last_listing_) {
    in_cloud_.insert(eni.ipv4.begin(), eni.ipv4.end());
    in_cloud_.insert(eni.ipv6.begin(), eni.ipv6.end());
  }
}

void Node::on(const PollFailed& fact) {
  const std::string text = fmt::format("{}: {}", fact.what, fact.error.to_string());
  if (text != poll_fault_) log::warning("cloud", {{log::kError, text}});
  poll_fault_ = text;
}

void Node::on(const OutcomeFact& fact) {
  const ipam::Outcome& outcome = fact.outcome;
  cloud_fault_ = outcome.error ? outcome.error->to_string() : "";
  if (outcome.vswitch) on(VSwitchFact{{*outcome.vswitch}});
  remember_in_cloud(outcome);
  ipam_.finished(outcome, parts_.clock.now());
}

// Between two listings, the cloud's answers tell what it has.
void Node::remember_in_cloud(const ipam::Outcome& outcome) {
  if (outcome.error) return;
  in_cloud_.insert(outcome.addresses.begin(), outcome.addresses.end());
  if (outcome.eni) {
    in_cloud_.insert(outcome.eni->ipv4.begin(), outcome.eni->ipv4.end());
    in_cloud_.insert(outcome.eni->ipv6.begin(), outcome.eni->ipv6.end());
  }
  for (const auto& operation : ipam_.operations()) {
    const bool unassigned = operation.kind == ipam::OperationKind::UnassignIpv4 ||
                            operation.kind == ipam::OperationKind::UnassignIpv6;
    if (operation.id != outcome.operation_id || !unassigned) continue;
    for (const auto& address : operation.addresses) in_cloud_.erase(address);
  }
}

}  // namespace terway::agent
