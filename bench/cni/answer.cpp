// SPDX-License-Identifier: Apache-2.0
#include "answer.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace terway::bench {

namespace {

using Json = nlohmann::ordered_json;

double rounded(double value, int digits) {
  const double scale = std::pow(10, digits);
  return std::round(value * scale) / scale;
}

Json percentiles(const Figures& figures) {
  return {{"p50", rounded(figures.p50, 3)}, {"p99", rounded(figures.p99, 3)}};
}

std::string line(const char* what, const Figures& figures) {
  return fmt::format("{:<46}{:>9.3f}{:>9.3f}{:>9.3f}{:>9.0f}\n", what, figures.p50, figures.p99,
                     figures.most, figures.per_second());
}

}  // namespace

void keep_best(Series& best, const Series& run) {
  for (const auto& [name, figures] : run) {
    const auto found = best.find(name);
    if (found == best.end() || figures.p50 < found->second.p50) best[name] = figures;
  }
}

void keep_fastest(Series& best, const Series& run) {
  for (const auto& [name, figures] : run) {
    const auto found = best.find(name);
    if (found == best.end() || figures.seconds < found->second.seconds) best[name] = figures;
  }
}

double Answer::floor_ms() const { return floor.at("wiring").p50 + floor.at("round_trip").p50; }

double Answer::wiring_s() const {
  return floor.at("wiring").p50 / 1000 * static_cast<double>(burst.at("add").count);
}

std::string Answer::json() const {
  const Figures& add = one_by_one.at("add");
  const Figures& del = one_by_one.at("del");
  const double took = burst.at("add").seconds;
  Json all;
  all["add_ms"] = percentiles(add);
  all["del_ms"] = percentiles(del);
  all["add_per_s_8"] = std::round(callers.at("add").per_second());
  all["del_per_s_8"] = std::round(callers.at("del").per_second());
  all["floor_ms"] = rounded(floor_ms(), 3);
  all["ptp"] = {{"add_ms", rounded(floor.at("ptp_add").p50, 3)},
                {"del_ms", rounded(floor.at("ptp_del").p50, 3)}};
  all["burst"] = {{"s", rounded(took, 3)},
                  {"bound_s", rounded(bound.seconds, 3)},
                  {"ratio", rounded(took / bound.seconds, 3)},
                  {"wiring_by_hand_s", rounded(wiring_s(), 3)},
                  {"pods", burst.at("add").count},
                  {"bound", bound.computation},
                  {"calls", burst_calls}};
  all["rss_mb"] = rounded(rss_mb, 1);
  all["floor"] = {{"wiring_ms", percentiles(floor.at("wiring"))},
                  {"plugin_start_ms", percentiles(floor.at("startup"))},
                  {"round_trip_ms", percentiles(floor.at("round_trip"))}};
  all["churn"] = {{"add_ms", percentiles(churn.at("add"))},
                  {"del_ms", percentiles(churn.at("del"))},
                  {"add_per_s", std::round(churn.at("add").per_second())}};
  const Figures& healed = heal.at("all");
  all["heal_ms"] = {{"p50", rounded(healed.p50, 1)}, {"max", rounded(healed.most, 1)}};
  for (const char* what : {"rules", "routes", "nft"}) {
    all["heal_ms"][what] = {{"p50", rounded(heal.at(what).p50, 1)},
                            {"max", rounded(heal.at(what).most, 1)}};
  }
  all["samples"] = add.count;
  all["pods_on_node"] = kResident;
  return all.dump(2);
}

std::string Answer::table() const {
  const double took = burst.at("add").seconds;
  std::string out = fmt::format("{:<46}{:>9}{:>9}{:>9}{:>9}\n", "milliseconds, the best of 3 runs",
                                "p50", "p99", "most", "a second");
  out += line("ADD from the pool, 100 pods on the node", one_by_one.at("add"));
  out += line("DEL", one_by_one.at("del"));
  out += line("ADD, 8 callers", callers.at("add"));
  out += line("DEL, 8 callers", callers.at("del"));
  out += line("ADD while as many are deleted (churn)", churn.at("add"));
  out += line("DEL while as many are added (churn)", churn.at("del"));
  out += line("floor: the kernel's objects by hand", floor.at("wiring"));
  out += line("floor: the plugin's start (VERSION)", floor.at("startup"));
  out += line("floor: the plugin, a daemon that does nothing", floor.at("round_trip"));
  out += line("ptp + host-local, ADD", floor.at("ptp_add"));
  out += line("ptp + host-local, DEL", floor.at("ptp_del"));
  out += fmt::format("\n{:<46}{:>9}{:>9}{:>9}\n", "milliseconds without an answer", "p50", "p99",
                     "most");
  for (const char* what : {"rules", "routes", "nft"}) {
    const Figures& figures = heal.at(what);
    out += fmt::format("{:<46}{:>9.1f}{:>9.1f}{:>9.1f}\n", fmt::format("{} flushed", what),
                       figures.p50, figures.p99, figures.most);
  }
  out += fmt::format("\nfloor of an ADD: {:.3f} ms, ours {:.2f} times that\n", floor_ms(),
                     one_by_one.at("add").p50 / floor_ms());
  out += fmt::format("burst on a fresh node: {:.3f} s, the bound is {:.3f} s, ratio {:.3f}\n", took,
                     bound.seconds, took / bound.seconds);
  out += fmt::format("  bound: {}\n", bound.computation);
  out += fmt::format("  not in it: the kernel's objects of all, by hand {:.3f} s\n", wiring_s());
  out += "  calls made:";
  for (const auto& [action, count] : burst_calls) {
    out += fmt::format(" {} {}", count, action);
  }
  out += fmt::format("\nterwayd with {} pods: {:.1f} MB resident\n", burst.at("add").count, rss_mb);
  return out;
}

}  // namespace terway::bench
