// SPDX-License-Identifier: Apache-2.0
// Faults of the simulated cloud, and what its log of calls says of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster.h"

namespace terway::test {

// In force while it lives.
class Fault {
 public:
  // `json`: as the admin API takes it (docs/formats/vpcsim-admin.md).
  Fault(Cluster& cluster, const std::string& json);
  // Says nothing of a failure: it may be one that destroys it.
  ~Fault();
  Fault(const Fault&) = delete;
  Fault& operator=(const Fault&) = delete;

  std::uint64_t struck() const;
  // What it held goes on.
  void clear();

 private:
  Cluster& cluster_;
  std::string id_;
};

struct CallCount {
  std::uint64_t total = 0;
  std::uint64_t failed = 0;
};
// Of this action since the log was last cleared.
CallCount calls_of(Cluster& cluster, const std::string& action);
// The RequestIds of all calls of this action that failed.
std::vector<std::string> failed_requests(Cluster& cluster, const std::string& action);

// Frames that the fabric has counted by this name ("too_big"), of all NICs.
std::uint64_t frames_of(Cluster& cluster, const std::string& counter);

// The node's secondary ENIs as the cloud has them.
std::vector<lab::EniOfNode> enis_of(Cluster& cluster, const std::string& node = "node-1");
// How often the daemon has said this kind of notice.
std::uint64_t notices(Cluster& cluster, const std::string& kind,
                      const std::string& node = "node-1");
rpc::cli::PoolCounts pool_of(Cluster& cluster, const std::string& node = "node-1");

}  // namespace terway::test
