// SPDX-License-Identifier: Apache-2.0
// What callers ask of the node.
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "agent/node.h"
#include "base/log.h"
#include "model/bandwidth.h"
#include "rpc/cli_api.h"

namespace terway::agent {

namespace {

std::string joined(const std::vector<net::IpAddress>& addresses) {
  std::string text;
  for (const auto& address : addresses) text += (text.empty() ? "" : ",") + address.to_string();
  return text.empty() ? "none" : text;
}

rpc::cli::Bandwidth limits_of(const model::Attachment& attachment) {
  return {attachment.pod.to_string(), attachment.key.container_id, attachment.key.ifname,
          model::rate_text(attachment.bandwidth.egress),
          model::rate_text(attachment.bandwidth.ingress)};
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
  if (!accept_limits(call.request)) {
    return tell(
        call.reply,
        {0, CallFailure{"cni", Error(Error::Kind::Invalid,
                                     fmt::format("{}", fmt::join(call.request.bandwidth_problems,
                                                                 "; ")))}});
  }
  if (const std::string other = other_mode(); !other.empty()) {
    return tell(call.reply, {0, failure(Error::Kind::Unavailable, other)});
  }
  const Call id = new_call(call.reply);
  if (id == 0) return;
  callers_[id].verb = "ADD";
  callers_[id].since = call.request.received;
  const auto& kinds = config_.stateful_kinds;
  call.request.sticky =
      std::find(kinds.begin(), kinds.end(), call.request.pod.owner_kind) != kinds.end();
  call.request.deadline = call.request.received + config_.add_timeout;
  if (names_.mode == DaemonMode::Exclusive) call.request.mode = model::NetworkMode::Exclusive;
  attachments_.add(id, std::move(call.request), parts_.clock.wall());
}

void Node::on(const DelCall& call) {
  const Call id = new_call(call.reply);
  if (id != 0) callers_[id].verb = "DEL";
  attachments_.del(id, call.key, call.netns);
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

bool Node::accept_limits(const AddRequest& request) {
  const std::string pod = request.pod.to_string();
  if (!request.priority_problem.empty()) {
    note("PriorityInvalid", pod, request.priority_problem + "; the pod has none");
  }
  if (request.bandwidth_problems.empty()) return true;
  const bool refuse = config_.invalid_bandwidth == config::InvalidBandwidth::Refuse;
  note("BandwidthInvalid", pod,
       fmt::format("{}; {}", fmt::join(request.bandwidth_problems, "; "),
                   refuse ? "the pod is refused (invalid_bandwidth)"
                          : "unlimited there (invalid_bandwidth)"));
  return !refuse;
}

void Node::on(BandwidthCall call) {
  const auto refuse = [&](Error::Kind kind, std::string message) {
    call.reply->send(Error(kind, std::move(message)));
  };
  std::vector<model::Attachment> matches;
  for (auto& attachment : attachments_.all()) {
    const bool named =
        attachment.pod.to_string() == call.pod || attachment.key.container_id == call.pod;
    if (named && (call.ifname.empty() || attachment.key.ifname == call.ifname)) {
      matches.push_back(std::move(attachment));
    }
  }
  if (matches.empty()) {
    return refuse(
        Error::Kind::NotFound,
        fmt::format("no pod {} is known here (NAMESPACE/NAME, or a container id)", call.pod));
  }
  if (matches.size() > 1) {
    std::vector<std::string> keys;
    for (const auto& match : matches) keys.push_back(match.key.to_string());
    return refuse(Error::Kind::Invalid,
                  fmt::format("{} are several interfaces: {}", call.pod, fmt::join(keys, ", ")));
  }
  model::Attachment& attachment = matches.front();
  const bool change = call.egress || call.ingress;
  attachment.bandwidth.egress = call.egress.value_or(attachment.bandwidth.egress);
  attachment.bandwidth.ingress = call.ingress.value_or(attachment.bandwidth.ingress);
  if (change && !attachments_.limit(attachment.key, attachment.bandwidth)) {
    return refuse(Error::Kind::Unavailable,
                  fmt::format("pod {} is {}, not Wired: ask again when it is", call.pod,
                              to_string(attachment.state)));
  }
  std::string answer = rpc::cli::encode(limits_of(attachment));
  if (!change) return (void)call.reply->send(std::move(answer));
  log::info("limits changed", {{log::kPod, attachment.pod.to_string()},
                               {log::kContainer, attachment.key.to_string()},
                               {"egress", model::rate_text(attachment.bandwidth.egress)},
                               {"ingress", model::rate_text(attachment.bandwidth.ingress)}});
  limit_callers_[++last_limit_] = {std::move(call.reply), std::move(answer)};
  effects_.emplace_back([this, key = attachment.key, bandwidth = attachment.bandwidth,
                         order = last_limit_] { parts_.wiring.limit(key, bandwidth, order); });
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
