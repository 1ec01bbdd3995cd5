// SPDX-License-Identifier: Apache-2.0
// A host and pods' namespaces for measuring.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace terway::bench {

// Moves this thread into a network and a mount namespace of its own, with an empty /run and
// /var/lib/cni. Before any other thread is started.
Result<> enter_own_host();

// Paths of `count` network namespaces with lo up, as a runtime gives them. Those that are there
// already are kept; all of them go with the mount namespace.
Result<std::vector<std::string>> pod_namespaces(std::size_t count, const std::string& name);

// One of them; what lived in it is gone.
Result<std::string> make_pod_namespace(const std::string& name);
void remove_pod_namespace(const std::string& path);

}  // namespace terway::bench
