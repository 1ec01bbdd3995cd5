// SPDX-License-Identifier: Apache-2.0
// Nodes whose pods have an ENI each: the NIC goes into the pod and comes back, whatever happens.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "cluster.h"

using namespace terway;
using namespace terway::test;

namespace {

Shape exclusive(std::size_t nodes, std::uint32_t pods) {
  Shape shape;
  shape.nodes = nodes;
  shape.pods = pods;
  shape.mode = "exclusive";
  shape.eni_conf = R"({"max_pool_size": 3, "add_timeout": "20s", "cool_down": "3s"})";
  return shape;
}

// The MACs of a node's secondary ENIs, as the cloud has them.
std::vector<std::string> macs_of(Cluster& cluster, const std::string& node) {
  std::vector<std::string> macs;
  const auto enis = cluster.lab().enis();
  REQUIRE(enis.ok());
  for (const auto& eni : *enis) {
    if (eni.node == node && eni.type == "Secondary") macs.push_back(eni.mac);
  }
  return macs;
}

// "ethN DOWN" of the NIC with this MAC among the node's own links; empty: it is not there.
std::string nic_state(Cluster& cluster, const std::string& node, const std::string& mac) {
  return cluster.on_node(node, fmt::format("ip -br link | awk '$3 == \"{}\" {{print $1, $2}}' | "
                                           "sed 's/@[^ ]*//'",
                                           mac));
}

std::string mac_of(Cluster& cluster, const std::string& pod) {
  for (const auto& entry : cluster.ask<rpc::cli::Pods>("node-1", rpc::cli::kPodsPath).pods) {
    if (entry.name == pod) return entry.pod_mac;
  }
  FAIL("no pod " << pod);
  return "";
}

bool told(Cluster& cluster, const std::string& kind) {
  const auto status = cluster.ask<rpc::cli::Status>("node-1", rpc::cli::kStatusPath);
  return std::ranges::any_of(status.notices,
                             [&](const auto& notice) { return notice.kind == kind; });
}

}  // namespace

TEST_CASE(
    "pods with an ENI each, the nodes and a host outside reach each other, by both families") {
  Shape shape = exclusive(2, 3);
  shape.ip_stack = "dual";
  Cluster cluster(shape);
  cluster.check_matrix();
  cluster.check_audit();
  const auto status = cluster.ask<rpc::cli::Status>("node-1", rpc::cli::kStatusPath);
  CHECK(status.daemon_mode == "exclusive");
  REQUIRE_FALSE(status.pools.empty());
  CHECK(status.pools[0].capacity == 3);  // ENIs - 1
}

TEST_CASE("a pod too many is refused with what is full, and comes up when another has gone") {
  Cluster cluster(exclusive(1, 3));
  lab::PodSpec pod;
  pod.name = "late";
  const auto refused = cluster.lab().add_pod("node-1", pod);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message().find("3 of 3 ENIs are in use; each ENI is one pod's") !=
        std::string::npos);
  cluster.delete_pod("node-1-pod-2");
  cluster.add_pod_at_last("late");
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("a DEL answers when the NIC is back, down and under its own name") {
  Cluster cluster(exclusive(1, 1));
  const std::string mac = mac_of(cluster, "node-1-pod-1");
  CHECK(nic_state(cluster, "node-1", mac).empty());
  cluster.delete_pod("node-1-pod-1");
  CHECK(nic_state(cluster, "node-1", mac) == "eth1 DOWN");
  for (int round = 0; round < 3; ++round) {
    cluster.add_pod_at_last("again");
    cluster.check_matrix();
    cluster.delete_pod("again");
  }
  cluster.check_audit();
}

TEST_CASE(
    "a pod whose namespace died before its DEL: the NIC is found again, and serves the next") {
  Shape shape = exclusive(1, 0);
  shape.eni_conf = R"({"max_eni": 1, "add_timeout": "20s", "cool_down": "3s"})";
  Cluster cluster(shape);
  PluginCall call;
  call.container_id = "dead0";
  call.netns = "/run/netns/dead";
  call.pod = "default/dead";
  cluster.on_node("node-1", "mkdir -p /run/netns && ip netns add dead");
  call.command = "ADD";
  const auto added = cluster.plugin("node-1", call);
  REQUIRE_MESSAGE(added.exit_code == 0, added.out);
  const auto macs = macs_of(cluster, "node-1");
  REQUIRE(macs.size() == 1);
  CHECK(nic_state(cluster, "node-1", macs[0]).empty());
  cluster.on_node("node-1", "ip netns del dead");
  CHECK(eventually([&] { return !nic_state(cluster, "node-1", macs[0]).empty(); }));
  call.command = "DEL";
  const auto deleted = cluster.plugin("node-1", call);
  CHECK_MESSAGE(deleted.exit_code == 0, deleted.out);
  cluster.add_pod_at_last("next");
  CHECK(macs_of(cluster, "node-1") == macs);
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("a DEL at the moment when the namespace dies succeeds, too") {
  Cluster cluster(exclusive(1, 0));
  for (int round = 0; round < 3; ++round) {
    PluginCall call;
    call.container_id = fmt::format("dead{}", round);
    call.netns = "/run/netns/dead";
    call.pod = "default/dead";
    cluster.on_node("node-1", "mkdir -p /run/netns && ip netns add dead");
    call.command = "ADD";
    const bool came = eventually([&] { return cluster.plugin("node-1", call).exit_code == 0; });
    CHECK(came);
    cluster.on_node("node-1", "ip netns del dead");
    call.command = "DEL";
    const auto deleted = cluster.plugin("node-1", call);
    CHECK_MESSAGE(deleted.exit_code == 0, deleted.out);
  }
  cluster.add_pod_at_last("next");
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("a pod that takes the programs off its NIC gets them back, and that is told") {
  Cluster cluster(exclusive(1, 1));
  const auto pod = cluster.lab().endpoint("node-1-pod-1");
  REQUIRE(pod.ok());
  const auto programs = [&] {
    return cluster.on_node("node-1",
                           "for ns in /run/netns/*; do nsenter --net=$ns "
                           "tc filter show dev eth0 egress; done | grep -c exclusive || "
                           "true");
  };
  REQUIRE(programs() != "0");
  cluster.on_node("node-1",
                  "for ns in /run/netns/*; do nsenter --net=$ns tc qdisc del dev eth0 "
                  "clsact; done");
  CHECK(eventually([&] { return programs() != "0"; }));
  CHECK(eventually([&] { return told(cluster, "ProgramsRemoved"); }));
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("the daemon is killed and comes back: the pods do not notice, and their DELs work") {
  Cluster cluster(exclusive(1, 2));
  REQUIRE(cluster.lab().kill_daemon("node-1").ok());
  cluster.check_matrix();
  const auto started = cluster.lab().start_daemon("node-1");
  REQUIRE_MESSAGE(started.ok(), started.error().message());
  cluster.check_matrix();
  cluster.check_audit();
  const std::string mac = mac_of(cluster, "node-1-pod-1");
  cluster.delete_pod("node-1-pod-1");
  CHECK(nic_state(cluster, "node-1", mac).find("DOWN") != std::string::npos);
  // One that is deleted while the daemon is away.
  REQUIRE(cluster.lab().kill_daemon("node-1").ok());
  cluster.delete_pod("node-1-pod-2");
  const auto again = cluster.lab().start_daemon("node-1");
  REQUIRE_MESSAGE(again.ok(), again.error().message());
  cluster.check_audit();
  cluster.add_pod_at_last("a");
  cluster.add_pod_at_last("b");
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("the daemon dies at any step of moving a NIC: in the end all agree") {
  Cluster cluster(exclusive(1, 1));
  int killed = 0;
  // Until a pod's coming and going has no such step any more.
  for (bool again = true; again; killed += again ? 1 : 0) {
    const int nth = 1 + 2 * killed;
    CAPTURE(nth);
    again = cluster.killed_at("node-1", "sendmsg", nth);
    cluster.check_audit();
  }
  MESSAGE("killed at " << killed << " steps");
  CHECK(killed > 5);  // the start-up alone has more
  cluster.add_pod_at_last("last");
  cluster.check_matrix();
}

TEST_CASE("a node that was switched off comes back with its pods") {
  Cluster cluster(exclusive(1, 2));
  const auto restarted = cluster.lab().restart_node("node-1", [](const std::string&) {});
  REQUIRE_MESSAGE(restarted.ok(), restarted.error().message());
  cluster.check_matrix_heals();
  cluster.check_audit();
}

TEST_CASE("CHECK and GC know pods with ENIs of their own") {
  Cluster cluster(exclusive(1, 1));
  const auto pods = cluster.lab().pods();
  REQUIRE(pods.ok());
  REQUIRE(pods->size() == 1);
  const lab::Sandbox& sandbox = pods->front().sandbox;
  PluginCall check;
  check.command = "CHECK";
  check.container_id = sandbox.container_id;
  check.netns = sandbox.netns;
  check.pod = "default/node-1-pod-1";
  check.config = fmt::format(R"({{"prevResult": {}}})", sandbox.result);
  const auto right = cluster.plugin("node-1", check);
  CHECK_MESSAGE(right.exit_code == 0, right.out);
  // A pod that the runtime does not know.
  PluginCall stale;
  stale.container_id = "stale";
  stale.netns = "/run/netns/stale";
  stale.pod = "default/stale";
  stale.command = "ADD";
  cluster.on_node("node-1", "ip netns add stale");
  const auto added = cluster.plugin("node-1", stale);
  REQUIRE_MESSAGE(added.exit_code == 0, added.out);
  PluginCall gc;
  gc.command = "GC";
  gc.config =
      fmt::format(R"({{"cni.dev/valid-attachments": [{{"containerID": "{}", "ifname": "eth0"}}]}})",
                  sandbox.container_id);
  const auto swept = cluster.plugin("node-1", gc);
  CHECK_MESSAGE(swept.exit_code == 0, swept.out);
  CHECK(cluster.on_node("node-1", "ip netns exec stale ip -br link").find("eth0") ==
        std::string::npos);
  cluster.on_node("node-1", "ip netns del stale");
  cluster.check_audit();
  cluster.on_node("node-1", fmt::format("nsenter --net={} ip route del default", sandbox.netns));
  const auto wrong = cluster.plugin("node-1", check);
  CHECK(wrong.exit_code != 0);
  CHECK(wrong.out.find("no route 0.0.0.0/0") != std::string::npos);
}
