// SPDX-License-Identifier: Apache-2.0
// Nodes reboot, lose power, and have their routes flushed.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>

#include "cluster.h"

using namespace terway;
using namespace terway::test;

TEST_CASE("a rebooted node's pods come back, with nothing of the old boot left") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 3;
  Cluster cluster(shape);
  const std::string before = cluster.on_node("node-1", "cat /proc/sys/kernel/random/boot_id");
  const auto restarted = cluster.lab().restart_node("node-1", [](const std::string&) {});
  REQUIRE_MESSAGE(restarted.ok(), restarted.error().to_string());
  CHECK(cluster.on_node("node-1", "cat /proc/sys/kernel/random/boot_id") != before);
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("flushed rules and routes are put back while pods talk, and foreign ones stay") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 2;
  Cluster cluster(shape);
  cluster.on_node("node-1",
                  "ip rule add priority 700 from 10.99.0.0/16 lookup 77;"
                  "ip route add 10.99.0.0/16 dev lo table 77");
  for (const char* flush :
       {"ip rule flush; ip rule add priority 32766 lookup main; ip rule add priority 32767 lookup "
        "default; ip rule add priority 700 from 10.99.0.0/16 lookup 77",
        "for t in $(ip route show table all | grep -o 'table [0-9]*' | sort -u | awk '{print "
        "$2}'); "
        "do test $t = 77 || ip route flush table $t; done"}) {
    CAPTURE(flush);
    cluster.on_node("node-1", flush);
    cluster.check_matrix_heals();
  }
  CHECK(cluster.on_node("node-1", "ip rule show priority 700").find("10.99.0.0/16") !=
        std::string::npos);
  CHECK(cluster.on_node("node-1", "ip route show table 77").find("10.99.0.0/16") !=
        std::string::npos);
  CHECK(eventually([&] {
    const auto status = cluster.ask<rpc::cli::Status>("node-1", rpc::cli::kStatusPath);
    return std::ranges::any_of(status.drift, [](const auto& drift) { return drift.second > 0; });
  }));
  cluster.check_audit();
}

TEST_CASE("a flushed nftables ruleset is written anew while pods talk") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 2;
  Cluster cluster(shape);
  cluster.on_node("node-1", "nft flush ruleset");
  CHECK(eventually([&] {
    return cluster.on_node("node-1", "nft list tables").find("terway") != std::string::npos;
  }));
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("a host link whose MAC somebody changes still carries its pod") {
  Shape shape;
  shape.pods = 2;
  Cluster cluster(shape);
  cluster.on_node("node-1",
                  "for l in $(ip -br link | grep -o '^cali[0-9a-f]*'); do "
                  "ip link set dev $l address 02:11:22:33:44:55; done");
  cluster.check_matrix_heals();
  cluster.check_audit();
}

TEST_CASE("a node without power keeps its ENIs, and takes them up again") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 2;
  Cluster cluster(shape);
  REQUIRE(cluster.lab().kill_node("node-2").ok());
  CHECK_FALSE(cluster.lab().endpoint("node-2").ok());
  const auto restarted = cluster.lab().restart_node("node-2", [](const std::string&) {});
  REQUIRE_MESSAGE(restarted.ok(), restarted.error().to_string());
  cluster.check_matrix();
  cluster.check_audit();
}
