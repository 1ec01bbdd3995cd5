// SPDX-License-Identifier: Apache-2.0
// A host and pods' namespaces for measuring, gone with the process.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace terway::bench {

// Moves this thread into a network and a mount namespace of its own, with an empty /run and
// /var/lib/cni. Before any other thread is started.
Result<> enter_own_host();

// Network namespaces with lo up, each with a path as a runtime gives it.
class PodNamespaces {
 public:
  static Result<PodNamespaces> make(std::size_t count, const std::string& name);
  PodNamespaces(PodNamespaces&&) = default;
  PodNamespaces& operator=(PodNamespaces&&) = delete;
  ~PodNamespaces();

  const std::vector<std::string>& paths() const { return paths_; }

 private:
  PodNamespaces() = default;
  std::vector<std::string> paths_;
};

}  // namespace terway::bench
