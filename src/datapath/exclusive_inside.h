// SPDX-License-Identifier: Apache-2.0
// What a pod with an ENI of its own has in its namespace, for the files of that mode.
#pragma once

#include <optional>
#include <vector>

#include "datapath/state.h"

namespace terway::datapath {

struct InnerLinks {
  kernel::Link nic;
  std::optional<kernel::Link> peer;  // the pair's end
};

// The NIC among the links of a namespace: by MAC, or by its alias where the pod has changed that.
Result<std::optional<kernel::Link>> find_nic_in(kernel::Socket& socket, const net::Mac& mac);
// Both, in the pod's namespace; nullopt where the NIC is not there.
Result<std::optional<InnerLinks>> find_inner(kernel::Socket& inner, const net::Mac& mac);
// The pod's namespace by its path. NotFound: it is gone, or another one's by now. Unavailable: the
// path says nothing from here.
Result<UniqueFd> open_netns_of(const PodPlan& pod);

// What no message can carry; the calling thread is inside.
Result<> set_inner_sysctls(const PodPlan& pod);
// Addresses, neighbours, routes; `first`: messages that go before the links are up.
Result<> write_inside(Datapath::State& state, const PodPlan& pod, const Nic& nic,
                      const InnerLinks& links, kernel::Socket& inner,
                      std::vector<kernel::Message> first);

// The programs' part (exclusive_programs.cpp). At ADD, before the links are up: says WiredPod::end,
// makes the pod known, and adds what attaches to `messages`. Nothing without a fast path.
Result<> prepare_programs(Datapath::State& state, WiredPod& pod, const Nic& nic,
                          const InnerLinks& links, std::vector<kernel::Message>& messages);

}  // namespace terway::datapath
