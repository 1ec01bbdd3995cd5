// SPDX-License-Identifier: Apache-2.0
// `terway-cli monitor`: drops and new flows as they happen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/commands.h"

namespace terway::cli {

// What to show; empty: all.
struct MonitorFilter {
  std::string pod{};      // "namespace/name", or "name"
  std::string address{};  // either end's
  std::uint32_t port = 0;
  std::string reason{};     // "spoofed_ip"
  std::string direction{};  // "egress", "ingress"

  bool passes(const rpc::cli::EventEntry& event) const;
};

// One line: "12.345678 drop egress default/a spoofed_ip tcp 10.0.0.9:80 > 10.0.0.7:1234 …".
std::string line_of(const rpc::cli::EventEntry& event, Colour colour);

struct MonitorOptions {
  MonitorFilter filter;
  bool flows = false;
  std::uint64_t count = 0;  // ends after so many lines; 0: with the caller
  double seconds = 0;       // ends after so long; 0: with the caller
};
// Prints as it comes: one line an event, or one JSON object a line.
Result<std::string> monitor(Daemon& daemon, const MonitorOptions& options, const Output& output);

}  // namespace terway::cli
