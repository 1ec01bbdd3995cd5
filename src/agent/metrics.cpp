// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace terway::agent {

namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;

template <class T, class Builder>
prometheus::Family<T>& family(prometheus::Registry& registry, Builder builder, const char* name,
                              const char* help) {
  return builder.Name(name).Help(help).Register(registry);
}

// Upstream's latency metrics are in milliseconds; its dashboards expect that.
double millis(Duration took) { return std::chrono::duration<double, std::milli>(took).count(); }
double seconds(Duration took) { return std::chrono::duration<double>(took).count(); }

const Histogram::BucketBoundaries kMillis = {1,   2,    5,    10,   20,    50,    100,   200,
                                             500, 1000, 2000, 5000, 10000, 30000, 60000, 120000};
const Histogram::BucketBoundaries kSeconds = {0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002,
                                              0.005,   0.01,   0.02,   0.05,   0.1,   0.5,
                                              1,       5,      10,     30,     60,    120};

std::string word(bool value) { return value ? "true" : "false"; }

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<Histogram>& rpc =
      family<Histogram>(registry, prometheus::BuildHistogram(), "terway_rpc_latency",
                        "Milliseconds that a call of the CNI plugin took");
  prometheus::Family<Histogram>& openapi =
      family<Histogram>(registry, prometheus::BuildHistogram(), "aliyun_openapi_latency",
                        "Milliseconds that a call of the OpenAPI took");
  prometheus::Family<Histogram>& metadata =
      family<Histogram>(registry, prometheus::BuildHistogram(), "aliyun_metadata_latency",
                        "Milliseconds that a call of the metadata service took");
  prometheus::Family<Histogram>& phase =
      family<Histogram>(registry, prometheus::BuildHistogram(), "terway_add_phase_seconds",
                        "Where the time of an ADD goes");
  prometheus::Family<Histogram>& commit =
      family<Histogram>(registry, prometheus::BuildHistogram(), "terway_journal_commit_seconds",
                        "What a commit of the journal took");
  prometheus::Family<Counter>& journal_failures =
      family<Counter>(registry, prometheus::BuildCounter(), "terway_journal_failures_total",
                      "Commits of the journal that failed and were tried again");
  prometheus::Family<Counter>& drift =
      family<Counter>(registry, prometheus::BuildCounter(), "terway_drift_total",
                      "Kernel objects found other than they should be, and put right");
  prometheus::Family<Counter>& notices =
      family<Counter>(registry, prometheus::BuildCounter(), "terway_notices_total",
                      "Things that an operator should know of");
  prometheus::Family<Gauge>& total =
      family<Gauge>(registry, prometheus::BuildGauge(), "terway_resource_pool_total_count",
                    "Addresses that the node has");
  prometheus::Family<Gauge>& idle =
      family<Gauge>(registry, prometheus::BuildGauge(), "terway_resource_pool_idle_count",
                    "Addresses that a pod could have at once");
  prometheus::Family<Gauge>& disposed =
      family<Gauge>(registry, prometheus::BuildGauge(), "terway_resource_pool_disposed_count",
                    "Addresses on their way back to the cloud");
  prometheus::Family<Gauge>& pool =
      family<Gauge>(registry, prometheus::BuildGauge(), "terway_pool_addresses",
                    "Addresses by state; waiting counts pods, capacity what the type allows");
  prometheus::Family<Gauge>& enis =
      family<Gauge>(registry, prometheus::BuildGauge(), "terway_enis", "ENIs for pods by state");
  prometheus::Family<Gauge>& attachments =
      family<Gauge>(registry, prometheus::BuildGauge(), "terway_attachments",
                    "Pod interfaces that the journal knows");
  prometheus::Family<Gauge>& ready = family<Gauge>(registry, prometheus::BuildGauge(),
                                                   "terway_ready", "1 when an ADD can be served");
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::rpc(std::string_view verb, bool failed, Duration took) {
  state_->rpc.Add({{"rpc_api", std::string(verb)}, {"error", word(failed)}}, kMillis)
      .Observe(millis(took));
}

void Metrics::openapi(std::string_view action, std::optional<Error::Kind> failure, Duration took) {
  state_->openapi.Add({{"api", std::string(action)}, {"error", word(failure.has_value())}}, kMillis)
      .Observe(millis(took));
}

void Metrics::metadata(std::string_view path, std::optional<Error::Kind> failure, Duration took) {
  // A MAC in the path would make a series an ENI.
  std::string url(path);
  if (const auto at = url.find("macs/"); at != std::string::npos && url.size() >= at + 22) {
    url.replace(at + 5, 17, "MAC");
  }
  state_->metadata.Add({{"url", url}, {"error", word(failure.has_value())}}, kMillis)
      .Observe(millis(took));
}

void Metrics::add_phase(std::string_view phase, Duration took) {
  state_->phase.Add({{"phase", std::string(phase)}}, kSeconds).Observe(seconds(took));
}

void Metrics::journal_commit(Duration took) {
  state_->commit.Add({}, kSeconds).Observe(seconds(took));
}

void Metrics::journal_failure() { state_->journal_failures.Add({}).Increment(); }

void Metrics::drift(const datapath::Drift& drift) {
  const auto count = [this](const char* kind, std::uint32_t number) {
    auto& counter = state_->drift.Add({{"kind", kind}});
    if (number > 0) counter.Increment(number);
  };
  count("rule", drift.rules);
  count("route", drift.routes);
  count("mark", drift.marks);
  count("neighbour", drift.neighbours);
  count("link", drift.links);
  count("sysctl", drift.sysctls);
  count("program", drift.programs);
}

void Metrics::notice(std::string_view kind) {
  state_->notices.Add({{"kind", std::string(kind)}}).Increment();
}

void Metrics::pool(const Pool& pool) {
  const std::string stack(pool.family);
  const prometheus::Labels upstream = {{"type", "eniip"}, {"ipStack", stack}};
  state_->total.Add(upstream).Set(pool.total);
  state_->idle.Add(upstream).Set(pool.idle);
  state_->disposed.Add(upstream).Set(pool.disposed);
  const auto set = [&](const char* kind, std::uint32_t number) {
    state_->pool.Add({{"state", kind}, {"ipStack", stack}}).Set(number);
  };
  set("idle", pool.idle);
  set("held", pool.held);
  set("cooling", pool.cooling);
  set("waiting", pool.waiting);
  set("capacity", pool.capacity);
}

void Metrics::enis(std::uint32_t ready, std::uint32_t other) {
  state_->enis.Add({{"state", "ready"}}).Set(ready);
  state_->enis.Add({{"state", "other"}}).Set(other);
}

void Metrics::attachments(std::uint32_t count) { state_->attachments.Add({}).Set(count); }
void Metrics::ready(bool ready) { state_->ready.Add({}).Set(ready ? 1 : 0); }

namespace {

// What the kernel counts, as it counts it.
class Families {
 public:
  void begin(prometheus::MetricType type, const char* name, const char* help) {
    families_.push_back({name, help, type, {}});
  }
  void add(const std::vector<std::pair<std::string, std::string>>& labels, double value) {
    prometheus::ClientMetric metric;
    for (const auto& [label, text] : labels) metric.label.push_back({label, text});
    metric.counter.value = value;
    metric.gauge.value = value;
    families_.back().metric.push_back(std::move(metric));
  }
  std::vector<prometheus::MetricFamily> take() { return std::move(families_); }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

std::vector<prometheus::MetricFamily> families_of(const datapath::FastPathStatus& status,
                                                  const datapath::Inspection& inspection) {
  using Type = prometheus::MetricType;
  Families families;
  families.begin(Type::Gauge, "terway_fast_path",
                 "1 when eBPF programs carry pods' packets, 0 with the reason when not");
  families.add({{"setting", std::string(to_string(status.mode))},
                {"reason", status.on ? std::string() : status.reason}},
               status.on ? 1 : 0);
  if (!status.on) return families.take();
  const auto counts = [&](bool dropped, auto&& add) {
    for (const auto& count : inspection.counts) {
      if (count.reason.empty() != dropped) add(count);
    }
  };
  families.begin(Type::Counter, "terway_datapath_packets_total",
                 "Packets of pods that the programs let pass");
  counts(false, [&](const auto& count) {
    families.add({{"direction", count.direction}}, static_cast<double>(count.packets));
  });
  families.begin(Type::Counter, "terway_datapath_bytes_total",
                 "Bytes of pods that the programs let pass");
  counts(false, [&](const auto& count) {
    families.add({{"direction", count.direction}}, static_cast<double>(count.bytes));
  });
  families.begin(Type::Counter, "terway_datapath_drops_total",
                 "Packets that the programs dropped, by reason");
  counts(true, [&](const auto& count) {
    families.add({{"reason", count.reason}, {"direction", count.direction}},
                 static_cast<double>(count.packets));
  });
  families.begin(Type::Counter, "terway_datapath_events_lost_total",
                 "Drops and flows that were counted but not told");
  families.add({}, static_cast<double>(inspection.events_lost));
  families.begin(Type::Gauge, "terway_datapath_map_entries",
                 "Entries of the programs' maps; flows: as of the last sweep");
  for (const auto& map : inspection.maps) families.add({{"map", map.name}}, map.entries);
  families.begin(Type::Gauge, "terway_datapath_map_max_entries", "How many entries a map holds");
  for (const auto& map : inspection.maps) families.add({{"map", map.name}}, map.max_entries);
  return families.take();
}

}  // namespace

std::string Metrics::render(const datapath::FastPathStatus& status,
                            const datapath::Inspection& inspection) const {
  auto all = state_->registry.Collect();
  for (auto& family : families_of(status, inspection)) all.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace terway::agent
