// SPDX-License-Identifier: Apache-2.0
// Pods come and go, and everybody reaches everybody.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <set>

#include "fault.h"
#include "traffic.h"

using namespace terway;
using namespace terway::test;

TEST_CASE("pods of two nodes, the nodes and a host outside reach each other") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 3;
  Cluster cluster(shape);
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("dual stack: both families reach, without waiting for duplicate address detection") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 2;
  shape.ip_stack = "dual";
  Cluster cluster(shape);
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("a path narrower than the NICs carries a large transfer, for both families") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 1;
  shape.ip_stack = "dual";
  shape.cloud = R"({"path_mtu": 1400})";
  Cluster cluster(shape);
  const auto from = cluster.lab().endpoint("node-1-pod-1");
  const auto to = cluster.lab().endpoint("node-2-pod-1");
  REQUIRE(from.ok());
  REQUIRE(to.ok());
  CHECK(to->addresses.size() == 2);
  constexpr std::size_t kBytes = 1'000'000;
  for (const net::IpAddress& address : to->addresses) {
    CAPTURE(address.to_string());
    const auto before = frames_of(cluster, "too_big");
    CHECK(transfer(*from, *to, address, kBytes) == kBytes);
    // Not because its packets were small from the beginning.
    CHECK(frames_of(cluster, "too_big") > before);
  }
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("a deleted pod's address rests while another is free, and its traces are gone") {
  Cluster cluster({});
  const auto first = cluster.add_pod("a");
  cluster.delete_pod("a");
  cluster.check_audit();
  const auto second = cluster.add_pod("a");
  CHECK(first.sandbox.addresses != second.sandbox.addresses);
  CHECK(first.sandbox.container_id != second.sandbox.container_id);
  cluster.check_audit();
}

TEST_CASE("a stateful pod gets its address again") {
  Cluster cluster({});
  lab::PodSpec pod;
  pod.name = "db-0";
  pod.owner_kind = "StatefulSet";
  const auto first = cluster.lab().add_pod("node-1", pod);
  REQUIRE_MESSAGE(first.ok(), first.error().to_string());
  cluster.delete_pod("db-0");
  const auto second = cluster.lab().add_pod("node-1", pod);
  REQUIRE_MESSAGE(second.ok(), second.error().to_string());
  CHECK(first->sandbox.addresses == second->sandbox.addresses);
  cluster.check_audit();
}

TEST_CASE("pods fill the node to its capacity; the next one is refused with the limit's name") {
  Shape shape;
  shape.instance_type = "ecs.g7.large";  // 2 ENIs for pods
  shape.eni_conf = R"({add_timeout: "3s"})";
  Cluster cluster(shape);
  const auto pool = cluster.ask<rpc::cli::Pool>("node-1", rpc::cli::kPoolPath);
  const std::uint32_t capacity = pool.max_enis * pool.ipv4_per_eni;
  REQUIRE(capacity > 0);
  for (std::uint32_t i = 0; i < capacity; ++i) cluster.add_pod_at_last(fmt::format("p{}", i));
  cluster.check_audit();
  lab::PodSpec pod;
  pod.name = "one-too-many";
  const auto refused = cluster.lab().add_pod("node-1", pod);
  REQUIRE_FALSE(refused.ok());
  MESSAGE(refused.error().message());
  CHECK(refused.error().message().find("ENI") != std::string::npos);
  cluster.check_matrix();
  cluster.check_audit();
}
