// SPDX-License-Identifier: Apache-2.0
// The lab's stand-in for kubelet and containerd. It runs inside a node: makes a pod's network
// namespace, calls the CNI plugins, starts what the pod runs, and undoes it all.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/cni_chain.h"
#include "net/address.h"

namespace terway::lab {

struct PodSpec {
  std::string namespace_ = "default";
  std::string name;
  std::string uid;         // made up where empty
  std::string owner_kind;  // "StatefulSet", …
  std::map<std::string, std::string> capabilities;
};

// A pod's sandbox as the runtime remembers it, on disk: it survives a reboot of the node.
struct Sandbox {
  PodSpec pod;
  std::string container_id;
  std::string netns;                      // inside the node: "/run/netns/cni-…"
  pid_t pid = 0;                          // of what the pod runs, in the node's pid namespace
  std::vector<net::IpAddress> addresses;  // from the CNI result
  std::string result;                     // the CNI result, JSON
};

struct RuntimePaths {
  std::filesystem::path conf_dir = "/etc/cni/net.d";
  std::vector<std::filesystem::path> bin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
  std::filesystem::path cache_dir = "/var/lib/cni";
  std::filesystem::path state_dir = "/var/lib/terway-lab/sandboxes";
  std::filesystem::path netns_dir = "/run/netns";
  // What every pod runs: this program, told to echo.
  std::filesystem::path echo_program;
};

class Runtime {
 public:
  explicit Runtime(RuntimePaths paths) : paths_(std::move(paths)) {}

  // A new sandbox for the pod. Exists where it has one. On failure nothing is left: DEL has been
  // called and the namespace is gone.
  Result<Sandbox> add(const PodSpec& pod) const;
  // Ends the process, calls DEL, removes the namespace. Kept for another try where DEL fails.
  Result<> remove(const std::string& namespace_, const std::string& name) const;
  Result<std::vector<Sandbox>> list() const;
  Result<> check(const std::string& namespace_, const std::string& name) const;
  Result<> gc() const;
  Result<> status() const;
  // After a reboot: DEL for the sandboxes of the former boot (their namespaces are gone), new ones
  // for their pods.
  Result<> recover() const;

 private:
  Result<CniChain> chain() const;
  Result<Sandbox> start(Sandbox sandbox) const;
  CniCall call_of(const Sandbox& sandbox) const;
  std::filesystem::path file_of(const std::string& namespace_, const std::string& name) const;
  Result<Sandbox> read(const std::filesystem::path& file) const;
  Result<> write(const Sandbox& sandbox) const;

  RuntimePaths paths_;
};

std::string to_json(const Sandbox& sandbox);
Result<Sandbox> sandbox_from_json(std::string_view text);

}  // namespace terway::lab
