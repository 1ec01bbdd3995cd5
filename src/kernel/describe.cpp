// SPDX-License-Identifier: Apache-2.0
// What a message is about, in words: for errors.
#include <fmt/core.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include <array>

#include "kernel/address.h"
#include "kernel/filter.h"
#include "kernel/link.h"
#include "kernel/message.h"
#include "kernel/neighbour.h"
#include "kernel/qdisc.h"
#include "kernel/route.h"
#include "kernel/rule.h"

namespace terway::kernel {

namespace {

std::string_view verb_of(std::uint16_t type) {
  static constexpr std::array<std::string_view, 4> kVerbs = {"write", "delete", "get", "set"};
  return kVerbs[(type - RTM_BASE) & 3U];
}

std::string netfilter(std::uint16_t type) {
  static constexpr std::array<std::string_view, 24> kNftables = {
      "write table",   "get table",      "delete table",    "write chain",  "get chain",
      "delete chain",  "write rule",     "get rule",        "delete rule",  "write set",
      "get set",       "delete set",     "write element",   "get element",  "delete element",
      "generation",    "get generation", "trace",           "write object", "get object",
      "delete object", "reset object",   "write flowtable", "get flowtable"};
  const unsigned subsystem = type >> 8U;
  const unsigned operation = type & 0xffU;
  if (subsystem == NFNL_SUBSYS_NFTABLES && operation < kNftables.size()) {
    return fmt::format("nftables {}", kNftables[operation]);
  }
  if (subsystem == NFNL_SUBSYS_CTNETLINK) return fmt::format("conntrack request {}", operation);
  return fmt::format("netfilter request {:#x}", type);
}

}  // namespace

std::string describe(const MessageView& message) {
  const std::uint16_t type = message.header.nlmsg_type;
  if (type >= 256) return netfilter(type);
  if (type < RTM_BASE) return fmt::format("netlink message {}", type);
  const std::string_view verb = verb_of(type);
  if (const auto link = parse_link(message)) {
    return fmt::format("{} link {} {}", verb, link->ifindex, link->name);
  }
  if (const auto address = parse_address(message)) {
    return fmt::format("{} address {} dev {}", verb, address->prefix.to_string(), address->ifindex);
  }
  if (const auto route = parse_route(message)) {
    return fmt::format("{} route {}", verb, route->to_string());
  }
  if (const auto rule = parse_rule(message)) {
    return fmt::format("{} rule {}", verb, rule->to_string());
  }
  if (const auto neighbour = parse_neighbour(message)) {
    return fmt::format("{} neighbour {} dev {}", verb, neighbour->address.to_string(),
                       neighbour->ifindex);
  }
  if (const auto qdisc = parse_qdisc(message)) {
    return fmt::format("{} qdisc {} dev {}", verb, qdisc->kind, qdisc->ifindex);
  }
  if (const auto filter = parse_filter(message)) {
    return fmt::format("{} filter {} dev {} {}", verb, filter->name, filter->ifindex,
                       to_string(filter->hook));
  }
  return fmt::format("{} (rtnetlink type {})", verb, type);
}

}  // namespace terway::kernel
