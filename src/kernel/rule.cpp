// SPDX-License-Identifier: Apache-2.0
#include "kernel/rule.h"

#include <fmt/core.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace terway::kernel {

namespace {

std::uint8_t to_kernel(RuleAction action) {
  switch (action) {
    case RuleAction::ToTable:
      return FR_ACT_TO_TBL;
    case RuleAction::Unreachable:
      return FR_ACT_UNREACHABLE;
    case RuleAction::Blackhole:
      return FR_ACT_BLACKHOLE;
    case RuleAction::Prohibit:
      return FR_ACT_PROHIBIT;
    case RuleAction::Other:
      break;
  }
  return FR_ACT_UNSPEC;
}

RuleAction from_kernel(std::uint8_t action) {
  for (const RuleAction known : {RuleAction::ToTable, RuleAction::Unreachable,
                                 RuleAction::Blackhole, RuleAction::Prohibit}) {
    if (to_kernel(known) == action) return known;
  }
  return RuleAction::Other;
}

Message write(std::uint16_t type, std::uint16_t flags, const Rule& rule) {
  fib_rule_hdr header{};
  header.family = rule.family == net::Family::V4 ? AF_INET : AF_INET6;
  if (rule.from) header.src_len = rule.from->length;
  if (rule.to) header.dst_len = rule.to->length;
  header.table =
      rule.table < 256 ? static_cast<std::uint8_t>(rule.table) : std::uint8_t{RT_TABLE_UNSPEC};
  header.action = to_kernel(rule.action);
  Message message(type, flags);
  message.header(header).put_u32(FRA_PRIORITY, rule.priority);
  if (rule.from) message.put_address(FRA_SRC, rule.from->address);
  if (rule.to) message.put_address(FRA_DST, rule.to->address);
  if (rule.mask != 0) message.put_u32(FRA_FWMARK, rule.mark).put_u32(FRA_FWMASK, rule.mask);
  if (!rule.iif.empty()) message.put_text(FRA_IIFNAME, rule.iif);
  if (!rule.oif.empty()) message.put_text(FRA_OIFNAME, rule.oif);
  if (rule.table != 0) message.put_u32(FRA_TABLE, rule.table);
  if (rule.protocol != 0) message.put_u8(FRA_PROTOCOL, rule.protocol);
  return message;
}

}  // namespace

std::string Rule::to_string() const {
  std::string text = fmt::format("{}:", priority);
  if (from) text += " from " + from->to_string();
  if (to) text += " to " + to->to_string();
  if (mask != 0) text += fmt::format(" fwmark {:#x}/{:#x}", mark, mask);
  if (!iif.empty()) text += " iif " + iif;
  if (!oif.empty()) text += " oif " + oif;
  if (action == RuleAction::ToTable) return text + fmt::format(" lookup {}", table);
  if (action == RuleAction::Unreachable) return text + " unreachable";
  if (action == RuleAction::Blackhole) return text + " blackhole";
  return text;
}

std::optional<Rule> parse_rule(const MessageView& message) {
  if (message.header.nlmsg_type != RTM_NEWRULE && message.header.nlmsg_type != RTM_DELRULE) {
    return std::nullopt;
  }
  const auto header = message.fixed<fib_rule_hdr>();
  if (!header || (header->family != AF_INET && header->family != AF_INET6)) return std::nullopt;
  const Attributes attributes(message.rest<fib_rule_hdr>());
  Rule rule;
  rule.family = header->family == AF_INET ? net::Family::V4 : net::Family::V6;
  rule.priority = attributes.u32(FRA_PRIORITY).value_or(0);
  if (const auto from = attributes.address(FRA_SRC)) {
    if (header->src_len > from->full_length()) return std::nullopt;
    rule.from = net::Prefix{*from, header->src_len};
  }
  if (const auto to = attributes.address(FRA_DST)) {
    if (header->dst_len > to->full_length()) return std::nullopt;
    rule.to = net::Prefix{*to, header->dst_len};
  }
  rule.mark = attributes.u32(FRA_FWMARK).value_or(0);
  rule.mask = attributes.u32(FRA_FWMASK).value_or(0);
  rule.iif = attributes.text(FRA_IIFNAME);
  rule.oif = attributes.text(FRA_OIFNAME);
  rule.action = from_kernel(header->action);
  rule.table = attributes.u32(FRA_TABLE).value_or(header->table);
  rule.protocol = attributes.u8(FRA_PROTOCOL).value_or(0);
  return rule;
}

Result<std::vector<Rule>> list_rules(Socket& socket, net::Family family) {
  fib_rule_hdr header{};
  header.family = family == net::Family::V4 ? AF_INET : AF_INET6;
  Message message(RTM_GETRULE);
  message.header(header);
  std::vector<Rule> rules;
  TRY(socket.dump(std::move(message))).for_each([&](const MessageView& view) {
    if (auto rule = parse_rule(view)) rules.push_back(std::move(*rule));
  });
  return rules;
}

Message add_rule(const Rule& rule) { return write(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule); }

Message delete_rule(const Rule& rule) { return write(RTM_DELRULE, 0, rule); }

}  // namespace terway::kernel
