// SPDX-License-Identifier: Apache-2.0
// How a lab is built, and how it is taken down.
#include <fmt/core.h>

#include <sstream>
#include <thread>

#include "base/channel.h"
#include "base/file.h"
#include "http/client.h"
#include "lab/echo.h"
#include "lab/lab.h"
#include "lab/node_config.h"
#include "vpcsim/service_host.h"

namespace terway::lab {

namespace {

namespace fs = std::filesystem;

constexpr Duration kNicTimeout = std::chrono::seconds(30);
constexpr Duration kEchoTimeout = std::chrono::seconds(20);
constexpr Duration kReadyTimeout = std::chrono::seconds(90);
constexpr const char* kOutsideType = "ecs.g7.large";
constexpr const char* kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Daemon read_cloud(const Paths& paths) {
  Daemon cloud;
  if (const auto record = read_file(paths.cloud_pid()); record.ok()) {
    std::istringstream(*record) >> cloud.pid >> cloud.start_time;
  }
  return cloud;
}

}  // namespace

Result<> Lab::down(const std::string& name) {
  TRY(check_lab_name(name));
  const Paths paths(name);
  TRY(remove_nodes(name));
  TRY(read_cloud(paths).end());
  std::error_code failed;
  fs::remove_all(paths.run(), failed);
  if (failed) {
    return Error::from_errno(failed.value(), fmt::format("remove {}", paths.run().native()));
  }
  fs::remove(paths.lock(), failed);
  // The last lab's directory goes with it; another lab's keeps it.
  fs::remove(paths.run().parent_path(), failed);
  return Ok{};
}

Result<Lab> Lab::up(const std::string& name, const Topology& topology, const Programs& programs,
                    const Progress& progress) {
  progress("cleaning up");
  TRY(down(name));
  const Paths paths(name);
  std::error_code failed;
  fs::create_directories(paths.run(), failed);
  State state;
  state.name = name;
  state.stack = to_string(topology.stack);
  state.api_url = fmt::format("https://{}", vpcsim::kApiAddress);
  Lab lab(paths, programs, std::move(state));
  TRY(lab.build(topology, progress));
  return lab;
}

Result<> Lab::build(const Topology& topology, const Progress& progress) {
  progress("starting the cloud");
  state_.cloud = TRY(start_cloud(paths_, topology, programs_.path("vpcsim")));
  TRY(replace_file(paths_.cloud_pid(),
                   fmt::format("{} {}\n", state_.cloud.pid, state_.cloud.start_time), 0600));
  for (const OutsideHost& host : topology.outside) {
    progress(fmt::format("{}: boot", host.name));
    Machine wanted;
    wanted.name = host.name;
    wanted.outside = true;
    wanted.instance_type = kOutsideType;
    TRY(add_machine(wanted, host.vswitch, topology));
  }
  for (const NodeTopology& node : topology.nodes) {
    progress(fmt::format("{}: boot, an {} with its primary ENI", node.name, node.instance_type));
    Machine wanted;
    wanted.name = node.name;
    wanted.instance_type = node.instance_type;
    wanted.mode = node.mode;
    TRY(add_machine(wanted, node.vswitch, topology));
    const Node booted = TRY(this->node(node.name));
    TRY(install(booted, eni_conf(topology, node, state_), node.mode, paths_,
                programs_.path("terway")));
  }
  for (const NodeTopology& node : topology.nodes) {
    progress(fmt::format("{}: terwayd", node.name));
    TRY(start_daemon(node.name));
  }
  return start_pods(topology, progress);
}

Result<> Lab::add_machine(const Machine& wanted, const std::string& vswitch,
                          const Topology& topology) {
  const std::string& name = wanted.name;
  const Node booted = TRY(Node::boot(spec(name)));
  Machine machine =
      TRY_WITHIN(name, Cloud(paths_).add_instance(name, wanted.outside, wanted.instance_type,
                                                  vswitch, topology.stack, booted.netns_path()));
  machine.mode = wanted.mode;
  state_.machines.push_back(machine);
  TRY(save_state(paths_, state_));
  const PrimaryNic nic = TRY(primary_nic_of(machine));
  TRY_WITHIN(name, configure_primary_nic(booted.netns_path(), nic, kNicTimeout));
  return start_echo(booted);
}

Result<> Lab::start_echo(const Node& node) const {
  TRY(node.spawn(
      {{programs_.path("terway-lab").native(), "echo", "--name", node.name()}, {{"PATH", kPath}}},
      paths_.run() / (node.name() + ".echo.log")));
  return wait_for_echo(node.netns_path(), kEchoPort, kEchoTimeout);
}

Result<> Lab::wait_until_ready(const std::string& name) const {
  SystemClock clock;
  const Instant deadline = clock.now() + kReadyTimeout;
  for (;;) {
    std::string reason = "it does not run";
    for (const NodeStatus& status : TRY(nodes())) {
      if (status.name != name) continue;
      if (status.ready) return Ok{};
      reason = status.reason;
    }
    if (clock.now() >= deadline) {
      return Error(Error::Kind::Unavailable,
                   fmt::format("terwayd of {} is not ready: {}; {} says more", name, reason,
                               (paths_.run() / (name + ".terwayd.log")).native()));
    }
    clock.sleep_for(std::chrono::milliseconds(20));
  }
}

Result<> Lab::start_pods(const Topology& topology, const Progress& progress) {
  // Nodes at the same time, the pods of a node one after the other: their names tell where they
  // are.
  Channel<Result<>> results;
  std::vector<std::thread> starters;
  for (const NodeTopology& node : topology.nodes) {
    if (node.pods == 0) continue;
    progress(fmt::format("{}: {} pods", node.name, node.pods));
    starters.emplace_back([this, &results, &node] {
      for (std::uint32_t i = 1; i <= node.pods; ++i) {
        Sandbox wish;
        wish.pod.name = fmt::format("{}-pod-{}", node.name, i);
        const auto added = runtime(node.name, {"add"}, to_json(wish));
        if (!added.ok()) {
          results.send(Error(added.error()).within(wish.pod.name));
          return;
        }
      }
      results.send(Ok{});
    });
  }
  for (std::thread& starter : starters) starter.join();
  for (std::size_t i = 0; i < starters.size(); ++i) TRY(*results.try_receive());
  return Ok{};
}

}  // namespace terway::lab
