// SPDX-License-Identifier: Apache-2.0
#include "agent/attachments.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace terway::agent {

namespace {

constexpr Duration kLongestRetry = std::chrono::seconds(60);

Error overtaken(std::string_view by) {
  return Error(Error::Kind::Unavailable, fmt::format("{}; this ADD was undone", by));
}

}  // namespace

void Attachments::restore(const std::vector<model::Attachment>& known, Instant) {
  for (const auto& attachment : known) {
    Slot& slot = slots_[attachment.key];
    slot.record = attachment;
    slot.phase = Phase::Wired;
    if (attachment.state != model::AttachmentState::Wired) remove(attachment.key, slot);
  }
}

void Attachments::adopt(const model::Attachment& found) {
  Slot& slot = slots_[found.key];
  if (slot.record || slot.adder != 0) return;
  slot.phase = Phase::Wired;
  slot.record = found;
  actions_.put.push_back(found);
}

void Attachments::place(const model::AttachmentKey& key, const std::string& eni_key,
                        const std::string& eni_id) {
  const auto found = slots_.find(key);
  if (found == slots_.end() || !found->second.record) return;
  found->second.record->eni_key = eni_key;
  found->second.record->eni_id = eni_id;
  actions_.put.push_back(*found->second.record);
}

void Attachments::fail(Call call, std::string layer, Error error) {
  if (call != 0) {
    actions_.answers.push_back({call, CallFailure{std::move(layer), std::move(error)}});
  }
}

void Attachments::begin(Slot& slot, Call call, AddRequest request, WallTime wall) {
  slot.phase = Phase::Waiting;
  slot.adder = call;
  slot.wall = wall;
  slot.request = std::move(request);
  actions_.demands.emplace_back(slot.request);
}

void Attachments::add(Call call, AddRequest request, WallTime wall) {
  const auto found = slots_.find(request.key);
  if (found == slots_.end()) {
    Slot& slot = slots_[request.key];  // before `request` is moved from
    begin(slot, call, std::move(request), wall);
    return;
  }
  Slot& slot = found->second;
  switch (slot.phase) {
    case Phase::Waiting:
      // The same sandbox asks again, so its first call is not waited for any more.
      fail(slot.adder, "agent", overtaken("another ADD of the same container has come"));
      begin(slot, call, std::move(request), wall);
      return;
    case Phase::Wired: {
      // Made afresh in the namespace that is given now, with the addresses that it has.
      slot.adder = call;
      slot.wall = wall;
      slot.request = std::move(request);
      wire(slot);
      return;
    }
    case Phase::Wiring:
    case Phase::Removing:
      if (slot.next) {
        fail(slot.next->call, "agent", overtaken("another ADD of the same container has come"));
      }
      slot.next = Slot::Next{call, std::move(request), wall};
      return;
  }
}

void Attachments::del(Call call, const model::AttachmentKey& key, std::shared_ptr<UniqueFd> netns) {
  Slot& slot = slots_[key];
  if (netns != nullptr) slot.netns = std::move(netns);
  const bool unknown = !slot.record && slot.adder == 0 && slot.phase == Phase::Waiting;
  if (slot.next) {
    fail(slot.next->call, "agent", overtaken("a DEL of the same container has come"));
    slot.next.reset();
  }
  if (call != 0) slot.deleters.push_back(call);
  switch (slot.phase) {
    case Phase::Waiting:
      if (!unknown) {
        fail(slot.adder, "agent", overtaken("a DEL of the same container has come"));
        slot.adder = 0;
        actions_.demands.emplace_back(key);
      }
      remove(key, slot);
      return;
    case Phase::Wiring:
      if (!slot.undo) {
        slot.undo = CallFailure{"agent", overtaken("a DEL of the same container has come")};
      }
      return;
    case Phase::Wired:
      remove(key, slot);
      return;
    case Phase::Removing:
      if (slot.retry_at) unwire(key, slot);
      return;
  }
}

void Attachments::hung_up(Call call) {
  if (call == 0) return;
  for (auto at = slots_.begin(); at != slots_.end(); ++at) {
    Slot& slot = at->second;
    std::erase(slot.deleters, call);
    if (slot.next && slot.next->call == call) slot.next.reset();
    if (slot.adder != call) continue;
    slot.adder = 0;
    const Error error = overtaken("the caller has hung up");
    if (slot.phase == Phase::Waiting) {
      actions_.demands.emplace_back(at->first);
      remove(at->first, slot);
    } else if (slot.phase == Phase::Wiring && !slot.undo) {
      slot.undo = CallFailure{"agent", error};
    }
    return;
  }
}

bool Attachments::limit(const model::AttachmentKey& key, const model::Bandwidth& bandwidth) {
  const auto found = slots_.find(key);
  if (found == slots_.end() || found->second.phase != Phase::Wired) return false;
  found->second.record->bandwidth = bandwidth;
  actions_.put.push_back(*found->second.record);
  return true;
}

void Attachments::granted(const Granted& grant) {
  const auto found = slots_.find(grant.key);
  if (found == slots_.end() || found->second.phase != Phase::Waiting) {
    return;  // not wanted any more: its release is under way
  }
  Slot& slot = found->second;
  model::Attachment& record = slot.record.emplace();
  record.key = grant.key;
  record.eni_key = grant.eni_key;
  record.eni_id = grant.eni_id;
  record.addresses = grant.addresses;
  record.pod_mac = grant.nic_mac;
  wire(slot);
}

void Attachments::wire(Slot& slot) {
  model::Attachment& record = *slot.record;
  record.state = model::AttachmentState::Intent;
  record.pod = slot.request.pod;
  record.sticky = slot.request.sticky;
  record.network = slot.request.network;
  record.netns_path = slot.request.netns_path;
  record.netns_inode = slot.request.netns_inode;
  record.mtu = slot.request.mtu;
  record.extra_routes = slot.request.extra_routes;
  record.bandwidth = slot.request.bandwidth;
  record.priority = slot.request.priority;
  record.mode = slot.request.mode;
  record.host_peer = slot.request.host_peer;
  record.host_stack = slot.request.host_stack;
  record.created = slot.wall;
  slot.phase = Phase::Wiring;
  slot.serial = ++last_serial_;
  actions_.put.push_back(record);
  actions_.wire.push_back({record, slot.serial, slot.request.netns, slot.request.received});
  slot.request.netns.reset();  // kept, it would pin the pod's namespace
}

void Attachments::refused(const model::AttachmentKey& key, const Error& error) {
  const auto found = slots_.find(key);
  if (found == slots_.end() || found->second.phase != Phase::Waiting) return;
  fail(found->second.adder, "ipam", error);
  finish(found);
}

void Attachments::wired(const model::AttachmentKey& key, std::uint64_t serial,
                        const Result<WiredAs>& result) {
  const auto found = slots_.find(key);
  if (found == slots_.end()) return;
  Slot& slot = found->second;
  if (slot.phase != Phase::Wiring || slot.serial != serial) return;
  if (!result.ok() && !slot.undo) slot.undo = CallFailure{"datapath", result.error()};
  if (slot.undo) {
    remove(key, slot);
    return;
  }
  model::Attachment& record = *slot.record;
  record.state = model::AttachmentState::Wired;
  record.host_ifname = result->host_ifname;
  record.host_mac = result->host_mac;
  record.pod_mac = result->pod_mac;
  record.mtu = result->mtu;
  record.gateways = result->gateways;
  slot.phase = Phase::Wired;
  actions_.put.push_back(record);
  if (slot.adder != 0) actions_.answers.push_back({slot.adder, record});
  slot.adder = 0;
  if (auto next = std::exchange(slot.next, std::nullopt)) {
    add(next->call, std::move(next->request), next->wall);
  }
}

void Attachments::remove(const model::AttachmentKey& key, Slot& slot) {
  slot.phase = Phase::Removing;
  slot.request.netns.reset();
  if (slot.record) {
    slot.record->state = model::AttachmentState::Removing;
    actions_.put.push_back(*slot.record);
  }
  unwire(key, slot);
}

void Attachments::unwire(const model::AttachmentKey& key, Slot& slot) {
  slot.serial = ++last_serial_;
  slot.retry_at.reset();
  model::Attachment attachment;
  attachment.key = key;
  actions_.unwire.push_back(
      {slot.record.value_or(attachment), slot.serial, std::exchange(slot.netns, nullptr)});
}

void Attachments::answer_deleters(Slot& slot) {
  for (const Call call : slot.deleters) actions_.answers.push_back({call, Ok{}});
  slot.deleters.clear();
}

void Attachments::unwired(const model::AttachmentKey& key, std::uint64_t serial,
                          const Result<>& result, Instant now) {
  const auto found = slots_.find(key);
  if (found == slots_.end()) return;
  Slot& slot = found->second;
  if (slot.phase != Phase::Removing || slot.serial != serial) return;
  if (!result.ok()) {
    // The journal has the intent, so it will be done; the addresses stay taken until then. The
    // callers need not wait: a DEL that fails leaves a pod that cannot end.
    actions_.complaints.push_back(
        fmt::format("{}: {}", key.to_string(), result.error().to_string()));
    answer_deleters(slot);
    if (slot.undo) fail(std::exchange(slot.adder, 0), slot.undo->layer, slot.undo->error);
    slot.retry_at = now + slot.retry_after;
    slot.retry_after = std::min(slot.retry_after * 2, kLongestRetry);
    return;
  }
  if (slot.undo) fail(slot.adder, slot.undo->layer, slot.undo->error);
  answer_deleters(slot);
  finish(found);
}

void Attachments::finish(Slots::iterator at) {
  const model::AttachmentKey key = at->first;
  auto next = std::move(at->second.next);
  if (at->second.record) actions_.erase.push_back(key);
  actions_.demands.emplace_back(key);
  slots_.erase(at);
  // In the next round of take(), after this one's release.
  if (next) begin(slots_[key], next->call, std::move(next->request), next->wall);
}

void Attachments::give_up(const Error& why) {
  for (auto& [key, slot] : slots_) {
    if (slot.next) fail(slot.next->call, "agent", why);
    slot.next.reset();
    if (slot.phase != Phase::Waiting) continue;
    fail(std::exchange(slot.adder, 0), "agent", why);
    actions_.demands.emplace_back(key);
    remove(key, slot);
  }
}

void Attachments::tick(Instant now) {
  for (auto& [key, slot] : slots_) {
    if (slot.retry_at && *slot.retry_at <= now) unwire(key, slot);
  }
}

std::optional<Instant> Attachments::wake_at() const {
  std::optional<Instant> earliest;
  for (const auto& [key, slot] : slots_) {
    if (slot.retry_at && (!earliest || *slot.retry_at < *earliest)) earliest = slot.retry_at;
  }
  return earliest;
}

Attachments::Actions Attachments::take() { return std::exchange(actions_, {}); }

const model::Attachment* Attachments::find(const model::AttachmentKey& key) const {
  const auto found = slots_.find(key);
  return found == slots_.end() || !found->second.record ? nullptr : &*found->second.record;
}

std::vector<model::Attachment> Attachments::all() const {
  std::vector<model::Attachment> list;
  for (const auto& [key, slot] : slots_) {
    if (slot.record) list.push_back(*slot.record);
  }
  return list;
}

std::vector<Attachments::Waiting> Attachments::waiting() const {
  std::vector<Waiting> list;
  for (const auto& [key, slot] : slots_) {
    if (slot.phase == Phase::Waiting) {
      list.push_back({key, slot.request.pod, slot.request.received});
    }
  }
  return list;
}

}  // namespace terway::agent
