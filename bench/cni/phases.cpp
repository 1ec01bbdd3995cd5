// SPDX-License-Identifier: Apache-2.0
#include "phases.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/channel.h"
#include "base/clock.h"
#include "datapath/names.h"
#include "floor.h"
#include "http/client.h"
#include "kernel/link.h"
#include "pods.h"
#include "reference.h"
#include "rpc/cli_api.h"

namespace terway::bench {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kPlugin = "/opt/cni/bin/terway";
constexpr const char* kConfig = R"({"cniVersion":"1.1.0","name":"bench","type":"terway"})";
constexpr const char* kCliSocket = "/run/eni/terway-cli.sock";
constexpr Duration kPatience = seconds(30);
constexpr Duration kRest = milliseconds(50);
constexpr Duration kChurn = seconds(8);
constexpr std::size_t kFloorSamples = 300;

struct Pod {
  std::string netns;
  std::string container;
};

std::vector<PluginCall> calls_for(const char* verb, const std::vector<Pod>& pods) {
  std::vector<PluginCall> calls;
  for (const Pod& pod : pods) {
    calls.push_back(call_of(kPlugin, verb, kConfig, pod.netns, pod.container));
  }
  return calls;
}

// A container id is never used again, as with a runtime.
std::string new_container() {
  static std::atomic<unsigned> number = 0;
  return fmt::format("{:032x}{:032x}", ::getpid(), number++);
}

Result<std::vector<Pod>> new_pods(std::size_t count, const char* name) {
  std::vector<Pod> pods;
  for (const std::string& path : TRY(pod_namespaces(count, name))) {
    pods.push_back({path, new_container()});
  }
  return pods;
}

Result<> wait_for(const char* what, const std::function<Result<bool>()>& condition) {
  SystemClock clock;
  const Instant deadline = clock.now() + kPatience;
  while (!TRY(condition())) {
    if (clock.now() >= deadline) {
      return Error(Error::Kind::Unavailable, fmt::format("waited in vain until {}", what));
    }
    clock.sleep_for(milliseconds(5));
  }
  return Ok{};
}

Result<bool> links_are_deleted() {
  auto socket = TRY(kernel::Socket::open(kernel::Protocol::Route));
  const auto links = TRY(kernel::list_links(socket));
  return std::none_of(links.begin(), links.end(),
                      [](const kernel::Link& link) { return link.group == datapath::kDyingGroup; });
}

Result<bool> pool_has(std::size_t addresses) {
  http::Endpoint endpoint;
  endpoint.unix_path = kCliSocket;
  http::Request request;
  request.path = rpc::cli::kPoolPath;
  const auto answer = TRY(http::Client(endpoint).send(request));
  const auto pool = TRY(rpc::cli::decode<rpc::cli::Pool>(answer.body));
  return !pool.pools.empty() && pool.pools.front().idle >= addresses;
}

// Nothing of earlier DELs is under way, and every ADD to come finds an address.
Result<> settle(std::size_t addresses) {
  TRY(wait_for("the links of deleted pods are gone", links_are_deleted));
  TRY(wait_for("the pool is full", [&] { return pool_has(addresses); }));
  SystemClock().sleep_for(kRest);
  return Ok{};
}

Figures figures_of(const Measured& measured) {
  return {measured.millis.size(), measured.percentile(50), measured.percentile(99),
          measured.percentile(100), measured.seconds};
}

// The same containers in every phase: an ADD that was done is answered again.
Result<> add_residents() {
  std::vector<Pod> pods;
  const auto paths = TRY(pod_namespaces(kResident, "resident"));
  for (std::size_t i = 0; i < paths.size(); ++i) {
    pods.push_back({paths[i], fmt::format("resident-{}", i)});
  }
  TRY(all_succeeded(measure(calls_for("ADD", pods), 1), "ADD of residents"));
  return Ok{};
}

Result<Series> one_by_one() {
  TRY(add_residents());
  Measured add;
  Measured del;
  while (add.millis.size() < kSamples) {
    const auto pods = TRY(new_pods(kBatch, "pod"));
    TRY(settle(kBatch));
    add.append(TRY(all_succeeded(measure(calls_for("ADD", pods), 1), "ADD")));
    SystemClock().sleep_for(kRest);
    del.append(TRY(all_succeeded(measure(calls_for("DEL", pods), 1), "DEL")));
  }
  return Series{{"add", figures_of(add)}, {"del", figures_of(del)}};
}

Result<Series> by_callers() {
  TRY(add_residents());
  const auto pods = TRY(new_pods(kAtOnce, "pod"));
  TRY(settle(kAtOnce));
  const auto add = TRY(all_succeeded(measure(calls_for("ADD", pods), kCallers), "ADD"));
  SystemClock().sleep_for(kRest);
  const auto del = TRY(all_succeeded(measure(calls_for("DEL", pods), kCallers), "DEL"));
  return Series{{"add", figures_of(add)}, {"del", figures_of(del)}};
}

// Pods come by one caller and go by another, as fast as each can, with namespaces that are new and
// are removed after DEL. What does not belong to the plugin is not in the times.
Result<Series> churn() {
  TRY(add_residents());
  TRY(settle(kAtOnce));
  Channel<Pod> living;
  std::vector<Outcome> adds;
  std::vector<Outcome> dels;
  SystemClock clock;
  const Instant start = clock.now();
  std::thread deleter([&] {
    while (const auto pod = living.receive()) {
      dels.push_back(make(call_of(kPlugin, "DEL", kConfig, pod->netns, pod->container)));
      remove_pod_namespace(pod->netns);
    }
  });
  Result<> made = Ok{};
  for (unsigned i = 0; clock.now() < start + kChurn; ++i) {
    const auto path = make_pod_namespace(fmt::format("churn-{}", i));
    if (!path.ok()) {
      made = Error(path.error());
      break;
    }
    Pod pod{*path, new_container()};
    adds.push_back(make(call_of(kPlugin, "ADD", kConfig, pod.netns, pod.container)));
    living.send(std::move(pod));
  }
  living.close();
  deleter.join();
  TRY(std::move(made));
  const double took = std::chrono::duration<double>(clock.now() - start).count();
  const auto add = TRY(all_succeeded(collect(std::move(adds), took), "ADD"));
  const auto del = TRY(all_succeeded(collect(std::move(dels), took), "DEL"));
  return Series{{"add", figures_of(add)}, {"del", figures_of(del)}};
}

Result<Series> burst() {
  const auto pods = TRY(new_pods(kBurst, "pod"));
  const auto add = TRY(all_succeeded(measure(calls_for("ADD", pods), kBurst), "ADD"));
  return Series{{"add", figures_of(add)}};
}

// In namespaces of its own, where no daemon works.
Result<Series> floor_and_reference() {
  TRY(enter_own_host());
  const auto wiring = TRY(wire_by_hand(kFloorSamples, kResident));
  const auto namespaces = TRY(pod_namespaces(kResident, "pod"));
  const Exchange both = TRY(exchange(kPlugin, kFloorSamples, namespaces));
  const Reference reference = TRY(reference_plugins(namespaces));
  return Series{{"wiring", figures_of(wiring)},
                {"startup", figures_of(both.startup)},
                {"round_trip", figures_of(both.round_trip)},
                {"ptp_add", figures_of(reference.add)},
                {"ptp_del", figures_of(reference.del)}};
}

}  // namespace

Result<Series> run_phase(std::string_view name) {
  if (name == "one-by-one") return one_by_one();
  if (name == "callers") return by_callers();
  if (name == "churn") return churn();
  if (name == "burst") return burst();
  if (name == "floor") return floor_and_reference();
  return Error(Error::Kind::Invalid, fmt::format("there is no phase {}", name));
}

std::string to_json(const Series& series) {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [name, figures] : series) {
    all[name] = {{"count", figures.count},
                 {"p50", figures.p50},
                 {"p99", figures.p99},
                 {"most", figures.most},
                 {"seconds", figures.seconds}};
  }
  return all.dump();
}

Result<Series> series_from_json(std::string_view text) {
  const auto all = nlohmann::json::parse(text, nullptr, false);
  if (!all.is_object()) {
    return Error(Error::Kind::Invalid, fmt::format("a phase printed no JSON object: {}", text));
  }
  Series series;
  for (const auto& [name, figures] : all.items()) {
    series[name] = {figures.value("count", std::size_t{0}), figures.value("p50", 0.0),
                    figures.value("p99", 0.0), figures.value("most", 0.0),
                    figures.value("seconds", 0.0)};
  }
  return series;
}

}  // namespace terway::bench
