// SPDX-License-Identifier: Apache-2.0
#include "agent/calls.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <utility>

#include "base/log.h"

namespace terway::agent {

namespace {

using std::chrono::milliseconds;

// How soon a caller that hangs up is noticed.
constexpr Duration kLookEvery = milliseconds(500);

bool has_hung_up(int connection) {
  if (connection < 0) return false;
  char byte = 0;
  return ::recv(connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

std::uint64_t inode_of(const UniqueFd& netns) {
  struct stat status{};
  return netns && ::fstat(netns.get(), &status) == 0 ? status.st_ino : 0;
}

cni::AddResult result_of(const cni::Request& request, const model::Attachment& attachment) {
  cni::AddResult result;
  cni::Interface host;
  host.name = attachment.host_ifname;
  host.mac = attachment.host_mac.to_string();
  host.mtu = attachment.mtu;
  cni::Interface pod;
  pod.name = attachment.key.ifname;
  pod.mac = attachment.pod_mac.to_string();
  pod.mtu = attachment.mtu;
  pod.sandbox = request.netns_path;
  // A pod with an ENI of its own may be without a way to the host's stack.
  if (!host.name.empty()) result.interfaces.push_back(host);
  const auto index = static_cast<std::uint32_t>(result.interfaces.size());
  result.interfaces.push_back(pod);
  const auto gateway = [&](net::Family family) -> std::optional<net::IpAddress> {
    for (const auto& address : attachment.gateways) {
      if (address.family() == family) return address;
    }
    return std::nullopt;
  };
  for (const auto& address : attachment.addresses) {
    cni::IpConfig ip;
    ip.address = net::Prefix::host(address);
    ip.gateway = gateway(address.family());
    ip.interface = index;
    result.ips.push_back(ip);
    cni::RouteConfig route;
    route.destination = {address.is_v4() ? net::IpAddress::from_v4(0) : net::IpAddress{}, 0};
    route.gateway = ip.gateway;
    result.routes.push_back(route);
  }
  for (const auto& prefix : attachment.extra_routes) {
    cni::RouteConfig route;
    route.destination = prefix;
    route.gateway = gateway(prefix.family());
    result.routes.push_back(route);
  }
  result.dns = request.config.dns;
  if (request.previous) return cni::appended(*request.previous, result);
  return result;
}

cni::Failure failure_of(const cni::Request& request, const CallFailure& failure) {
  return cni::failure_from(request.command, cni::to_string(request.config.version), failure.layer,
                           failure.error);
}

void log_failure(const cni::Request& request, const CallFailure& failure) {
  // STATUS is asked every few seconds; its reason is in the log already, from where it arose.
  if (request.command == cni::Command::Status) return;
  log::warning(fmt::format("{} failed", cni::to_word(request.command)),
               {{log::kPod, request.pod.to_string()},
                {log::kContainer, request.key.container_id},
                {"layer", failure.layer},
                {log::kError, failure.error.to_string()},
                {log::kRequestId, failure.error.request_id()}});
}

std::vector<net::IpAddress> addresses_of(const cni::Request& request) {
  std::vector<net::IpAddress> addresses;
  if (!request.previous) return addresses;
  for (const auto& ip : request.previous->ips) addresses.push_back(ip.address.address);
  return addresses;
}

}  // namespace

std::optional<Answer> Calls::wait(const ReplyTo& reply, int connection) {
  for (;;) {
    if (auto answer = reply->receive_for(kLookEvery)) return answer;
    if (has_hung_up(connection)) {
      inbox_.send(HungUp{reply});
      return std::nullopt;
    }
    if (inbox_.closed()) return reply->try_receive();
  }
}

rpc::PluginAnswer Calls::serve(rpc::PluginRequest raw) {
  auto understood = rpc::understand(raw);
  if (const auto* failure = std::get_if<cni::Failure>(&understood)) {
    log::warning(fmt::format("{} refused", cni::to_word(raw.command)),
                 {{log::kContainer, raw.container_id}, {log::kError, failure->details}});
    return rpc::answer_with(*failure);
  }
  const auto& request = std::get<cni::Request>(understood);
  for (const auto& warning : request.warnings) {
    log::debug("network configuration", {{"message", warning}});
  }
  const auto reply = std::make_shared<Channel<Answer>>();
  switch (request.command) {
    case cni::Command::Add:
      return add(request, raw);
    case cni::Command::Del: {
      auto netns = raw.netns ? std::make_shared<UniqueFd>(std::move(raw.netns)) : nullptr;
      return simple(request, DelCall{request.key, reply, std::move(netns)}, reply, raw.connection);
    }
    case cni::Command::Check: {
      auto netns = std::make_shared<UniqueFd>(std::move(raw.netns));
      return simple(request, CheckCall{request.key, netns, addresses_of(request), reply}, reply,
                    raw.connection);
    }
    case cni::Command::Gc:
      // A runtime that does not say what is valid gets nothing removed.
      if (!request.valid_attachments) return {0, ""};
      return simple(request, GcCall{request.config.name, *request.valid_attachments, reply}, reply,
                    raw.connection);
    case cni::Command::Status:
      return simple(request, StatusCall{reply}, reply, raw.connection);
    case cni::Command::Version:
      break;
  }
  return {1, ""};
}

rpc::PluginAnswer Calls::add(const cni::Request& request, rpc::PluginRequest& raw) {
  const auto refuse = [&](const CallFailure& failure) {
    log_failure(request, failure);
    return rpc::answer_with(failure_of(request, failure));
  };
  if (!request.unserved_keys.empty()) {
    std::string keys;
    for (const auto& key : request.unserved_keys) keys += (keys.empty() ? "" : "; ") + key;
    return refuse({"cni", Error(Error::Kind::Invalid,
                                fmt::format("not served by this version of terwayd: {}", keys))});
  }
  // What a tombstone of this key was about is the attachment before; this one is to stay.
  if (auto removed = tombstones_.remove(request.key); !removed.ok()) {
    return refuse({"agent", removed.take_error()});
  }
  AddCall call;
  call.reply = std::make_shared<Channel<Answer>>();
  call.request.key = request.key;
  call.request.pod = request.pod;
  call.request.network = request.config.name;
  call.request.netns_path = request.netns_path;
  call.request.netns_inode = inode_of(raw.netns);
  call.request.netns = std::make_shared<UniqueFd>(std::move(raw.netns));
  call.request.mtu = request.config.mtu;
  call.request.bandwidth = request.runtime.bandwidth;
  call.request.bandwidth_problems = request.runtime.bandwidth_problems;
  call.request.priority = request.runtime.priority;
  call.request.priority_problem = request.runtime.priority_problem;
  call.request.host_peer = !request.config.disable_host_peer;
  call.request.host_stack = request.config.host_stack_cidrs;
  call.request.received = clock_.now();
  const Instant received = call.request.received;
  const ReplyTo reply = call.reply;
  inbox_.send(std::move(call));
  const auto answer = wait(reply, raw.connection);
  if (!answer) {
    return refuse({"agent", Error(Error::Kind::Unavailable,
                                  "the caller has hung up, or terwayd "
                                  "ends; this ADD is undone")});
  }
  if (const auto* failure = std::get_if<CallFailure>(&answer->outcome)) return refuse(*failure);
  const auto& attachment = std::get<model::Attachment>(answer->outcome);
  std::string addresses;
  for (const auto& address : attachment.addresses) {
    addresses += (addresses.empty() ? "" : ",") + address.to_string();
  }
  const std::chrono::duration<double, std::milli> took = clock_.now() - received;
  log::info("pod added", {{log::kPod, request.pod.to_string()},
                          {log::kContainer, request.key.container_id},
                          {log::kAddress, addresses},
                          {log::kEni, attachment.eni_id},
                          {"ms", fmt::format("{:.1f}", took.count())}});
  return rpc::answer_with(result_of(request, attachment), request.config.version);
}

rpc::PluginAnswer Calls::simple(const cni::Request& request, Event event, const ReplyTo& reply,
                                int connection) {
  inbox_.send(std::move(event));
  const auto answer = wait(reply, connection);
  if (!answer) {
    return rpc::answer_with(failure_of(
        request, {"agent", Error(Error::Kind::Unavailable, "terwayd ends before the answer")}));
  }
  if (const auto* failure = std::get_if<CallFailure>(&answer->outcome)) {
    log_failure(request, *failure);
    return rpc::answer_with(failure_of(request, *failure));
  }
  if (request.command == cni::Command::Del) {
    log::info("pod removed",
              {{log::kPod, request.pod.to_string()}, {log::kContainer, request.key.container_id}});
  }
  return {0, ""};
}

}  // namespace terway::agent
