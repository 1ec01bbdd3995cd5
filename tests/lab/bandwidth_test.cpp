// SPDX-License-Identifier: Apache-2.0
// Bandwidth limits as users give them: by the runtime, and by the command line.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <chrono>

#include "cluster.h"
#include "fault.h"
#include "traffic.h"

using namespace terway;
using namespace terway::test;

namespace {

// No faster than the limit says, with a quarter for headers and clocks: how long this many bytes
// took from one to the other, in bits per second.
double rate_of(Cluster& cluster, const std::string& from, const std::string& to,
               std::size_t bytes) {
  const auto sender = cluster.lab().endpoint(from);
  const auto receiver = cluster.lab().endpoint(to);
  REQUIRE(sender.ok());
  REQUIRE(receiver.ok());
  const auto begun = std::chrono::steady_clock::now();
  CHECK(transfer(*sender, *receiver, receiver->addresses.at(0), bytes) == bytes);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  return static_cast<double>(bytes) * 8 / took.count();
}

lab::PodSpec limited(const std::string& name, const std::string& bandwidth) {
  lab::PodSpec pod;
  pod.name = name;
  pod.capabilities["bandwidth"] = bandwidth;
  return pod;
}

rpc::cli::PodEntry entry_of(Cluster& cluster, const std::string& name) {
  for (auto& pod : cluster.ask<rpc::cli::Pods>("node-1", rpc::cli::kPodsPath).pods) {
    if (pod.name == name) return pod;
  }
  return {};
}

// The build's own, which nodes see as the machine does.
std::string terway_cli() {
  const auto beside = lab::Programs::find();
  REQUIRE(beside.ok());
  return beside->directory.parent_path().parent_path() / "bin" / "terway-cli";
}

constexpr std::size_t kBytes = 2'500'000;
constexpr double kTwentyMbit = 1.25 * 20e6;
constexpr double kTenMbit = 1.25 * 10e6;

}  // namespace

TEST_CASE("limits come from the runtime, change by the command line, and outlive the daemon") {
  Shape shape;
  shape.pods = 1;
  Cluster cluster(shape);
  const std::string other = "node-1-pod-1";
  const auto added = cluster.lab().add_pod(
      "node-1", limited("slow", R"({"egressRate":20000000,"egressBurst":2147483647})"));
  REQUIRE_MESSAGE(added.ok(), added.error().to_string());
  CHECK(entry_of(cluster, "slow").egress_limit == "20M");
  CHECK(entry_of(cluster, "slow").ingress_limit == "none");
  CHECK(rate_of(cluster, "slow", other, kBytes) < kTwentyMbit);

  const std::string said = cluster.on_node(
      "node-1", terway_cli() + " bandwidth default/slow --egress none --ingress 10M");
  CHECK(said.find("10M") != std::string::npos);
  CHECK(rate_of(cluster, other, "slow", kBytes) < kTenMbit);

  REQUIRE(cluster.lab().kill_daemon("node-1").ok());
  CHECK(rate_of(cluster, other, "slow", kBytes) < kTenMbit);
  REQUIRE(cluster.lab().start_daemon("node-1").ok());
  REQUIRE(eventually([&] { return entry_of(cluster, "slow").state == "Wired"; }));
  CHECK(entry_of(cluster, "slow").egress_limit == "none");
  CHECK(entry_of(cluster, "slow").ingress_limit == "10M");
  CHECK(rate_of(cluster, other, "slow", kBytes) < kTenMbit);
  cluster.delete_pod("slow");
  cluster.check_audit();
}

TEST_CASE(
    "a limit that is no rate is a notice, and the pod is refused or unlimited as configured") {
  for (const bool refuse : {true, false}) {
    CAPTURE(refuse);
    Shape shape;
    if (!refuse) shape.eni_conf = R"({"invalid_bandwidth": "unlimited"})";
    Cluster cluster(shape);
    const auto added = cluster.lab().add_pod("node-1", limited("odd", R"({"ingressRate":5})"));
    CHECK(added.ok() == !refuse);
    if (!added.ok()) {
      CHECK(added.error().message().find("ingressRate: 5 is not allowed") != std::string::npos);
    }
    CHECK(notices(cluster, "BandwidthInvalid") == 1);
    cluster.check_audit();
  }
}

TEST_CASE("the command line says which pod or which value it does not take") {
  Shape shape;
  shape.pods = 1;
  Cluster cluster(shape);
  const auto says = [&](const std::string& words) {
    return cluster.on_node("node-1", terway_cli() + " bandwidth " + words + " 2>&1; true");
  };
  CHECK(says("default/nobody --egress 1M").find("no pod default/nobody") != std::string::npos);
  const std::string pod = "default/" + entry_of(cluster, "node-1-pod-1").name;
  CHECK(says(pod + " --egress fast").find("\"fast\" is not allowed") != std::string::npos);
  CHECK(says(pod).find("none") != std::string::npos);
}
