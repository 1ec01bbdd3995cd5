// SPDX-License-Identifier: Apache-2.0
#include "node.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/clock.h"
#include "base/file.h"
#include "http/client.h"
#include "rpc/cli_api.h"
#include "vpcsim/admin_client.h"

namespace terway::bench {

namespace {

using nlohmann::json;

constexpr const char* kLab = "bench-cni";
constexpr const char* kSelf = "/proc/self/exe";
constexpr Duration kPhaseTimeout = std::chrono::minutes(3);
constexpr Duration kFillTimeout = std::chrono::minutes(1);

std::string topology(BenchNode::Pool pool) {
  const std::size_t all = BenchNode::kEnis * BenchNode::kAddressesPerEni;
  const bool full = pool == BenchNode::Pool::Full;
  return fmt::format(
      "vswitches:\n"
      "  - {{name: nodes, cidr: 192.168.0.0/19}}\n"
      "  - {{name: pods, cidr: 192.168.32.0/19}}\n"
      "outside: [{{vswitch: nodes}}]\n"
      "nodes:\n"
      "  - {{name: {}, instance_type: ecs.g7.32xlarge, vswitch: nodes, pod_vswitches: [pods], "
      "pods: "
      "0}}\n"
      "{}{}",
      BenchNode::kName, full ? "cloud: {attach_delay_ms: 50, nic_delay_ms: 20}\n" : "",
      full ? fmt::format("eni_conf: {{min_pool_size: {}, max_pool_size: {}, cool_down: 200ms}}\n",
                         all, all)
           : "");
}

Result<json> ask_cloud(const lab::Lab& lab, const std::string& path) {
  const auto text = TRY(vpcsim::AdminClient(lab.paths().admin_socket()).get(path));
  return json::parse(text, nullptr, false);
}

}  // namespace

Result<BenchNode> BenchNode::up(Pool pool) {
  const lab::Topology shape = TRY(lab::parse_topology(topology(pool)));
  auto lock = TRY(lab::Lock::take(lab::Paths(kLab)));
  auto built = lab::Lab::up(kLab, shape, TRY(lab::Programs::find()), [](const std::string&) {});
  if (!built.ok()) {
    (void)lab::Lab::down(kLab);
    return built.take_error().within("lab");
  }
  BenchNode node(std::move(lock), std::move(*built));
  if (pool == Pool::Full) TRY(node.wait_until_full());
  return node;
}

BenchNode::~BenchNode() {
  if (!lab_) return;
  const auto down = lab::Lab::down(kLab);
  if (!down.ok()) fmt::print(stderr, "bench_cni: {}\n", down.error().to_string());
}

Result<lab::Node> BenchNode::node() const {
  return lab::Node::open(
      {kLab, BenchNode::kName, lab_->paths().run(), lab_->paths().disk(BenchNode::kName)});
}

Result<> BenchNode::wait_until_full() const {
  http::Endpoint endpoint;
  endpoint.unix_path = TRY(node()).inside("/run/eni/terway-cli.sock");
  http::Request request;
  request.path = rpc::cli::kPoolPath;
  SystemClock clock;
  const Instant deadline = clock.now() + kFillTimeout;
  for (;;) {
    const auto answer = TRY(http::Client(endpoint).send(request));
    const auto pool = TRY(rpc::cli::decode<rpc::cli::Pool>(answer.body));
    const std::size_t idle = pool.pools.empty() ? 0 : pool.pools.front().idle;
    if (idle >= kEnis * kAddressesPerEni) return Ok{};
    if (clock.now() >= deadline) {
      return Error(Error::Kind::Unavailable, fmt::format("the pool has {} addresses, not {}", idle,
                                                         kEnis * kAddressesPerEni));
    }
    clock.sleep_for(std::chrono::milliseconds(50));
  }
}

Result<Series> BenchNode::run(const std::string& phase) const {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink(kSelf, failed);
  if (failed) return Error::from_errno(failed.value(), kSelf);
  const auto done =
      TRY(lab_->run_on_node(BenchNode::kName, {self.native(), "phase", phase}, {}, kPhaseTimeout));
  if (done.exit_code != 0) {
    return Error(Error::Kind::Internal, fmt::format("{}: {}", phase, trimmed(done.err)));
  }
  return TRY_WITHIN(phase, series_from_json(done.out));
}

Result<CloudSettings> BenchNode::cloud_settings() const {
  const json all = TRY(ask_cloud(*lab_, "/settings"));
  CloudSettings settings;
  settings.attach_delay_ms = all.value("attach_delay_ms", 0.0);
  settings.nic_delay_ms = all.value("nic_delay_ms", 0.0);
  settings.api_latency_ms = all.value("api_latency_ms", 0.0);
  return settings;
}

Result<std::map<std::string, unsigned>> BenchNode::cloud_calls() const {
  const json all = TRY(ask_cloud(*lab_, "/calls"));
  std::map<std::string, unsigned> calls;
  if (!all.contains("counts")) return calls;
  for (const auto& [action, count] : all["counts"].items()) {
    if (action.starts_with("metadata:")) continue;
    calls[action] = count.value("total", 0U);
  }
  return calls;
}

Result<double> BenchNode::rss_mb() const {
  const std::string record =
      TRY(read_file(lab_->paths().run() / fmt::format("{}.terwayd", BenchNode::kName)));
  const std::string pid = record.substr(0, record.find(' '));
  const std::string status = TRY(read_file(fmt::format("/proc/{}/status", pid)));
  const std::size_t at = status.find("VmRSS:");
  if (at == std::string::npos) return Error(Error::Kind::NotFound, "terwayd has no VmRSS");
  std::istringstream fields(status.substr(at + 6));
  double kilobytes = 0;
  fields >> kilobytes;
  return kilobytes / 1024;
}

}  // namespace terway::bench
