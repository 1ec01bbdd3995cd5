// SPDX-License-Identifier: Apache-2.0
// Whether new pods can come, and why not: for probes, CNI STATUS and metrics.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "agent/node.h"

namespace terway::agent {

namespace {

using std::chrono::seconds;

constexpr Duration kMetricsEvery = seconds(1);

}  // namespace

// Pods of the other mode stay as they are until they go; an ENI cannot be in both.
std::string Node::other_mode() const {
  const bool exclusive = names_.mode == DaemonMode::Exclusive;
  std::size_t others = 0;
  std::string_view one;
  for (const auto& attachment : attachments_.all()) {
    if ((attachment.mode == model::NetworkMode::Exclusive) == exclusive) continue;
    ++others;
    one = model::to_string(attachment.mode);
  }
  if (others == 0) return "";
  return fmt::format(
      "{} pods of this node are wired as {}, and --daemon-mode {} is for others: new pods wait "
      "until those are gone",
      others, one, exclusive ? kExclusiveFlag : kSharedFlag);
}

std::string Node::not_ready() const {
  if (draining_) return "terwayd is stopping";
  if (!journal_fault_.empty()) return fmt::format("journal: {}", journal_fault_);
  if (!identity_.known()) {
    return fmt::format("what this instance is and may have is not known: {}",
                       poll_fault_.empty() ? "no answer yet" : poll_fault_);
  }
  if (const std::string other = other_mode(); !other.empty()) return other;
  for (const net::Family family : families()) {
    const auto counts = ipam_.counts(family);
    if (counts.idle > 0) continue;
    const char* name = family == net::Family::V4 ? "IPv4" : "IPv6";
    if (counts.capacity == 0) {
      return fmt::format("instance type {} gives pods no {} address", identity_.type.id, name);
    }
    if (counts.cooling > 0) continue;
    if (counts.total >= counts.capacity) {
      return fmt::format("all {} {} addresses that instance type {} allows are in use",
                         counts.capacity, name, identity_.type.id);
    }
    const auto vswitches = vswitches_of(config_, identity_);
    const bool exhausted =
        !vswitches.empty() && std::all_of(vswitches.begin(), vswitches.end(), [this](auto& id) {
          return exhausted_vswitches_.contains(id);
        });
    if (exhausted) {
      return fmt::format("no {} address is idle, and vSwitch {} has none left", name,
                         fmt::join(vswitches, ", "));
    }
    if (!cloud_fault_.empty()) {
      return fmt::format("no {} address is idle, and the cloud gives none: {}", name, cloud_fault_);
    }
  }
  return "";
}

void Node::update_metrics() {
  next_metrics_ = parts_.clock.now() + kMetricsEvery;
  for (const net::Family family : families()) {
    const auto c = ipam_.counts(family);
    parts_.metrics.pool({family == net::Family::V4 ? "ipv4" : "ipv6", c.total, c.idle, c.held,
                         c.cooling, c.releasing, c.waiting, c.capacity});
  }
  std::uint32_t ready = 0;
  std::uint32_t other = 0;
  for (const auto& eni : ipam_.enis()) ++(eni.state == model::EniState::Ready ? ready : other);
  parts_.metrics.enis(ready, other);
  parts_.metrics.attachments(static_cast<std::uint32_t>(attachments_.size()));
  parts_.metrics.ready(not_ready().empty());
}

}  // namespace terway::agent
