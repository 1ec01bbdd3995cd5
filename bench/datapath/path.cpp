// SPDX-License-Identifier: Apache-2.0
#include "path.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace terway::bench {

namespace {

constexpr unsigned kFew = 2;
constexpr unsigned kMany = 250;

using Make = std::function<Result<Path>(const std::string& name)>;

const std::vector<std::pair<std::string, Make>>& makers() {
  static const std::vector<std::pair<std::string, Make>> kMakers = {
      {"veth", [](const std::string& name) { return make_terway(name, kFew, Wiring::FastPath); }},
      {"veth-250",
       [](const std::string& name) { return make_terway(name, kMany, Wiring::FastPath); }},
      {"veth-stack",
       [](const std::string& name) { return make_terway(name, kFew, Wiring::Stack); }},
      {"veth-stack-250",
       [](const std::string& name) { return make_terway(name, kMany, Wiring::Stack); }},
      {"same-node", [](const std::string& name) { return make_same_node(name, kFew); }},
      {"upstream", [](const std::string& name) { return make_upstream(name, kFew); }},
      {"upstream-250", [](const std::string& name) { return make_upstream(name, kMany); }},
      {"floor", make_floor},
      {"same-node-floor", make_same_node_floor},
      {"ptp", [](const std::string& name) { return make_ptp(name, kFew); }},
  };
  return kMakers;
}

}  // namespace

Result<Path> make_host() {
  Path path{"host", TRY(make_nodes())};
  for (const Node& node : path.nodes.node) {
    TRY(address_eni(node));
    TRY(switch_offloads_off(node.ns.fd(), kEni));
  }
  path.ends = {path.nodes.node[0].ns.fd(), path.nodes.node[1].ns.fd(),
               path.nodes.node[1].own_address()};
  return path;
}

Result<Path> make_path(const std::string& name) {
  for (const auto& [known, make] : makers()) {
    if (known != name) continue;
    Path path = TRY(make(name));
    for (const int end : {path.ends.client, path.ends.server}) {
      TRY(switch_offloads_off(end, "eth0"));
    }
    return path;
  }
  return Error(Error::Kind::NotFound, "there is no path " + name);
}

const std::vector<std::string>& path_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const auto& [name, make] : makers()) names.push_back(name);
    return names;
  }();
  return kNames;
}

}  // namespace terway::bench
