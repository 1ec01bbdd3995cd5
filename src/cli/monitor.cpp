// SPDX-License-Identifier: Apache-2.0
#include "cli/monitor.h"

#include <fmt/core.h>

#include <cstdio>

#include "base/clock.h"

namespace terway::cli {

namespace {

std::string end_of(const std::string& address, std::uint32_t port, bool ports) {
  if (address.empty()) return "?";
  if (!ports) return address;
  const bool v6 = address.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address, v6 ? "]" : "", port);
}

}  // namespace

bool MonitorFilter::passes(const rpc::cli::EventEntry& event) const {
  if (!pod.empty() && event.pod != pod && !event.pod.ends_with("/" + pod)) return false;
  if (!address.empty() && event.source != address && event.destination != address) return false;
  if (port != 0 && event.source_port != port && event.destination_port != port) return false;
  if (!reason.empty() && event.reason != reason) return false;
  return direction.empty() || event.direction == direction;
}

std::string line_of(const rpc::cli::EventEntry& event, Colour colour) {
  const bool drop = event.kind == "drop";
  const bool ports = event.source_port != 0 || event.destination_port != 0;
  std::string line =
      fmt::format("{:.6f} {} {:<7} {:<24} {} {} > {} length {}", event.time_s,
                  painted(drop ? "DROP" : "flow", drop ? Tone::Bad : Tone::Good, colour),
                  event.direction, event.pod.empty() ? "-" : event.pod, event.protocol,
                  end_of(event.source, event.source_port, ports),
                  end_of(event.destination, event.destination_port, ports), event.length);
  if (!event.tcp_flags.empty()) line += fmt::format(" [{}]", event.tcp_flags);
  if (drop) line += fmt::format(" {}: {}", event.reason, event.text);
  return line;
}

Result<std::string> monitor(Daemon& daemon, const MonitorOptions& options, const Output& output) {
  const std::string flows = options.flows ? "/flows" : "";
  std::string path = rpc::cli::kEventsPath + flows;
  SystemClock clock;
  const Instant begun = clock.now();
  std::uint64_t shown = 0;
  for (;;) {
    const auto events = TRY(daemon.ask<rpc::cli::Events>(path));
    for (const rpc::cli::EventEntry& event : events.events) {
      // Flows may be told for somebody else who watches.
      if (!options.flows && event.kind == "flow") continue;
      if (!options.filter.passes(event)) continue;
      const std::string line =
          output.json ? rpc::cli::encode(event) : line_of(event, output.colour);
      // Nobody reads any more.
      if (std::puts(line.c_str()) < 0 || std::fflush(stdout) != 0) return std::string();
      if (options.count != 0 && ++shown >= options.count) return std::string();
    }
    if (options.seconds > 0 &&
        clock.now() - begun >= std::chrono::duration<double>(options.seconds)) {
      return std::string();
    }
    path = fmt::format("{}/{}{}", rpc::cli::kEventsPath, events.last, flows);
  }
}

}  // namespace terway::cli
