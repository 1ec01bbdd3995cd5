// SPDX-License-Identifier: Apache-2.0
// The daemon ends and comes back under traffic: the packets do not notice.
#include <doctest/doctest.h>

#include <cstdlib>

#include "cluster.h"
#include "traffic.h"

using namespace terway;
using namespace terway::test;

namespace {

// As an upgrade does: it is told to end, and the next one starts.
void restart(Cluster& cluster, const std::string& node) {
  cluster.on_node(node, "kill $(pidof terwayd)");
  REQUIRE(eventually([&] { return !cluster.lab().daemon_alive(node); }));
  REQUIRE(cluster.lab().start_daemon(node).ok());
}

void kill_and_start(Cluster& cluster, const std::string& node) {
  REQUIRE(cluster.lab().kill_daemon(node).ok());
  REQUIRE(cluster.lab().start_daemon(node).ok());
}

std::size_t flows_wanted() {
  const char* text = std::getenv("TERWAY_FLOWS");
  return text == nullptr ? 1000 : static_cast<std::size_t>(std::atoi(text));
}

lab::Endpoint endpoint(Cluster& cluster, const std::string& name) {
  auto found = cluster.lab().endpoint(name);
  REQUIRE_MESSAGE(found.ok(), found.error().message());
  return std::move(*found);
}

}  // namespace

TEST_CASE("restarts and kills of the daemon reset no connection, old or new") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 2;
  Cluster cluster(shape);
  const auto from = endpoint(cluster, "node-1-pod-1");
  const auto to = endpoint(cluster, "node-2-pod-1");
  const auto beside = endpoint(cluster, "node-1-pod-2");
  Flows across(from, to, flows_wanted());
  Flows within(from, beside, 100);
  const ShortConnections there(from, to);
  const ShortConnections back(to, from);
  const ShortConnections near(from, beside);
  REQUIRE(across.answered());
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    for (const char* node : {"node-1", "node-2"}) {
      kill_and_start(cluster, node);
      CHECK(across.answered());
      restart(cluster, node);
      CHECK(across.answered());
      CHECK(within.answered());
    }
    // Killed again before it has done what it does at its start, and dead for a while.
    for (int i = 0; i < 3; ++i) kill_and_start(cluster, "node-1");
    REQUIRE(cluster.lab().kill_daemon("node-2").ok());
    CHECK(across.answered());
    REQUIRE(cluster.lab().start_daemon("node-2").ok());
  }
  CHECK(across.answered());
  CHECK(across.broken() == 0);
  CHECK(within.broken() == 0);
  for (const ShortConnections* connections : {&there, &back, &near}) {
    CHECK(connections->made() > 0);
    CHECK(connections->failed() == 0);
  }
  MESSAGE(across.rounds() << " rounds of " << flows_wanted()
                          << " connections; new ones: " << there.made() << " there, " << back.made()
                          << " back, " << near.made() << " on the node");
  cluster.check_matrix();
  cluster.check_audit();
}
