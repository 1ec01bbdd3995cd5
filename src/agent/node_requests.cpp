// SPDX-License-Identifier: Apache-2.0
// What callers ask of the node.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "agent/node.h"
#include "base/log.h"

namespace terway::agent {

namespace {

std::string joined(const std::vector<net::IpAddress>& addresses) {
  std::string text;
  for (const auto& address : addresses) text += (text.empty() ? "" : ",") + address.to_string();
  return text.empty() ? "none" : text;
}

CallFailure failure(Error::Kind kind, std::string message) {
  return {"agent", Error(kind, std::move(message))};
}

}  // namespace

Call Node::new_call(const ReplyTo& reply) {
  if (reply == nullptr) return 0;
  const Call call = ++last_call_;
  callers_[call] = {reply, "", parts_.clock.now()};
  return call;
}

void Node::tell(const ReplyTo& reply, Answer answer) {
  if (reply != nullptr) reply->send(std::move(answer));
}

void Node::on(AddCall call) {
  if (draining_) {
    return tell(call.reply, {0, failure(Error::Kind::Unavailable, "terwayd is stopping")});
  }
  const Call id = new_call(call.reply);
  if (id == 0) return;
  callers_[id].verb = "ADD";
  callers_[id].since = call.request.received;
  const auto& kinds = config_.stateful_kinds;
  call.request.sticky =
      std::find(kinds.begin(), kinds.end(), call.request.pod.owner_kind) != kinds.end();
  call.request.deadline = call.request.received + config_.add_timeout;
  attachments_.add(id, std::move(call.request), parts_.clock.wall());
}

void Node::on(const DelCall& call) {
  const Call id = new_call(call.reply);
  if (id != 0) callers_[id].verb = "DEL";
  attachments_.del(id, call.key);
}

void Node::on(CheckCall call) {
  const model::Attachment* known = attachments_.find(call.key);
  if (known == nullptr || known->state != model::AttachmentState::Wired) {
    return tell(call.reply,
                {0, failure(Error::Kind::NotFound,
                            fmt::format("no attachment {} is known here", call.key.to_string()))});
  }
  const std::set<net::IpAddress> here(known->addresses.begin(), known->addresses.end());
  const std::set<net::IpAddress> there(call.addresses.begin(), call.addresses.end());
  if (!std::includes(there.begin(), there.end(), here.begin(), here.end())) {
    return tell(call.reply,
                {0, failure(Error::Kind::Invalid,
                            fmt::format("prevResult has the addresses {}, the journal {}",
                                        joined(call.addresses), joined(known->addresses)))});
  }
  const Call id = new_call(call.reply);
  if (id == 0) return;
  callers_[id].verb = "CHECK";
  parts_.wiring.check(plan_of(*known), std::move(call.netns), id);
}

void Node::on(GcCall call) {
  const std::set<model::AttachmentKey> valid(call.valid.begin(), call.valid.end());
  std::vector<model::AttachmentKey> stale;
  for (const auto& attachment : attachments_.all()) {
    // An ADD in flight may be younger than the runtime's list.
    if (attachment.network == call.network && !valid.contains(attachment.key) &&
        attachment.state == model::AttachmentState::Wired) {
      stale.push_back(attachment.key);
    }
  }
  if (stale.empty()) return tell(call.reply, {0, Ok{}});
  const Call id = new_call(call.reply);
  if (id != 0) {
    callers_[id].verb = "GC";
    callers_[id].parts = stale.size();
  }
  for (const auto& key : stale) {
    log::info("removing what the runtime does not know", {{log::kContainer, key.to_string()}});
    attachments_.del(id, key);
  }
}

void Node::on(const StatusCall& call) {
  const std::string why = not_ready();
  parts_.metrics.rpc("STATUS", !why.empty(), Duration::zero());
  if (why.empty()) return tell(call.reply, {0, Ok{}});
  tell(call.reply, {0, failure(Error::Kind::Unavailable, why)});
}

void Node::on(const HungUp& gone) {
  for (auto at = callers_.begin(); at != callers_.end(); ++at) {
    if (at->second.reply != gone.reply) continue;
    attachments_.hung_up(at->first);
    callers_.erase(at);
    return;
  }
}

void Node::on(const Question& question) {
  if (question.topic == Topic::Mapping) {
    until_looked_.push_back(question);
    parts_.wiring.find_attachments();
    return;
  }
  if (question.reply != nullptr) question.reply->send(report(question));
}

void Node::on(const ConfigFact& fact) {
  const auto changes = config::difference(loaded_, fact.loaded);
  for (const auto& warning : fact.loaded.warnings) {
    log::warning("configuration", {{"message", warning}});
  }
  config_ = config::merged(config_, fact.loaded.config);
  loaded_ = fact.loaded;
  loaded_at_ = parts_.clock.wall();
  for (const auto& key : changes.live) log::info("configuration changed", {{"key", key}});
  for (const auto& key : changes.restart) {
    log::warning("configuration changed, and needs a restart to take effect", {{"key", key}});
    if (std::find(restart_needed_.begin(), restart_needed_.end(), key) == restart_needed_.end()) {
      restart_needed_.push_back(key);
    }
  }
  log::set_up(config_.log_level, config_.log_format);
  reconfigure();
  parts_.cloud.configure(config_);
  if (identity_.known()) parts_.cloud.identified(identity_, security_groups());
}

}  // namespace terway::agent
