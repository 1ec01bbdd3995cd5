// SPDX-License-Identifier: Apache-2.0
// The file systems of a node, made by its pid 1 in a mount namespace of its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/cgroup.h"

namespace terway::lab {

// /etc, /opt and /var are the host's with the node's changes over them (kept in `disk`, they
// survive a reboot); /run is empty; /proc, /sys, /sys/fs/bpf and the cgroup tree are the node's
// own; the boot id is `boot_id`. Call in new mount, pid, net and cgroup namespaces.
Result<> mount_node(const std::filesystem::path& disk, const std::string& boot_id,
                    const std::vector<Hierarchy>& hierarchies);

}  // namespace terway::lab
