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

std::string Metrics::render() const {
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace terway::agent
