// SPDX-License-Identifier: Apache-2.0
// What is known of a running lab, on disk: every command of terway-lab is a process of its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "lab/process.h"
#include "model/pod.h"
#include "net/address.h"

namespace terway::lab {

// A host that the simulated cloud knows as an instance: a node, or a host outside the cluster.
struct Machine {
  std::string name;
  bool outside = false;
  std::string instance_id;
  std::string instance_type;
  std::string primary_eni_id;
  std::string mac;
  std::vector<std::string> addresses;  // "192.168.0.2/19": of the primary NIC
  std::vector<std::string> gateways;   // one for each address
  std::uint32_t mtu = 1500;
  model::NetworkMode mode = model::NetworkMode::Veth;  // of a node's pods
};

struct State {
  std::string name;
  std::string stack;    // "ipv4", "ipv6", "dual"
  Daemon cloud;         // vpcsim
  std::string api_url;  // as nodes reach it
  std::vector<Machine> machines;

  const Machine* find(const std::string& machine) const;
};

// Directories and files of a lab called `name`, on the host.
class Paths {
 public:
  explicit Paths(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  std::filesystem::path run() const;  // /run/terway-lab/<name>
  std::filesystem::path state() const { return run() / "lab.json"; }
  std::filesystem::path lock() const;  // beside run(), which comes and goes
  std::filesystem::path admin_socket() const { return run() / "vpcsim.sock"; }
  std::filesystem::path cloud_config() const { return run() / "vpcsim.yaml"; }
  std::filesystem::path cloud_log() const { return run() / "vpcsim.log"; }
  std::filesystem::path cloud_ca() const { return run() / "ca.pem"; }
  std::filesystem::path cloud_pid() const { return run() / "vpcsim.pid"; }
  std::filesystem::path disk(const std::string& node) const { return run() / "disk" / node; }

 private:
  std::string name_;
};

// Lower case letters, digits and dashes, 20 at most: it is part of paths, cgroups and host names.
Result<> check_lab_name(const std::string& name);

// NotFound: no such lab is up.
Result<State> load_state(const Paths& paths);
Result<> save_state(const Paths& paths, const State& state);

// Held while a command changes the lab: two at once wait for each other.
class Lock {
 public:
  static Result<Lock> take(const Paths& paths);

 private:
  explicit Lock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace terway::lab
