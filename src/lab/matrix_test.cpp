// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <map>
#include <set>

using namespace terway;
using namespace terway::lab;

namespace {

std::vector<Endpoint> cluster(int nodes, int pods_each, bool dual) {
  std::vector<Endpoint> all;
  for (int n = 1; n <= nodes; ++n) {
    const std::string node = fmt::format("node-{}", n);
    all.push_back({Endpoint::Role::Node, node, node, "", {*net::IpAddress::parse("10.0.0.1")}});
    for (int p = 1; p <= pods_each; ++p) {
      Endpoint pod{Endpoint::Role::Pod,
                   fmt::format("default/pod-{}-{}", n, p),
                   node,
                   "",
                   {*net::IpAddress::parse(fmt::format("10.0.{}.{}", n, p))}};
      if (dual) pod.addresses.push_back(*net::IpAddress::parse(fmt::format("fd00::{}:{}", n, p)));
      all.push_back(pod);
    }
  }
  all.push_back(
      {Endpoint::Role::Outside, "outside-1", "", "", {*net::IpAddress::parse("10.9.0.1")}});
  return all;
}

}  // namespace

TEST_CASE("a matrix has every kind, every protocol and every pod as source and as target") {
  const auto probes = plan_probes(cluster(3, 4, false));
  CHECK(probes.size() >= 60);
  std::map<Kind, std::set<Protocol>> kinds;
  std::set<std::string> sources;
  std::set<std::string> targets;
  for (const Probe& probe : probes) {
    kinds[probe.kind].insert(probe.target.protocol);
    sources.insert(probe.from);
    targets.insert(probe.to);
  }
  CHECK(kinds.size() == 7);
  for (const auto& [kind, protocols] : kinds) CHECK(protocols.size() == 3);
  for (const Endpoint& endpoint : cluster(3, 4, false)) {
    CAPTURE(endpoint.name);
    CHECK(sources.contains(endpoint.name));
    CHECK(targets.contains(endpoint.name));
  }
}

TEST_CASE("both families are probed where both ends have them, and only there") {
  std::size_t v6 = 0;
  for (const Probe& probe : plan_probes(cluster(2, 2, true))) {
    if (probe.target.address.is_v4()) continue;
    ++v6;
    CHECK((probe.kind == Kind::SameNode || probe.kind == Kind::CrossNode));
  }
  CHECK(v6 > 0);
}

TEST_CASE("nobody probes itself") {
  for (const Probe& probe : plan_probes(cluster(2, 3, false))) CHECK(probe.from != probe.to);
}

TEST_CASE("a probe from nowhere fails and says so") {
  auto endpoints = cluster(1, 2, false);
  for (Endpoint& endpoint : endpoints) endpoint.netns_path = "/nonexistent/netns";
  MatrixSettings settings;
  std::uint64_t drops = 0;
  settings.count_drops = [&]() -> Result<DropCounts> {
    return DropCounts{{"eni-1: spoofed", drops++}};
  };
  auto probes = plan_probes(endpoints);
  probes.resize(1);
  const Matrix matrix = run_probes(probes, endpoints, settings);
  CHECK(matrix.failed() == 1);
  CHECK(matrix.probes[0].lost_at.find("/nonexistent/netns") != std::string::npos);
  CHECK(matrix.probes[0].lost_at.find("fabric dropped at eni-1: spoofed") != std::string::npos);
}
