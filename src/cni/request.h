// SPDX-License-Identifier: Apache-2.0
// One call of a runtime, understood: environment and network configuration as values, or the CNI
// error that says which variable or key is wrong. SPEC 1.1.0, sections 1 to 3; conventions for
// CNI_ARGS and runtimeConfig from CONVENTIONS.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cni/command.h"
#include "cni/failure.h"
#include "cni/result.h"
#include "cni/version.h"
#include "model/pod.h"
#include "net/address.h"

namespace terway::cni {

// eniip_virtual_type: how a pod of a shared ENI is wired. DatapathV2 is veth with the fast path.
enum class VirtualType : std::uint8_t { Veth, DatapathV2, Ipvlan };

// symmetric_routing_config: with upstream's numbers where none are given.
struct SymmetricRouting {
  bool enabled = false;
  std::string interface = "eth0";
  std::uint32_t mark = 0x10;
  std::uint32_t mask = 0x10;
  std::uint32_t table = 100;
  std::uint32_t rule_priority = 600;
  std::string comment = "terway-symmetric";

  bool operator==(const SymmetricRouting&) const = default;
};

struct NetworkConfig {
  Version version = Version::V110;
  std::string name;
  std::string type;
  std::uint32_t mtu = 0;  // 0: that of the ENI
  VirtualType virtual_type = VirtualType::Veth;
  std::vector<net::Prefix> host_stack_cidrs;
  bool disable_host_peer = false;
  bool network_priority = false;  // enable_network_priority
  bool debug = false;
  SymmetricRouting symmetric_routing;
  Dns dns;  // runtimeConfig.dns where the runtime gives one, else the configuration's

  bool operator==(const NetworkConfig&) const = default;
};

struct PortMapping {
  std::uint16_t host_port = 0;
  std::uint16_t container_port = 0;
  std::string protocol = "tcp";
  std::string host_ip;  // may be empty

  bool operator==(const PortMapping&) const = default;
};

// The capability arguments that have a meaning for an interface plugin.
struct RuntimeConfig {
  model::Bandwidth bandwidth;
  // Of its values those that are none, one sentence each: what becomes of the pod is the daemon's
  // choice (key `invalid_bandwidth`); the direction is unlimited here.
  std::vector<std::string> bandwidth_problems;
  // From the pod's annotations, where `enable_network_priority` is on; a bad one is None, and told.
  model::NetworkPriority priority = model::NetworkPriority::None;
  std::string priority_problem;
  std::vector<PortMapping> port_mappings;
  std::vector<std::string> ips;
  std::string mac;

  bool operator==(const RuntimeConfig&) const = default;
};

struct Request {
  Command command = Command::Add;
  model::AttachmentKey key;  // empty for GC and STATUS
  std::string netns_path;
  model::Pod pod;                  // from CNI_ARGS; its owner_kind from K8S_POD_OWNER_KIND
  std::string infra_container_id;  // K8S_POD_INFRA_CONTAINER_ID
  NetworkConfig config;
  RuntimeConfig runtime;
  std::optional<AddResult> previous;  // prevResult; CHECK has one always
  // GC: what is still in use. nullopt when the runtime did not say, so that nothing can be stale.
  std::optional<std::vector<model::AttachmentKey>> valid_attachments;
  // Keys with their values whose feature does not exist yet: an ADD is refused with them.
  std::vector<std::string> unserved_keys;
  // For the log, one sentence each: keys that are unknown or have no effect.
  std::vector<std::string> warnings;
};

// What the plugin found in its environment, and its standard input.
struct Call {
  Command command = Command::Add;
  std::string_view container_id;
  std::string_view netns_path;
  std::string_view ifname;
  std::string_view args;
  std::string_view config;
};

// Never throws and takes any bytes. DEL and GC are forgiving: they have to work when the
// configuration has changed since ADD, so a bad value is a warning there.
std::variant<Request, Failure> parse_request(const Call& call);

}  // namespace terway::cni
