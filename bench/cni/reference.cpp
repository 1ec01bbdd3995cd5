// SPDX-License-Identifier: Apache-2.0
#include "reference.h"

#include <fmt/core.h>

namespace terway::bench {

Result<Reference> reference_plugins(const std::vector<std::string>& namespaces) {
  const std::string config =
      R"({"cniVersion":"1.0.0","name":"bench","type":"ptp",)"
      R"("ipam":{"type":"host-local","subnet":"10.99.0.0/16","dataDir":"/run/ipam"}})";
  std::vector<PluginCall> adds;
  std::vector<PluginCall> dels;
  for (std::size_t i = 0; i < namespaces.size(); ++i) {
    const std::string container = fmt::format("bench{}", i);
    adds.push_back(call_of("/usr/lib/cni/ptp", "ADD", config, namespaces[i], container));
    dels.push_back(call_of("/usr/lib/cni/ptp", "DEL", config, namespaces[i], container));
  }
  Reference reference;
  reference.add = TRY(all_succeeded(measure(adds, 1), "ptp ADD"));
  reference.del = TRY(all_succeeded(measure(dels, 1), "ptp DEL"));
  return reference;
}

}  // namespace terway::bench
