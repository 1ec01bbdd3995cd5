// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <thread>

#include "lab/echo.h"

namespace terway::lab {

namespace {

// With how many others of a kind each pod talks.
constexpr std::size_t kPartners = 2;
constexpr std::size_t kAtOnce = 4;

using Role = Endpoint::Role;

std::optional<Kind> kind_of(const Endpoint& from, const Endpoint& to) {
  const bool same = from.node == to.node;
  if (from.role == Role::Pod && to.role == Role::Pod) {
    return same ? Kind::SameNode : Kind::CrossNode;
  }
  if (from.role == Role::Node && to.role == Role::Pod && same) return Kind::NodeToPod;
  if (from.role == Role::Pod && to.role == Role::Node) {
    return same ? Kind::PodToNode : Kind::PodToOtherNode;
  }
  if (from.role == Role::Pod && to.role == Role::Outside) return Kind::PodToOutside;
  if (from.role == Role::Outside && to.role == Role::Pod) return Kind::OutsideToPod;
  return std::nullopt;
}

void add_probes(const Endpoint& from, const Endpoint& to, Kind kind, std::vector<Probe>& probes) {
  for (const net::IpAddress& address : to.addresses) {
    const bool has_family =
        std::any_of(from.addresses.begin(), from.addresses.end(),
                    [&](const net::IpAddress& own) { return own.family() == address.family(); });
    if (!has_family) continue;
    for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp, Protocol::Icmp}) {
      const std::uint16_t port = protocol == Protocol::Icmp ? std::uint16_t{0} : kEchoPort;
      probes.push_back({from.name, to.name, kind, {address, port, protocol}, false, 0, {}});
    }
  }
}

const Endpoint* find(const std::vector<Endpoint>& endpoints, const std::string& name) {
  const auto found = std::find_if(endpoints.begin(), endpoints.end(),
                                  [&](const Endpoint& endpoint) { return endpoint.name == name; });
  return found == endpoints.end() ? nullptr : &*found;
}

// What is wrong with an answer; empty when nothing is.
std::string fault_of(const Answer& answer, const Endpoint& from, const Probe& probe) {
  if (probe.target.protocol == Protocol::Icmp) return {};
  const std::size_t space = answer.text.rfind(' ');
  if (space == std::string::npos) return "an answer that is no echo's";
  const std::string who = answer.text.substr(0, space);
  const std::string seen = answer.text.substr(space + 1);
  if (who != probe.to) return fmt::format("answered by {}", who);
  for (const net::IpAddress& own : from.addresses) {
    if (own.to_string() == seen) return {};
  }
  return fmt::format("source address was changed to {}", seen);
}

void run_one(Probe& one, const std::vector<Endpoint>& endpoints, Duration timeout) {
  const Endpoint* from = find(endpoints, one.from);
  if (from == nullptr) {
    one.lost_at = "source: no such endpoint";
    return;
  }
  const auto answer = probe(from->netns_path, one.target, timeout);
  if (!answer.ok()) {
    one.lost_at = answer.error().message();
    return;
  }
  one.lost_at = fault_of(*answer, *from, one);
  one.ok = one.lost_at.empty();
  one.rtt_us = std::chrono::duration<double, std::micro>(answer->round_trip).count();
}

// A probe that was lost is asked once more, alone, with the fabric's counters read before and
// after: what they gained names the place. It stays lost.
void locate(Probe& lost, const std::vector<Endpoint>& endpoints, const MatrixSettings& settings) {
  if (!settings.count_drops) return;
  const auto before = settings.count_drops();
  Probe again = lost;
  run_one(again, endpoints, settings.timeout);
  const auto after = settings.count_drops();
  if (!before.ok() || !after.ok()) return;
  for (const auto& [place, count] : *after) {
    const auto was = before->find(place);
    if (count > (was == before->end() ? 0 : was->second)) {
      lost.lost_at += fmt::format("; fabric dropped at {}", place);
    }
  }
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::SameNode:
      return "same-node";
    case Kind::CrossNode:
      return "cross-node";
    case Kind::NodeToPod:
      return "node-to-pod";
    case Kind::PodToNode:
      return "pod-to-node";
    case Kind::PodToOtherNode:
      return "pod-to-other-node";
    case Kind::PodToOutside:
      return "pod-to-outside";
    case Kind::OutsideToPod:
      return "outside-to-pod";
  }
  return "same-node";
}

std::size_t Matrix::ok() const {
  return static_cast<std::size_t>(
      std::count_if(probes.begin(), probes.end(), [](const Probe& probe) { return probe.ok; }));
}

std::vector<Probe> plan_probes(const std::vector<Endpoint>& endpoints) {
  std::vector<Probe> probes;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    std::map<Kind, std::size_t> partners;
    // Beginning behind itself, so that partners differ from one to the next.
    for (std::size_t step = 1; step < endpoints.size(); ++step) {
      const Endpoint& from = endpoints[i];
      const Endpoint& to = endpoints[(i + step) % endpoints.size()];
      const auto kind = kind_of(from, to);
      if (!kind || partners[*kind] == kPartners) continue;
      ++partners[*kind];
      add_probes(from, to, *kind, probes);
    }
  }
  std::stable_sort(probes.begin(), probes.end(),
                   [](const Probe& a, const Probe& b) { return a.kind < b.kind; });
  return probes;
}

Matrix run_probes(std::vector<Probe> probes, const std::vector<Endpoint>& endpoints,
                  const MatrixSettings& settings) {
  Matrix matrix{std::move(probes)};
  std::atomic<std::size_t> next = 0;
  std::atomic<std::size_t> done = 0;
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < kAtOnce; ++i) {
    workers.emplace_back([&] {
      for (std::size_t at = next++; at < matrix.probes.size(); at = next++) {
        run_one(matrix.probes[at], endpoints, settings.timeout);
        ++done;
        if (settings.progress) settings.progress(done, matrix.probes.size());
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (Probe& one : matrix.probes) {
    if (!one.ok) locate(one, endpoints, settings);
  }
  return matrix;
}

}  // namespace terway::lab
