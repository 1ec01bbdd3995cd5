// SPDX-License-Identifier: Apache-2.0
// The files that an installer would put on a node: terwayd's configuration, the network
// configuration list, the plugin, the CA of the cloud.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "lab/node.h"
#include "lab/state.h"
#include "lab/topology.h"

namespace terway::lab {

inline constexpr const char* kEniConf = "/etc/eni/eni.json";

// The eni_conf of one node, JSON: what the topology says of it, with the topology's own eni_conf
// over that.
std::string eni_conf(const Topology& topology, const NodeTopology& node, const State& state);

Result<> install(const Node& node, const std::string& eni_conf, model::NetworkMode mode,
                 const Paths& paths, const std::filesystem::path& plugin);

}  // namespace terway::lab
