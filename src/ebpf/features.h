// SPDX-License-Identifier: Apache-2.0
// What of BPF and its surroundings the running kernel has: by trying, not by its version. Only one
// version counts: older kernels than 5.10 are refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace terway::ebpf {

struct Feature {
  std::string_view name;  // "redirect_peer"
  bool there = false;
  bool required = false;  // without it there is no fast path
  std::string_view use;   // "pods get packets without a detour by the backlog"
};

struct Features {
  std::string kernel;  // "6.12.9-amd64"
  std::vector<Feature> all;

  const Feature* find(std::string_view name) const;
  // Why the datapath's programs cannot be had here; nullopt where they can.
  std::optional<std::string> refusal() const;
};

// Loads and drops small programs, and asks for link and qdisc kinds in a namespace of its own; some
// milliseconds.
Features probe_features();

// As uname(2) has it: "5.10.0-30-amd64" is (5, 10). For tests.
std::optional<std::pair<unsigned, unsigned>> version_of(std::string_view release);

}  // namespace terway::ebpf
