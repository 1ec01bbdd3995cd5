// SPDX-License-Identifier: Apache-2.0
// A detour: everything that passes a hook of a link goes through another one, an ifb, and comes
// back to where it was, behind the hook (net/sched/act_mirred.c, drivers/net/ifb.c: what has been
// there once is not classified again). It needs only the classifier u32 and the action mirred, and
// stands behind the programs of filter.h: what they let pass (TC_ACT_UNSPEC) takes it, what they
// drop or redirect does not.
#pragma once

#include <cstdint>
#include <optional>

#include "kernel/filter.h"
#include "kernel/socket.h"

namespace terway::kernel {

// Each hook has a priority of its own: asked for the filters of one, u32 tells those of all hooks
// of the link that have the same (u32_walk() goes through what clsact's two blocks share).
inline constexpr std::uint16_t kIngressDetourPriority = 2;
inline constexpr std::uint16_t kEgressDetourPriority = 3;

struct Detour {
  int through = 0;           // ifindex; 0 when that link is gone: then what passes is dropped
  std::uint32_t handle = 0;  // the kernel's name for it
};
// Ours; nullopt where there is none, or no clsact.
Result<std::optional<Detour>> find_detour(Socket& socket, int ifindex, Hook hook);
// Makes one (`handle` 0), or leads the one of that handle elsewhere: at no instant is there none.
Message set_detour(int ifindex, Hook hook, int through, std::uint32_t handle);
// Error NotFound, or Invalid without clsact, when there is none.
Message delete_detour(int ifindex, Hook hook);

}  // namespace terway::kernel
