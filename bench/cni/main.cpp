// SPDX-License-Identifier: Apache-2.0
// How long a CNI call takes, from exec to exit: the plugin alone (VERSION), the plugin and its
// protocol with a daemon that does nothing, and beside them the reference plugins ptp and
// host-local.
#include <fmt/core.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "calls.h"
#include "pods.h"
#include "rpc/plugin_server.h"

namespace terway::bench {

namespace {

constexpr int kRuns = 3;

struct Options {
  bool json = false;
  std::size_t samples = 1000;
  std::size_t pods = 100;
};

PluginCall call_of(const std::string& program, const std::string& verb, const std::string& config,
                   const std::string& netns, const std::string& container) {
  PluginCall call;
  call.program = program;
  call.config = config;
  call.environment = {{"CNI_COMMAND", verb},
                      {"CNI_CONTAINERID", container},
                      {"CNI_NETNS", netns},
                      {"CNI_IFNAME", "eth0"},
                      {"CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME=pod"},
                      {"CNI_PATH", "/usr/lib/cni"},
                      {"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}};
  return call;
}

// The best of some runs; Internal when a call failed, for a time of failures is no answer.
Result<Measured> best_of(const std::vector<Measured>& runs, const char* what) {
  for (const Measured& run : runs) {
    if (run.failed == 0) continue;
    return Error(Error::Kind::Internal,
                 fmt::format("{}: {} of {} calls failed: {}", what, run.failed, run.millis.size(),
                             run.first_failure));
  }
  return best(runs);
}

Result<Measured> measured_best(const char* what, const std::vector<PluginCall>& calls,
                               unsigned callers) {
  std::vector<Measured> runs;
  runs.reserve(kRuns);
  for (int i = 0; i < kRuns; ++i) runs.push_back(measure(calls, callers));
  return best_of(runs, what);
}

struct Reference {
  Measured add;
  Measured del;
};

// ptp with host-local on pods that are there already: ADD of all, then DEL of all, alternating.
Result<Reference> reference_plugins(const PodNamespaces& pods) {
  const std::string config =
      R"({"cniVersion":"1.0.0","name":"bench","type":"ptp",)"
      R"("ipam":{"type":"host-local","subnet":"10.99.0.0/16","dataDir":"/run/ipam"}})";
  std::vector<PluginCall> adds;
  std::vector<PluginCall> dels;
  adds.reserve(pods.paths().size());
  dels.reserve(pods.paths().size());
  for (std::size_t i = 0; i < pods.paths().size(); ++i) {
    const std::string container = fmt::format("bench{}", i);
    adds.push_back(call_of("/usr/lib/cni/ptp", "ADD", config, pods.paths()[i], container));
    dels.push_back(call_of("/usr/lib/cni/ptp", "DEL", config, pods.paths()[i], container));
  }
  std::vector<Measured> add_runs;
  std::vector<Measured> del_runs;
  add_runs.reserve(kRuns);
  del_runs.reserve(kRuns);
  for (int i = 0; i < kRuns; ++i) {
    add_runs.push_back(measure(adds, 1));
    del_runs.push_back(measure(dels, 1));
  }
  Reference reference;
  reference.add = TRY(best_of(add_runs, "ptp ADD"));
  reference.del = TRY(best_of(del_runs, "ptp DEL"));
  return reference;
}

void print_line(const char* what, const Measured& measured) {
  fmt::print("{:<44} p50 {:7.3f} ms   p99 {:7.3f} ms   {:7.0f}/s\n", what, measured.percentile(50),
             measured.percentile(99), measured.per_second());
}

std::string json_of(const Measured& measured) {
  return fmt::format(R"({{"p50":{:.3f},"p99":{:.3f}}})", measured.percentile(50),
                     measured.percentile(99));
}

void print(const Options& options, const Measured& startup, const Measured& one,
           const Measured& eight, const Reference& reference) {
  if (options.json) {
    fmt::print(R"({{"startup_ms":{},"round_trip_ms":{},"round_trip_per_s_8":{:.0f},)"
               R"("ptp":{{"add_ms":{},"del_ms":{}}}}})"
               "\n",
               json_of(startup), json_of(one), eight.per_second(), json_of(reference.add),
               json_of(reference.del));
    return;
  }
  print_line("plugin alone (VERSION)", startup);
  print_line("plugin and protocol, 1 caller", one);
  print_line("plugin and protocol, 8 callers", eight);
  print_line("ptp + host-local ADD", reference.add);
  print_line("ptp + host-local DEL", reference.del);
}

Result<> run(const std::string& plugin, const Options& options) {
  TRY(enter_own_host());
  const PodNamespaces pods = TRY(PodNamespaces::make(options.pods, "bench"));
  const std::string config = R"({"cniVersion":"1.0.0","name":"bench","type":"terway"})";
  const auto server =
      TRY(rpc::PluginServer::start(rpc::kPluginSocket, [](const rpc::PluginRequest& request) {
        return rpc::PluginAnswer{0, request.config};
      }));
  std::vector<PluginCall> versions;
  std::vector<PluginCall> adds;
  versions.reserve(options.samples);
  adds.reserve(options.samples);
  for (std::size_t i = 0; i < options.samples; ++i) {
    const std::string& netns = pods.paths()[i % options.pods];
    versions.push_back(call_of(plugin, "VERSION", R"({"cniVersion":"1.0.0"})", netns, "c"));
    adds.push_back(call_of(plugin, "ADD", config, netns, fmt::format("c{}", i)));
  }
  const Measured startup = TRY(measured_best("VERSION", versions, 1));
  const Measured one = TRY(measured_best("round trip", adds, 1));
  const Measured eight = TRY(measured_best("round trip", adds, 8));
  print(options, startup, one, eight, TRY(reference_plugins(pods)));
  return Ok{};
}

}  // namespace

}  // namespace terway::bench

int main(int argc, char** argv) {
  terway::bench::Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      options.json = true;
    } else if (std::strcmp(argv[i], "--samples") == 0 && i + 1 < argc) {
      options.samples = std::strtoul(argv[++i], nullptr, 10);
    } else {
      fmt::print(stderr, "usage: bench_cni [--json] [--samples N]\n");
      return 2;
    }
  }
  if (const auto done = terway::bench::run(TERWAY_PLUGIN, options); !done.ok()) {
    fmt::print(stderr, "bench_cni: {}\n", done.error().to_string());
    return 1;
  }
  return 0;
}
