// SPDX-License-Identifier: Apache-2.0
// The programs on NICs in pods' namespaces. A pod with CAP_NET_ADMIN can take them off. The kernel
// tells of that at once, by events of every namespace that has a number in the node's (which keeps
// none of them alive), and each resync looks as well: they are put back, and it is told.
#include <fmt/core.h>

#include <algorithm>

#include "datapath/exclusive.h"
#include "datapath/exclusive_inside.h"
#include "datapath/names.h"
#include "datapath/programs.h"
#include "kernel/netns.h"

namespace terway::datapath {

namespace {

PodEnd end_of(const WiredPod& pod, const Nic& nic, const InnerLinks& links) {
  PodEnd end = pod.end.value_or(PodEnd{});
  end.mode = abi::MODE_EXCLUSIVE;
  end.ifindex = links.nic.ifindex;
  end.mac = nic.plan.mac;
  end.mtu = links.nic.mtu;
  end.peer_ifindex = pod.ifindex;
  end.peer_inner_ifindex = links.peer ? links.peer->ifindex : 0;
  end.peer_mac = pod_mac_of(pod.plan.key);
  return end;
}

// From the entry that the programs go by, where the namespace cannot be seen.
Result<std::optional<PodEnd>> recalled_end(const Datapath::State& state, const PodPlan& pod) {
  for (const net::IpAddress& address : pod.addresses) {
    const auto entry = TRY(state.fast_path->object().endpoints.find(to_abi(address)));
    if (!entry || entry->mode != abi::MODE_EXCLUSIVE) continue;
    PodEnd end;
    end.mode = abi::MODE_EXCLUSIVE;
    end.ifindex = static_cast<int>(entry->ifindex);
    std::copy(std::begin(entry->mac), std::end(entry->mac), end.mac.bytes.begin());
    end.mtu = entry->mtu;
    end.peer_ifindex = static_cast<int>(entry->peer_ifindex);
    end.peer_inner_ifindex = static_cast<int>(entry->peer_inner_ifindex);
    end.peer_mac = pod_mac_of(pod.key);
    return std::optional<PodEnd>(end);
  }
  return std::optional<PodEnd>();
}

Result<bool> has_ours(kernel::Socket& inner, int ifindex) {
  for (const kernel::Hook hook : {kernel::Hook::Ingress, kernel::Hook::Egress}) {
    const auto there = TRY(kernel::list_filters(inner, ifindex, hook));
    if (std::none_of(there.begin(), there.end(), [](const auto& one) { return one.ours(); })) {
      return false;
    }
  }
  return true;
}

Result<> look_into(Datapath::State& state, WiredPod& pod, const Nic& nic, Drift& drift) {
  const std::string who = pod.plan.pod.to_string();
  const auto netns = open_netns_of(pod.plan);
  if (!netns.ok()) {
    if (!pod.end) pod.end = TRY(recalled_end(state, pod.plan));
    if (!netns.is(Error::Kind::NotFound)) {
      drift.what.push_back(
          fmt::format("pod {}: its programs are not watched: {}", who, netns.error().message()));
    }
    return Ok{};
  }
  auto inner = TRY(kernel::Socket::open_in(netns->get(), kernel::Protocol::Route));
  const auto links = TRY(find_inner(inner, nic.plan.mac));
  if (!links) {
    pod.end.reset();
    drift.what.push_back(fmt::format("pod {}: its NIC is not in its namespace", who));
    return Ok{};
  }
  TRY(kernel::number_netns(state.route, netns->get()));
  pod.end = end_of(pod, nic, *links);
  if (!TRY(has_ours(inner, links->nic.ifindex))) drift.tampered.push_back(pod.plan.pod);
  const Attachment wanted[] = {
      {ebpf::Program::ExclusiveIngress, links->nic.ifindex, kernel::Hook::Ingress},
      {ebpf::Program::ExclusiveEgress, links->nic.ifindex, kernel::Hook::Egress}};
  return state.fast_path->attach(inner, wanted, drift);
}

}  // namespace

Result<> prepare_programs(Datapath::State& state, WiredPod& pod, const Nic& nic,
                          const InnerLinks& links, std::vector<kernel::Message>& messages) {
  if (!state.fast_path) return Ok{};
  const int ifindex = links.nic.ifindex;
  // The programs know a pod by its NIC's number.
  for (const auto& [key, other] : state.pods) {
    const bool taken = key != pod.plan.key && other.end && other.end->mode == abi::MODE_EXCLUSIVE &&
                       other.end->ifindex == ifindex;
    if (!taken) continue;
    return Error(Error::Kind::Unavailable,
                 fmt::format("the NIC has the number {} there, as the one of pod {}: to choose "
                             "another, Linux 5.13 is needed",
                             ifindex, key.to_string()));
  }
  pod.end = end_of(pod, nic, links);
  TRY(state.fast_path->write_pod(pod_entry(state, pod)));
  state.fast_path->attach_new(ifindex, ebpf::Program::ExclusiveIngress,
                              ebpf::Program::ExclusiveEgress, messages);
  return Ok{};
}

Result<> look_into_pods(Datapath::State& state, Drift& drift) {
  if (!state.fast_path) return Ok{};
  for (auto& [key, pod] : state.pods) {
    const auto nic = state.nics.find(pod.plan.eni_id);
    if (pod.plan.mode != model::NetworkMode::Exclusive || nic == state.nics.end()) continue;
    // One pod's trouble is no other's.
    if (const auto looked = look_into(state, pod, nic->second, drift); !looked.ok()) {
      drift.what.push_back(
          fmt::format("pod {}: {}", pod.plan.pod.to_string(), looked.error().to_string()));
    }
  }
  return Ok{};
}

Result<bool> hears_of_pods(Datapath::State& state) {
  if (!state.pods_monitor) return false;
  const auto batch = TRY(state.pods_monitor->read());
  if (!state.fast_path) return false;
  const auto is_nic = [&](int ifindex) {
    return std::any_of(state.pods.begin(), state.pods.end(), [&](const auto& entry) {
      const auto& end = entry.second.end;
      return end && end->mode == abi::MODE_EXCLUSIVE && end->ifindex == ifindex;
    });
  };
  return batch.lost || std::any_of(batch.events.begin(), batch.events.end(), [&](const auto& one) {
           const auto* qdisc = std::get_if<kernel::Qdisc>(&one.what);
           const auto* filter = std::get_if<kernel::Filter>(&one.what);
           if (qdisc != nullptr) return one.removed && is_nic(qdisc->ifindex);
           return filter != nullptr && is_nic(filter->ifindex) && (one.removed || !filter->ours());
         });
}

}  // namespace terway::datapath
