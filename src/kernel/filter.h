// SPDX-License-Identifier: Apache-2.0
// BPF programs at the two hooks of a link, in direct-action mode (RTM_*TFILTER with the classifier
// `bpf`; net/sched/cls_bpf.c). They live on clsact (qdisc.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/socket.h"

namespace terway::kernel {

// Ingress: what the link receives; for the host end of a veth, what the pod sends.
enum class Hook : std::uint8_t { Ingress, Egress };
std::string_view to_string(Hook hook);

// Ours, among others': the first priority, for what runs before us could let pass what we would
// drop; and a handle that nobody gets who lets the kernel choose (those begin at 1).
inline constexpr std::uint16_t kFilterPriority = 1;
inline constexpr std::uint32_t kFilterHandle = 0x54;

struct Filter {
  int ifindex = 0;
  Hook hook = Hook::Ingress;
  std::uint16_t priority = 0;
  std::uint32_t handle = 0;
  std::string kind;              // "bpf"; below: of that kind only
  std::string name;              // as the one who attached it called it
  std::uint32_t program_id = 0;  // of the kernel's programs
  std::array<std::uint8_t, 8> tag{};

  bool ours() const {
    return kind == "bpf" && priority == kFilterPriority && handle == kFilterHandle;
  }
  bool may_have_been_ours() const { return priority == kFilterPriority && handle == 0; }
  bool operator==(const Filter&) const = default;
};

// nullopt when the message is no filter at a hook (the heads of priorities have no handle). When
// all filters of a priority are removed together, the kernel tells it once, with handle 0.
std::optional<Filter> parse_filter(const MessageView& message);

// Anybody's. Empty where the link has no clsact; NotFound where there is no such link.
Result<std::vector<Filter>> list_filters(Socket& socket, int ifindex, Hook hook);

// Puts the program (a descriptor) there as ours, or in place of ours: at no instant is there none.
// Error Invalid where there is no clsact, or another classifier has our priority.
Message set_filter(int ifindex, Hook hook, int program, std::string_view name);
// Ours; Error NotFound, or Invalid without clsact, when it is not there.
Message delete_filter(int ifindex, Hook hook);

}  // namespace terway::kernel
