// SPDX-License-Identifier: Apache-2.0
#include "answer.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

namespace terway::bench {

namespace {

using Json = nlohmann::ordered_json;

double rounded(double value, int digits) {
  const double scale = std::pow(10, digits);
  return std::round(value * scale) / scale;
}

// Beside each row: what a bare prototype of the like reached on a kernel alone (no policy, no
// connection tracking), and what we hold ourselves to. 0: none.
struct Beside {
  double rr_floor = 0;
  double crr_floor = 0;
  double rr_target = 0;   // at most
  double crr_target = 0;  // at least
};

const std::map<std::string, Beside>& beside() {
  static const std::map<std::string, Beside> kBeside = {
      {"veth", {1.15, 0.92, 1.18, 0.88}},   {"veth-250", {1.15, 0.92, 1.18, 0.88}},
      {"veth-stack", {1.37, 0.79, 0, 0}},   {"veth-stack-250", {1.40, 0.79, 0, 0}},
      {"same-node", {1.09, 0.99, 1.12, 0}}, {"exclusive", {1.00, 1.00, 1.04, 0}},
      {"upstream", {1.37, 0.79, 0, 0}},     {"upstream-250", {4.35, 0.26, 0, 0}},
  };
  return kBeside;
}

struct Ratios {
  double rr, crr, stream, rr_us_above_host;
};

Ratios ratios(const Figures& figures, const Figures& host) {
  return {figures.rr_us / host.rr_us, host.crr_us / figures.crr_us,
          figures.stream_gbps / host.stream_gbps, figures.rr_us - host.rr_us};
}

std::string number(double value, int digits = 2) {
  return value == 0 ? "" : fmt::format("{:.{}f}", value, digits);
}

Tone tone_of(bool has_target, bool met) {
  if (!has_target) return Tone::Plain;
  return met ? Tone::Good : Tone::Bad;
}

}  // namespace

void Figures::keep_best(const Figures& other) {
  const auto less = [](double a, double b) { return a == 0 ? b : std::min(a, b); };
  rr_us = less(rr_us, other.rr_us);
  crr_us = less(crr_us, other.crr_us);
  stream_gbps = std::max(stream_gbps, other.stream_gbps);
  forwarded = other.forwarded;
}

std::string Answer::json() const {
  Json all;
  all["host"] = {{"rr_us", rounded(host.rr_us, 3)},
                 {"crr_us", rounded(host.crr_us, 2)},
                 {"stream_gbps", rounded(host.stream_gbps, 2)}};
  all["paths"] = Json::array();
  for (const Row& row : rows) {
    const Ratios is = ratios(row.best, host);
    all[row.floor ? "floors" : "paths"].push_back(
        {{"path", row.path},
         {"rr", rounded(is.rr, 3)},
         {"crr", rounded(is.crr, 3)},
         {"stream", rounded(is.stream, 3)},
         {"rr_us_above_host", rounded(is.rr_us_above_host, 3)},
         {"forwarded_per_rr", rounded(row.best.forwarded, 2)}});
  }
  all["attach_ms"] = rounded(attaching.ms(), 3);
  all["wiring_ms"] = {{"stack", rounded(attaching.stack_ms, 3)},
                      {"fast_path", rounded(attaching.fast_path_ms, 3)}};
  all["rounds"] = rounds;
  all["cpu"] = cpu;
  return all.dump(2);
}

std::string Answer::table(Colour colour) const {
  using Align = Table::Align;
  Table table({{"path"},
               {"rr", Align::Right},
               {"prototype", Align::Right},
               {"at most", Align::Right},
               {"µs", Align::Right},
               {"above host", Align::Right},
               {"crr", Align::Right},
               {"prototype", Align::Right},
               {"at least", Align::Right},
               {"stream", Align::Right},
               {"forwarded", Align::Right}});
  table.add({{"host"},
             {"1.00"},
             {},
             {},
             {number(host.rr_us)},
             {},
             {"1.00"},
             {},
             {},
             {"1.00"},
             {number(host.forwarded)}});
  for (const Row& row : rows) {
    const Ratios is = ratios(row.best, host);
    const auto found = beside().find(row.path);
    const Beside known = found == beside().end() ? Beside{} : found->second;
    table.add({{row.path, row.floor ? Tone::Faint : Tone::Plain},
               {number(is.rr, 3), tone_of(known.rr_target > 0, is.rr <= known.rr_target)},
               {number(known.rr_floor), Tone::Faint},
               {number(known.rr_target), Tone::Faint},
               {number(row.best.rr_us)},
               {fmt::format("{:+.2f}", is.rr_us_above_host)},
               {number(is.crr, 3), tone_of(known.crr_target > 0, is.crr >= known.crr_target)},
               {number(known.crr_floor), Tone::Faint},
               {number(known.crr_target), Tone::Faint},
               {number(is.stream)},
               {fmt::format("{:.1f}", row.best.forwarded)}});
  }
  return fmt::format(
      "{}\nhost: round trip {:.2f} µs, connection {:.1f} µs, stream {:.1f} Gbit/s; best of {} "
      "rounds'"
      " medians, both ends on CPU {}\nrr: round trip, times the host's; crr: connections, parts of "
      "the host's; stream: TSO and GSO off, a trend;\nforwarded: packets that the nodes' IP stacks "
      "forwarded for each round trip;\nfloor: the least that programs can do, measured here; "
      "prototype: a bare one of the like, measured elsewhere\n"
      "attaching the programs takes {:.3f} ms of a pod's wiring ({:.3f} ms without them, {:.3f} "
      "with "
      "them)\n",
      table.to_string(colour), host.rr_us, host.crr_us, host.stream_gbps, rounds, cpu,
      attaching.ms(), attaching.stack_ms, attaching.fast_path_ms);
}

}  // namespace terway::bench
