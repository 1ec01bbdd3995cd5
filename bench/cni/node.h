// SPDX-License-Identifier: Apache-2.0
// The node that is measured: one of a lab of its own, with a real terwayd and the simulated cloud.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "lab/lab.h"
#include "phases.h"

namespace terway::bench {

// What of the simulated cloud's settings bears on a burst, as it tells them.
struct CloudSettings {
  double attach_delay_ms = 0;
  double nic_delay_ms = 0;
  double api_latency_ms = 0;
};

class BenchNode {
 public:
  static constexpr const char* kName = "node-1";
  // An instance type with 14 ENIs of 30 addresses for pods.
  static constexpr std::size_t kEnis = 14;
  static constexpr std::size_t kAddressesPerEni = 30;
  enum class Pool : std::uint8_t { Empty, Full };  // at the start; a full one holds every address

  // Takes away what an interrupted run left. The simulated cloud attaches as slowly as it does by
  // default, for an empty pool, and at once to fill one.
  static Result<BenchNode> up(Pool pool);
  BenchNode(BenchNode&&) = default;
  BenchNode& operator=(BenchNode&&) = delete;
  ~BenchNode();

  lab::Lab& lab() { return *lab_; }
  // In the node, in a process of its own.
  Result<Series> run(const std::string& phase) const;
  Result<CloudSettings> cloud_settings() const;
  // Calls that the OpenAPI has had, by action.
  Result<std::map<std::string, unsigned>> cloud_calls() const;
  // Resident memory of terwayd in MiB.
  Result<double> rss_mb() const;

 private:
  BenchNode(lab::Lock lock, lab::Lab lab)
      : lock_(std::move(lock)), lab_(std::make_unique<lab::Lab>(std::move(lab))) {}
  Result<lab::Node> node() const;
  Result<> wait_until_full() const;

  lab::Lock lock_;
  std::unique_ptr<lab::Lab> lab_;
};

}  // namespace terway::bench
