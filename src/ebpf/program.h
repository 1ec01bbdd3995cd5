// SPDX-License-Identifier: Apache-2.0
// The datapath's programs by name, and what the kernel says of one.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace terway::ebpf {

// Of bpf/datapath.bpf.c.
enum class Program : std::uint8_t {
  PodEgress,
  PodIngress,
  EniIngress,
  EniEgress,
  ShaperExit,
  IpvlanEgress,
  IpvlanIngress,
  ExclusiveEgress,
  ExclusiveIngress,
};
inline constexpr std::size_t kPrograms = 9;
// "pod_egress".
std::string_view to_string(Program program);

struct ProgramInfo {
  std::uint32_t id = 0;
  std::string name;                   // the kernel keeps 15 characters
  std::array<std::uint8_t, 8> tag{};  // of its instructions; what maps it uses does not count
  std::uint32_t instructions = 0;     // after verification; 0 where the kernel does not tell
  std::uint32_t machine_bytes = 0;    // compiled; 0 without a JIT
  std::vector<std::uint32_t> map_ids;

  std::string tag_text() const;  // 16 hex digits, as bpftool shows it
};
Result<ProgramInfo> program_info(int fd);

}  // namespace terway::ebpf
