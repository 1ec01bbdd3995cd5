// SPDX-License-Identifier: Apache-2.0
// A lab for one test: built with the test's topology, gone with the test, also when it fails.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "http/client.h"
#include "lab/lab.h"
#include "rpc/cli_api.h"

namespace terway::test {

// A small, quick region: attaching takes 100 ms instead of seconds.
struct Shape {
  std::size_t nodes = 1;
  std::uint32_t pods = 0;  // on each node
  std::string instance_type = "ecs.g7.xlarge";
  std::string mode = "veth";  // of its pods' interfaces
  std::string ip_stack = "ipv4";
  std::string pod_cidr = "192.168.32.0/19";
  std::string second_pod_cidr;  // another vSwitch for pods
  std::string eni_conf = "{}";  // laid over the node's own
  std::string cloud = "{}";     // settings of vpcsim
};

// One run of the CNI plugin, as a runtime would do it.
struct PluginCall {
  std::string command;
  std::string container_id;
  std::string netns;  // a path inside the node
  std::string ifname = "eth0";
  std::string pod;     // "namespace/name": goes into CNI_ARGS
  std::string config;  // keys laid over the network configuration: a JSON object
};

class Cluster {
 public:
  explicit Cluster(const Shape& shape);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  lab::Lab& lab() { return *lab_; }
  const std::string& name() const { return name_; }

  // Each fails the test where the lab says no.
  lab::PodOnNode add_pod(const std::string& name, const std::string& node = "node-1");
  // As kubelet does: again after each refusal, until it comes up. Where a refusal is no fault: the
  // cloud misbehaves, or the test gives an ADD little time.
  lab::PodOnNode add_pod_at_last(const std::string& name, const std::string& node = "node-1");
  void delete_pod(const std::string& name);
  // Of the node's terwayd, by its CLI socket.
  template <class T>
  T ask(const std::string& node, const std::string& path) {
    return *rpc::cli::decode<T>(ask_text(node, path));
  }
  std::string ask_text(const std::string& node, const std::string& path);
  // The admin API of the cloud.
  std::string cloud_get(const std::string& path);
  std::string cloud_post(const std::string& path, const std::string& json);
  void cloud_delete(const std::string& path);
  // A shell script inside the node; its output without trailing white space.
  std::string on_node(const std::string& node, const std::string& script);
  lab::Completed plugin(const std::string& node, const PluginCall& call);

  // The node's daemon starts anew under strace, to be killed at the Nth call of one kind that any
  // of its threads makes, while a pod comes and goes; it starts again after that. Whether it came
  // to the Nth call.
  bool killed_at(const std::string& node, const std::string& call, int nth);

  // Every probe of the matrix gets through.
  void check_matrix();
  // The same after something broke the network: it heals until a generous deadline.
  void check_matrix_heals();
  // Waits (generously) until the audit has nothing to say.
  void check_audit();

 private:
  std::string name_;
  std::optional<lab::Lab> lab_;
};

// What of "cloud = journal = kernel = pods" does not hold at this moment; empty when all does.
std::vector<std::string> audit(Cluster& cluster);

// Until it is true, or a generous deadline passes: then false.
bool eventually(const std::function<bool()>& condition,
                Duration deadline = std::chrono::seconds(60));

}  // namespace terway::test
