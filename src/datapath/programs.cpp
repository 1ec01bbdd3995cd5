// SPDX-License-Identifier: Apache-2.0
#include "datapath/programs.h"

#include <fmt/core.h>

#include <algorithm>

#include "datapath/exclusive.h"
#include "datapath/migrate.h"
#include "datapath/names.h"
#include "datapath/shaper.h"
#include "ebpf/bpffs.h"
#include "kernel/address.h"

namespace terway::datapath {

namespace {

std::optional<WayOut> way_out_of(const Nic& nic) {
  if (nic.link.ifindex == 0) return std::nullopt;
  WayOut way{nic.link.ifindex, nic.link.mac, {}, {}};
  for (const Gateway& gateway : nic.gateways) {
    (gateway.address.is_v4() ? way.gateway_v4 : way.gateway_v6) = gateway.mac;
  }
  return way;
}

bool is_loopback(const net::IpAddress& address) {
  return address.is_v4() ? address.v4() >> 24U == 127 : address == *net::IpAddress::parse("::1");
}

// Where packets to the node itself go: every address of it that a pod might send to.
Result<std::vector<net::IpAddress>> node_addresses(Datapath::State& state) {
  std::vector<net::IpAddress> addresses;
  for (const net::Family family : {net::Family::V4, net::Family::V6}) {
    for (const auto& address : TRY(kernel::list_addresses(state.route, family))) {
      const net::IpAddress& own = address.prefix.address;
      const bool link_local_v6 = !own.is_v4() && own.is_link_local();
      if (is_loopback(own) || link_local_v6) continue;
      addresses.push_back(own);
    }
  }
  return addresses;
}

std::vector<net::IpAddress> blocked_addresses(const Datapath::State& state) {
  if (state.pods_reach_metadata) return {};
  return {*net::IpAddress::parse(kMetadata)};
}

// A pair of programs at both hooks of a link.
void want(std::vector<Attachment>& wanted, int ifindex, ebpf::Program ingress,
          ebpf::Program egress) {
  wanted.push_back({ingress, ifindex, kernel::Hook::Ingress});
  wanted.push_back({egress, ifindex, kernel::Hook::Egress});
}

Result<> attach_pods(Datapath::State& state, Drift& drift) {
  std::vector<Attachment> wanted;
  for (const auto& [key, pod] : state.pods) {
    if (!pod.end || pod.end->mode == abi::MODE_IPVLAN) continue;
    const bool whole = pod.end->mode == abi::MODE_EXCLUSIVE;
    const int host_end = whole ? pod.end->peer_ifindex : pod.end->ifindex;
    if (host_end == 0) continue;
    want(wanted, host_end, ebpf::Program::PodEgress, ebpf::Program::PodIngress);
  }
  return state.fast_path->attach(state.route, wanted, drift);
}

Result<bool> has_programs(Datapath::State& state, int ifindex) {
  const auto there = TRY(kernel::list_filters(state.route, ifindex, kernel::Hook::Ingress));
  return std::any_of(there.begin(), there.end(),
                     [](const kernel::Filter& filter) { return filter.ours(); });
}

Result<> attach_enis(Datapath::State& state, Drift& drift) {
  std::vector<Attachment> wanted;
  for (const auto& [id, nic] : state.nics) {
    if (nic.link.ifindex == 0 || is_exclusive(state, id)) continue;
    // A pod that the programs do not know of would be cut off.
    const bool unknown = std::any_of(state.pods.begin(), state.pods.end(), [&](const auto& entry) {
      return entry.second.plan.eni_id == id && entry.second.ifindex != 0 && !entry.second.end;
    });
    if (unknown) {
      drift.what.push_back(
          fmt::format("link {}: no programs, for a pod's MAC is not known", nic.link.name));
      TRY(FastPath::detach(state.route, nic.link.ifindex));
      continue;
    }
    if (!state.knows_all_pods && !TRY(has_programs(state, nic.link.ifindex))) continue;
    if (nic.is_ipvlan_parent) {
      want(wanted, nic.link.ifindex, ebpf::Program::IpvlanIngress, ebpf::Program::IpvlanEgress);
    } else {
      want(wanted, nic.link.ifindex, ebpf::Program::EniIngress, ebpf::Program::EniEgress);
    }
  }
  return state.fast_path->attach(state.route, wanted, drift);
}

// What an earlier life with programs left; once.
Result<> detach_all(Datapath::State& state, const Actual& actual, Drift& drift) {
  if (std::exchange(state.programs_swept, true)) return Ok{};
  for (const kernel::Link& link : actual.links) {
    if (!TRY(has_programs(state, link.ifindex))) continue;
    TRY(FastPath::detach(state.route, link.ifindex));
    ++drift.programs;
    drift.what.push_back(fmt::format("programs taken off link {}", link.name));
  }
  return ebpf::Object::unpin(state.bpffs);
}

}  // namespace

Result<> open_fast_path(Datapath::State& state, const Settings& settings) {
  FastPathStatus& status = state.fast_path_status;
  status.mode = settings.fast_path;
  state.bpffs = settings.bpffs;
  status.features = ebpf::probe_features();
  state.host_stack = settings.host_stack_cidrs;
  state.pods_reach_metadata = settings.pods_reach_metadata;
  const auto opened = [&]() -> Result<FastPath> {
    if (settings.fast_path == FastPathMode::Stack) {
      return Error(Error::Kind::Unavailable, "switched off by the configuration");
    }
    if (auto refusal = status.features.refusal()) {
      return Error(Error::Kind::Unavailable, std::move(*refusal));
    }
    TRY(ebpf::mount_bpffs(settings.bpffs));
    FastPath fast_path(TRY(ebpf::Object::load(settings.bpffs, migrate)));
    TRY(fast_path.recall());
    return fast_path;
  };
  auto fast_path = opened();
  if (fast_path.ok()) {
    state.fast_path = std::move(*fast_path);
    state.events = TRY(ebpf::Events::open(state.fast_path->object().events.fd()));
    status.on = true;
    status.reason = state.fast_path->object().news();
    return Ok{};
  }
  if (settings.fast_path == FastPathMode::Bpf) {
    return fast_path.take_error().within("the datapath is set to \"bpf\", which is not possible");
  }
  status.reason = fast_path.error().message();
  return Ok{};
}

void say_veth_end(Datapath::State& state, const model::AttachmentKey& key, WiredPod& pod,
                  const kernel::Link& link) {
  if (!state.fast_path || pod.plan.mode != model::NetworkMode::Veth) return;
  net::Mac mac = pod_mac_of(key);
  if (pod.adopted) {
    const auto peer = kernel::get_peer(state.route, link);
    if (!peer.ok()) {
      pod.end.reset();
      return;
    }
    mac = peer->mac;
  }
  if (!pod.end) pod.end.emplace();
  pod.end->mode = abi::MODE_VETH;
  pod.end->ifindex = link.ifindex;
  pod.end->mac = mac;
  pod.end->mtu = link.mtu;
}

PodEntry pod_entry(Datapath::State& state, const WiredPod& pod) {
  PodEntry entry;
  entry.end = *pod.end;
  say_limits(pod, entry.end);
  for (const net::IpAddress& address : pod.plan.addresses) {
    if (state.enabled(address.family())) entry.addresses.push_back(address);
  }
  entry.number = state.fast_path->numbers().number_of(pod.plan.key, entry.addresses, entry.end);
  const auto nic = state.nics.find(pod.plan.eni_id);
  if (nic != state.nics.end()) {
    entry.way_out = way_out_of(nic->second);
    entry.eni_mtu = nic->second.link.mtu;
  }
  return entry;
}

Result<> apply_fast_path(Datapath::State& state, const Actual& actual, bool prune, Drift& drift) {
  if (!state.fast_path) return detach_all(state, actual, drift);
  state.knows_all_pods = state.knows_all_pods || prune;
  std::vector<PodEntry> pods;
  for (const auto& [key, pod] : state.pods) {
    if (pod.end) pods.push_back(pod_entry(state, pod));
  }
  const auto node = TRY(node_addresses(state));
  TRY(state.fast_path->write_all(lay_out_endpoints(pods, node, blocked_addresses(state)),
                                 state.host_stack, prune, drift));
  TRY(attach_pods(state, drift));
  TRY(attach_enis(state, drift));
  if (prune && state.fast_path->object().migrating()) {
    const auto taken = TRY(state.fast_path->object().finish_migration(migrate));
    drift.what.push_back(
        fmt::format("maps of another version: {} entries taken over, then removed", taken));
  }
  return Ok{};
}

}  // namespace terway::datapath
