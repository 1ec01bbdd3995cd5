// SPDX-License-Identifier: Apache-2.0
// The lab's side of the simulated cloud: its configuration, its start, and what the lab asks it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "lab/matrix.h"
#include "lab/primary_nic.h"
#include "lab/process.h"
#include "lab/state.h"
#include "lab/topology.h"

namespace terway::lab {

// As the simulated cloud tells.
struct EniOfNode {
  std::string node;  // empty: attached to nothing
  std::string id;
  std::string type;    // "Primary", "Secondary"
  std::string status;  // "InUse", …
  std::string vswitch;
  std::string mac;
  std::vector<std::string> addresses;
};

// The YAML that `vpcsim serve --config` reads.
std::string cloud_config(const Topology& topology);
// The id that a vSwitch of the topology has in the cloud.
std::string vswitch_id(const std::string& name);
inline constexpr const char* kSecurityGroup = "sg-lab";

// Starts vpcsim and waits until it answers.
Result<Daemon> start_cloud(const Paths& paths, const Topology& topology,
                           const std::filesystem::path& program);

// For one thread.
class Cloud {
 public:
  explicit Cloud(const Paths& paths) : socket_(paths.admin_socket()) {}

  // A new instance whose primary NIC appears in this namespace.
  Result<Machine> add_instance(const std::string& name, bool outside, const std::string& type,
                               const std::string& vswitch, IpStack stack,
                               const std::string& netns_path) const;
  // It is on again, in this namespace; an empty one: it is off.
  Result<> boot_instance(const Machine& machine, const std::string& netns_path) const;
  Result<std::vector<EniOfNode>> enis(const State& state) const;
  Result<DropCounts> drops() const;

 private:
  std::filesystem::path socket_;
};

Result<PrimaryNic> primary_nic_of(const Machine& machine);

}  // namespace terway::lab
