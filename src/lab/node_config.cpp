// SPDX-License-Identifier: Apache-2.0
#include "lab/node_config.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "lab/cloud.h"

namespace terway::lab {

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kCaFile = "/etc/eni/ca.pem";
constexpr const char* kConflist = "/etc/cni/net.d/10-terway.conflist";
constexpr const char* kPlugin = "/opt/cni/bin/terway";

Result<> put(const Node& node, const fs::path& path, const std::string& content, unsigned mode) {
  const fs::path target = node.inside(path);
  std::error_code failed;
  fs::create_directories(target.parent_path(), failed);
  if (failed) {
    return Error::from_errno(failed.value(), fmt::format("make {}", target.parent_path().native()));
  }
  return replace_file(target, content, mode);
}

}  // namespace

std::string eni_conf(const Topology& topology, const NodeTopology& node, const State& state) {
  json conf = {{"version", "1"},
               {"cluster_id", "lab-" + state.name},
               {"node_name", node.name},
               {"ecs_endpoint", state.api_url},
               {"vpc_endpoint", state.api_url},
               {"ca_file", kCaFile},
               {"service_cidr", topology.service_cidr.to_string()},
               {"security_groups", {kSecurityGroup}},
               {"ip_stack", to_string(topology.stack)}};
  json vswitches = json::object();
  for (const std::string& name : node.pod_vswitches) {
    const VSwitchSpec* spec = topology.find_vswitch(name);
    vswitches[spec->zone].push_back(vswitch_id(name));
  }
  conf["vswitches"] = vswitches;
  conf.merge_patch(json::parse(topology.eni_conf));
  return conf.dump(2);
}

Result<> install(const Node& node, const std::string& eni_conf, model::NetworkMode mode,
                 const Paths& paths, const fs::path& plugin) {
  json entry = {{"type", "terway"}, {"capabilities", {{"bandwidth", true}}}};
  if (mode == model::NetworkMode::Ipvlan) entry["eniip_virtual_type"] = "ipvlan";
  if (mode == model::NetworkMode::Exclusive) entry["host_stack_cidrs"] = {"169.254.20.10/32"};
  const json conflist = {
      {"cniVersion", "1.1.0"}, {"name", "terway"}, {"plugins", json::array({entry})}};
  const std::string ca = TRY_WITHIN("the cloud's CA", read_file(paths.cloud_ca()));
  const std::string program = TRY_WITHIN("the plugin", read_file(plugin));
  TRY(put(node, kEniConf, eni_conf, 0600));
  TRY(put(node, kCaFile, ca, 0644));
  TRY(put(node, kPlugin, program, 0755));
  return put(node, kConflist, conflist.dump(2), 0644);
}

}  // namespace terway::lab
