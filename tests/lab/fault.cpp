// SPDX-License-Identifier: Apache-2.0
#include "fault.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "vpcsim/admin_client.h"

namespace terway::test {

namespace {

using nlohmann::json;

json get(Cluster& cluster, const std::string& path) {
  json answer = json::parse(cluster.cloud_get(path), nullptr, false);
  REQUIRE_FALSE(answer.is_discarded());
  return answer;
}

}  // namespace

Fault::Fault(Cluster& cluster, const std::string& json_text) : cluster_(cluster) {
  const json made = json::parse(cluster.cloud_post("/faults", json_text), nullptr, false);
  REQUIRE(made.contains("id"));
  id_ = made["id"].dump();
}

Fault::~Fault() {
  if (id_.empty()) return;
  const auto cleared =
      vpcsim::AdminClient(cluster_.lab().paths().admin_socket()).remove("/faults/" + id_);
  static_cast<void>(cleared);
}

std::uint64_t Fault::struck() const {
  for (const json& fault : get(cluster_, "/faults")) {
    if (fault["id"].dump() == id_) return fault["struck"].get<std::uint64_t>();
  }
  return 0;
}

void Fault::clear() {
  if (!id_.empty()) cluster_.cloud_delete("/faults/" + id_);
  id_.clear();
}

CallCount calls_of(Cluster& cluster, const std::string& action) {
  const json log = get(cluster, "/calls?action=" + action);
  const auto count = log["counts"].find(action);
  if (count == log["counts"].end()) return {};
  return {count->value("total", std::uint64_t{0}), count->value("failed", std::uint64_t{0})};
}

std::vector<std::string> failed_requests(Cluster& cluster, const std::string& action) {
  std::vector<std::string> ids;
  const json log = get(cluster, "/calls?action=" + action);
  for (const json& call : log["calls"]) {
    if (!call["code"].get<std::string>().empty()) ids.push_back(call["request_id"]);
  }
  return ids;
}

std::uint64_t frames_of(Cluster& cluster, const std::string& counter) {
  std::uint64_t frames = 0;
  for (const json& nic : get(cluster, "/counters")) {
    frames += nic.value(counter, std::uint64_t{0});
  }
  return frames;
}

std::vector<lab::EniOfNode> enis_of(Cluster& cluster, const std::string& node) {
  auto enis = cluster.lab().enis();
  REQUIRE_MESSAGE(enis.ok(), enis.error().message());
  std::erase_if(*enis,
                [&](const auto& eni) { return eni.node != node || eni.type != "Secondary"; });
  return std::move(*enis);
}

std::uint64_t notices(Cluster& cluster, const std::string& kind, const std::string& node) {
  std::uint64_t count = 0;
  for (const auto& notice : cluster.ask<rpc::cli::Status>(node, rpc::cli::kStatusPath).notices) {
    if (notice.kind == kind) count += notice.count;
  }
  return count;
}

rpc::cli::PoolCounts pool_of(Cluster& cluster, const std::string& node) {
  const auto pool = cluster.ask<rpc::cli::Pool>(node, rpc::cli::kPoolPath);
  REQUIRE_FALSE(pool.pools.empty());
  return pool.pools.front();
}

}  // namespace terway::test
