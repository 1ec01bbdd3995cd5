// SPDX-License-Identifier: Apache-2.0
#include "cni/config_reader.h"

#include <fmt/core.h>

#include <limits>

#include "cni/names.h"
#include "model/bandwidth.h"

namespace terway::cni {

namespace {

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMax63 = std::numeric_limits<std::int64_t>::max();

void set32(std::uint32_t& into, std::optional<std::uint64_t> number) {
  if (number) into = static_cast<std::uint32_t>(*number);
}

void read_dns(const Json& object, const std::string& path, Problems& problems, Dns& dns) {
  Keys keys(object, path, problems);
  keys.texts("nameservers", dns.nameservers);
  keys.text("domain", dns.domain);
  keys.texts("search", dns.search);
  keys.texts("options", dns.options);
  keys.finish();
}

void read_interface(const Json& object, const std::string& path, Problems& problems,
                    AddResult& result) {
  Keys keys(object, path, problems);
  Interface interface;
  keys.text("name", interface.name);
  keys.text("mac", interface.mac);
  set32(interface.mtu, keys.number("mtu", 0, kMax32));
  keys.text("sandbox", interface.sandbox);
  keys.text("socketPath", interface.socket_path);
  keys.text("pciID", interface.pci_id);
  result.interfaces.push_back(std::move(interface));
}

void read_ip(const Json& object, const std::string& path, Problems& problems, AddResult& result) {
  Keys keys(object, path, problems);
  IpConfig ip;
  keys.prefix("address", ip.address);
  keys.address("gateway", ip.gateway);
  if (const auto index = keys.number("interface", 0, kMax32)) {
    ip.interface = static_cast<std::uint32_t>(*index);
  }
  if (!keys.has("address")) problems.errors.push_back(path + "address is missing");
  result.ips.push_back(ip);
}

void read_route(const Json& object, const std::string& path, Problems& problems,
                AddResult& result) {
  Keys keys(object, path, problems);
  RouteConfig route;
  keys.prefix("dst", route.destination);
  keys.address("gw", route.gateway);
  set32(route.mtu, keys.number("mtu", 0, kMax32));
  set32(route.advmss, keys.number("advmss", 0, kMax32));
  set32(route.priority, keys.number("priority", 0, kMax32));
  if (const auto table = keys.number("table", 0, kMax32)) {
    route.table = static_cast<std::uint32_t>(*table);
  }
  if (const auto scope = keys.number("scope", 0, 255)) {
    route.scope = static_cast<std::uint8_t>(*scope);
  }
  if (!keys.has("dst")) problems.errors.push_back(path + "dst is missing");
  result.routes.push_back(route);
}

template <class Read>
void read_list(Keys& keys, const char* key, const std::string& path, Problems& problems,
               Read read) {
  const Json* list = keys.array(key);
  if (list == nullptr) return;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string place = fmt::format("{}{}[{}]", path, key, i);
    if ((*list)[i].is_object()) {
      read((*list)[i], place + ".");
    } else {
      problems.errors.push_back(
          fmt::format("{}: {} is not allowed: an object", place, shown((*list)[i])));
    }
  }
}

// Other plugins' results may carry keys of their own, so nothing is warned about.
AddResult read_result(const Json& object, Problems& problems) {
  const std::string path = "prevResult.";
  AddResult result;
  Keys keys(object, path, problems);
  read_list(keys, "interfaces", path, problems, [&](const Json& part, const std::string& place) {
    read_interface(part, place, problems, result);
  });
  read_list(keys, "ips", path, problems, [&](const Json& part, const std::string& place) {
    read_ip(part, place, problems, result);
  });
  read_list(keys, "routes", path, problems, [&](const Json& part, const std::string& place) {
    read_route(part, place, problems, result);
  });
  if (const Json* dns = keys.object("dns")) read_dns(*dns, path + "dns.", problems, result.dns);
  return result;
}

void read_bandwidth(const Json& object, Problems& problems, RuntimeConfig& runtime) {
  const std::string path = "runtimeConfig.bandwidth.";
  Problems own;
  Keys keys(object, path, own);
  const auto rate = [&](const char* key, std::uint64_t& into) {
    const auto number = keys.number(key, 0, kMax63);
    if (!number) return;
    if (const auto problem = model::rate_problem(*number)) {
      own.errors.push_back(path + key + ": " + *problem);
    } else {
      into = *number;
    }
  };
  rate("ingressRate", runtime.bandwidth.ingress);
  rate("egressRate", runtime.bandwidth.egress);
  // A burst follows from its rate here: runtimes give 2^31 bits, seconds without a limit.
  keys.skip("ingressBurst");
  keys.skip("egressBurst");
  keys.finish();
  runtime.bandwidth_problems = std::move(own.errors);
  for (auto& warning : own.warnings) problems.warnings.push_back(std::move(warning));
}

// The annotations that a runtime passes on (containerd's capability of that name).
void read_priority(const Json& annotations, RuntimeConfig& runtime) {
  constexpr const char* kKey = "k8s.aliyun.com/network-priority";
  const auto found = annotations.find(kKey);
  if (found == annotations.end()) return;
  const auto priority = found->is_string()
                            ? model::network_priority_from(found->get_ref<const std::string&>())
                            : std::nullopt;
  if (priority) {
    runtime.priority = *priority;
  } else {
    runtime.priority_problem = fmt::format(
        "{}: {} is not allowed: guaranteed, burstable, best-effort", kKey, shown(*found));
  }
}

void read_port_mapping(const Json& object, const std::string& path, Problems& problems,
                       RuntimeConfig& runtime) {
  Keys keys(object, path, problems);
  PortMapping mapping;
  if (const auto port = keys.number("hostPort", 0, 65535)) {
    mapping.host_port = static_cast<std::uint16_t>(*port);
  }
  if (const auto port = keys.number("containerPort", 1, 65535)) {
    mapping.container_port = static_cast<std::uint16_t>(*port);
  }
  keys.text("protocol", mapping.protocol);
  keys.text("hostIP", mapping.host_ip);
  keys.finish();
  // Kubernetes passes every container port; only those with a host port are mapped.
  if (mapping.host_port != 0) runtime.port_mappings.push_back(std::move(mapping));
}

void read_runtime(const Json& object, Request& request, Problems& problems) {
  const std::string path = "runtimeConfig.";
  Keys keys(object, path, problems);
  if (const Json* bandwidth = keys.object("bandwidth")) {
    read_bandwidth(*bandwidth, problems, request.runtime);
  }
  read_list(keys, "portMappings", path, problems, [&](const Json& part, const std::string& place) {
    read_port_mapping(part, place, problems, request.runtime);
  });
  keys.texts("ips", request.runtime.ips);
  keys.text("mac", request.runtime.mac);
  if (const Json* dns = keys.object("dns")) {
    Keys inner(*dns, "runtimeConfig.dns.", problems);
    Dns given;
    inner.texts("servers", given.nameservers);
    inner.texts("searches", given.search);
    inner.texts("options", given.options);
    inner.finish();
    if (!given.empty()) request.config.dns = std::move(given);
  }
  keys.skip("cgroupPath");
  const Json* annotations = keys.object("io.kubernetes.cri.pod-annotations");
  if (annotations != nullptr && request.config.network_priority) {
    read_priority(*annotations, request.runtime);
  }
  keys.finish();
}

void read_symmetric_routing(Keys& keys, Problems& problems, SymmetricRouting& routing) {
  keys.flag("symmetric_routing", routing.enabled);
  const Json* object = keys.object("symmetric_routing_config");
  if (object == nullptr) return;
  Keys inner(*object, "symmetric_routing_config.", problems);
  inner.text("interface", routing.interface);
  if (!is_ifname(routing.interface.data(), routing.interface.size())) {
    problems.errors.push_back(
        fmt::format("symmetric_routing_config.interface: \"{}\" is not allowed: the name of a "
                    "network interface",
                    routing.interface));
  }
  set32(routing.mark, inner.number("mark", 1, kMax32));
  set32(routing.mask, inner.number("mask", 1, kMax32));
  set32(routing.table, inner.number("table_id", 1, kMax32));
  set32(routing.rule_priority, inner.number("rule_priority", 1, 32765));
  inner.text("comment", routing.comment);
  // Ours is one way for both, by netlink.
  inner.word("backend", {"iptables", "nftables"});
  inner.finish();
}

void read_mtu(Keys& keys, Problems& problems, NetworkConfig& config) {
  set32(config.mtu, keys.number("mtu", 0, 65535));
  if (config.mtu != 0 && config.mtu < 576) {
    problems.errors.push_back(fmt::format(
        "mtu: {} is not allowed: 0 (that of the ENI), or a number from 576 to 65535", config.mtu));
  }
  bool automatic = false;
  keys.flag("auto_mtu", automatic);
}

// Keys that upstream has, and whose meaning ours has in another way.
void read_without_effect(Keys& keys, Problems& problems) {
  keys.word("network_policy_provider", {"iptables", "ebpf"});
  keys.word("bandwidth_mode", {"tc", "edt"});
  std::string prefix = "cali";
  keys.text("veth_prefix", prefix);
  if (prefix != "cali") {
    problems.warnings.push_back(
        fmt::format("veth_prefix: {} has no effect: host links are named cali…", prefix));
  }
  for (const char* key : {"cilium_args", "cilium_enable_hubble", "cilium_hubble_metrics",
                          "cilium_hubble_listen_address", "cilium_hubble_metrics_server"}) {
    if (keys.has(key)) {
      problems.warnings.push_back(
          fmt::format("{} has no effect: there is no Cilium beside this daemon", key));
    }
    keys.skip(key);
  }
  for (const char* key :
       {"cniVersion", "cniVersions", "capabilities", "args", "disableCheck", "disableGC",
        "loadOnlyInlinedPlugins", "daemon_socket", "tombstone_directory"}) {
    keys.skip(key);
  }
  for (const char* key : {"ipam", "ipMasq"}) {
    if (keys.has(key)) {
      problems.warnings.push_back(
          fmt::format("{} has no effect: addresses are the VPC's, and nothing is NATed", key));
    }
    keys.skip(key);
  }
}

void read_valid_attachments(Keys& keys, Request& request, Problems& problems) {
  // The second name is that of the specification's first edition; libcni sends both.
  for (const char* key : {"cni.dev/valid-attachments", "cni.dev/attachments"}) {
    const bool told = keys.has(key) && !request.valid_attachments;
    if (told) request.valid_attachments.emplace();  // null is Go's empty list
    read_list(keys, key, "", problems, [&](const Json& part, const std::string& place) {
      Keys inner(part, place, problems);
      model::AttachmentKey valid;
      inner.text("containerID", valid.container_id);
      inner.text("ifname", valid.ifname);
      if (valid.container_id.empty() || valid.ifname.empty()) {
        problems.errors.push_back(place + "containerID and ifname are both needed");
      }
      if (told) request.valid_attachments->push_back(std::move(valid));
    });
  }
}

}  // namespace

void read_config(const Json& document, Request& request, Problems& problems) {
  NetworkConfig& config = request.config;
  Keys keys(document, "", problems);
  keys.text("name", config.name);
  if (!is_container_id(config.name.data(), config.name.size())) {
    problems.errors.push_back(
        fmt::format("name: \"{}\" is not allowed: a letter or digit, then those, '_', '.' and '-'",
                    config.name));
  }
  keys.text("type", config.type);
  read_mtu(keys, problems, config);
  if (const auto type = keys.word("eniip_virtual_type", {"veth", "datapathv2", "ipvlan"})) {
    config.virtual_type = static_cast<VirtualType>(*type);
  }
  keys.prefixes("host_stack_cidrs", config.host_stack_cidrs);
  keys.flag("disable_host_peer", config.disable_host_peer);
  keys.flag("debug", config.debug);
  if (keys.word("vlan_strip_type", {"filter", "vlan"}) == 1) {
    request.unserved_keys.emplace_back("vlan_strip_type: \"vlan\" needs ENI trunking");
  }
  keys.flag("enable_network_priority", config.network_priority);
  read_symmetric_routing(keys, problems, config.symmetric_routing);
  read_without_effect(keys, problems);
  if (const Json* dns = keys.object("dns")) read_dns(*dns, "dns.", problems, config.dns);
  if (const Json* runtime = keys.object("runtimeConfig")) {
    read_runtime(*runtime, request, problems);
  }
  if (const Json* previous = keys.object("prevResult")) {
    request.previous = read_result(*previous, problems);
  }
  read_valid_attachments(keys, request, problems);
  keys.finish();
}

}  // namespace terway::cni
