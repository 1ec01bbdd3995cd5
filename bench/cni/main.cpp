// SPDX-License-Identifier: Apache-2.0
// How long does a pod's network take, from the exec of the plugin to its exit, and what is the
// least that it could take? A node of a lab with a real terwayd; beside it, in the same run, the
// floor and the reference plugins.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>

#include "answer.h"
#include "heal.h"
#include "node.h"
#include "phases.h"

namespace terway::bench {

namespace {

constexpr int kRuns = 3;
constexpr std::size_t kHeals = 20;

void tell(const std::string& what) {
  static const auto kStart = std::chrono::steady_clock::now();
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - kStart;
  fmt::print(stderr, "[{:5.1f} s] {}\n", passed.count(), what);
}

// ADD, DEL and the floor take turns, so that a noisy minute is everybody's.
Result<> measure_pool(Answer& answer) {
  tell("a node with a full pool: every ADD finds its address there");
  BenchNode node = TRY(BenchNode::up(BenchNode::Pool::Full));
  const auto before = TRY(node.cloud_calls());
  for (int i = 1; i <= kRuns; ++i) {
    tell(fmt::format("run {} of {}: {} ADDs and DELs one by one", i, kRuns, kSamples));
    keep_best(answer.one_by_one, TRY(node.run("one-by-one")));
    tell(fmt::format("run {} of {}: the floor, and ptp with host-local", i, kRuns));
    keep_best(answer.floor, TRY(node.run("floor")));
    tell(fmt::format("run {} of {}: {} callers", i, kRuns, kCallers));
    keep_fastest(answer.callers, TRY(node.run("callers")));
    tell(fmt::format("run {} of {}: churn", i, kRuns));
    keep_best(answer.churn, TRY(node.run("churn")));
  }
  tell(fmt::format("rules, routes and nftables flushed under traffic, {} times each", kHeals));
  answer.heal = TRY_WITHIN("heal", heal(node.lab(), BenchNode::kName, kHeals));
  const auto after = TRY(node.cloud_calls());
  for (const char* action : {"CreateNetworkInterface", "AssignPrivateIpAddresses"}) {
    const auto found = after.find(action);
    const auto then = before.find(action);
    const unsigned more =
        (found == after.end() ? 0 : found->second) - (then == before.end() ? 0 : then->second);
    if (more > 0)
      tell(fmt::format("{} {} calls during ADDs: not all came from the pool", more, action));
  }
  return Ok{};
}

Result<> measure_bursts(Answer& answer) {
  for (int i = 1; i <= kRuns; ++i) {
    tell(fmt::format("burst {} of {}: {} pods at once on a fresh node", i, kRuns, kBurst));
    const BenchNode node = TRY(BenchNode::up(BenchNode::Pool::Empty));
    const Series run = TRY(node.run("burst"));
    const auto calls = TRY(node.cloud_calls());
    const double rss = TRY(node.rss_mb());
    answer.rss_mb = std::max(answer.rss_mb, rss);
    answer.cloud = TRY(node.cloud_settings());
    tell(fmt::format("{:.3f} s", run.at("add").seconds));
    keep_fastest(answer.burst, run);
    if (answer.burst.at("add").seconds == run.at("add").seconds) answer.burst_calls = calls;
  }
  answer.bound = bound_of_burst(kBurst, answer.cloud);
  return Ok{};
}

Result<> run(bool json) {
  Answer answer;
  TRY(measure_pool(answer));
  TRY(measure_bursts(answer));
  fmt::print("{}\n", json ? answer.json() : answer.table());
  return Ok{};
}

// Some of it, for whoever works on just that.
Result<> run_bursts() {
  Answer answer;
  TRY(measure_bursts(answer));
  const double took = answer.burst.at("add").seconds;
  fmt::print("{:.3f} s, {:.3f} times {}\n", took, took / answer.bound.seconds,
             answer.bound.computation);
  return Ok{};
}

Result<> run_heal() {
  BenchNode node = TRY(BenchNode::up(BenchNode::Pool::Empty));
  fmt::print("{}\n", to_json(TRY(heal(node.lab(), BenchNode::kName, kHeals))));
  return Ok{};
}

Result<> run_in_node(std::string_view phase) {
  fmt::print("{}\n", to_json(TRY(run_phase(phase))));
  return Ok{};
}

int finish(const Result<>& done) {
  if (done.ok()) return 0;
  fmt::print(stderr, "bench_cni: {}\n", done.error().to_string());
  return 1;
}

}  // namespace

}  // namespace terway::bench

int main(int argc, char** argv) {
  using namespace terway::bench;
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "phase" && argc == 3) return finish(run_in_node(argv[2]));
  if (first == "burst" && argc == 2) return finish(run_bursts());
  if (first == "heal" && argc == 2) return finish(run_heal());
  if (argc > 2 || (argc == 2 && first != "--json")) {
    fmt::print(stderr, "usage: bench_cni [--json | burst | heal]\n");
    return 2;
  }
  return finish(run(first == "--json"));
}
