// SPDX-License-Identifier: Apache-2.0
// Policy rules (RTM_*RULE; include/uapi/linux/fib_rules.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/socket.h"
#include "net/address.h"

namespace terway::kernel {

enum class RuleAction : std::uint8_t { ToTable, Unreachable, Blackhole, Prohibit, Other };

struct Rule {
  net::Family family = net::Family::V4;
  std::uint32_t priority = 0;
  std::optional<net::Prefix> from;
  std::optional<net::Prefix> to;
  std::uint32_t mark = 0;
  std::uint32_t mask = 0;  // 0: no mark is looked at
  std::string iif;
  std::string oif;
  RuleAction action = RuleAction::ToTable;
  std::uint32_t table = 0;
  std::uint8_t protocol = 0;  // FRA_PROTOCOL: who made it (RTPROT_*)

  std::string to_string() const;
  bool operator==(const Rule&) const = default;
};

std::optional<Rule> parse_rule(const MessageView& message);

// One family at a time: a dump of both at once has been seen incomplete.
Result<std::vector<Rule>> list_rules(Socket& socket, net::Family family);

// Fails with Exists when the very same rule is there.
Message add_rule(const Rule& rule);
// Deletes the first rule that matches what is given. NotFound when there is none.
Message delete_rule(const Rule& rule);

}  // namespace terway::kernel
