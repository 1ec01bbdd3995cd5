// SPDX-License-Identifier: Apache-2.0
#include "ebpf/program.h"

#include <bpf/bpf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>

namespace terway::ebpf {

std::string_view to_string(Program program) {
  static constexpr std::array<std::string_view, kPrograms> kNames = {
      "pod_egress",    "pod_ingress",    "eni_ingress",      "eni_egress",       "shaper_exit",
      "ipvlan_egress", "ipvlan_ingress", "exclusive_egress", "exclusive_ingress"};
  return kNames[static_cast<std::size_t>(program)];
}

std::string ProgramInfo::tag_text() const {
  std::string text;
  for (const std::uint8_t byte : tag) text += fmt::format("{:02x}", byte);
  return text;
}

Result<ProgramInfo> program_info(int fd) {
  ProgramInfo info;
  bpf_prog_info raw{};
  std::uint32_t size = sizeof(raw);
  if (::bpf_obj_get_info_by_fd(fd, &raw, &size) != 0) {
    return Error::from_errno(errno, "ask about a BPF program");
  }
  info.id = raw.id;
  info.name = raw.name;
  std::copy(std::begin(raw.tag), std::end(raw.tag), info.tag.begin());
  info.instructions = raw.xlated_prog_len / 8;
  info.machine_bytes = raw.jited_prog_len;
  info.map_ids.resize(raw.nr_map_ids);
  bpf_prog_info with_maps{};
  with_maps.nr_map_ids = raw.nr_map_ids;
  with_maps.map_ids = reinterpret_cast<std::uintptr_t>(info.map_ids.data());
  size = sizeof(with_maps);
  if (::bpf_obj_get_info_by_fd(fd, &with_maps, &size) != 0) {
    return Error::from_errno(errno, "ask which maps a BPF program uses");
  }
  info.map_ids.resize(std::min<std::size_t>(info.map_ids.size(), with_maps.nr_map_ids));
  return info;
}

}  // namespace terway::ebpf
