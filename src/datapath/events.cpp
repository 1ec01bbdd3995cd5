// SPDX-License-Identifier: Apache-2.0
// Which of the kernel's events mean that something of ours was changed by somebody else.
#include <algorithm>
#include <map>

#include "datapath/exclusive.h"
#include "datapath/names.h"
#include "datapath/state.h"

namespace terway::datapath {

namespace {

// Judges one event; true when a resync is due.
struct Judge {
  const Datapath::State& state;
  bool removed;
  bool by_us;

  const Nic* nic_of(int ifindex) const {
    for (const auto& [id, nic] : state.nics) {
      if (nic.link.ifindex == ifindex) return &nic;
    }
    return nullptr;
  }
  const WiredPod* pod_of(int ifindex) const {
    for (const auto& [key, pod] : state.pods) {
      if (pod.ifindex == ifindex) return &pod;
    }
    return nullptr;
  }
  bool is_ours(int ifindex) const {
    return nic_of(ifindex) != nullptr || pod_of(ifindex) != nullptr;
  }
  // The NIC of an exclusive ENI, whatever its number is by now.
  const Nic* whole_nic_of(const kernel::Link& link) const {
    for (const auto& [id, nic] : state.nics) {
      if (nic.plan.mac == link.mac && !link.stacked() && is_exclusive(state, id)) return &nic;
    }
    return nullptr;
  }
  bool is_primary(int ifindex) const {
    return state.primary && state.primary->link.ifindex == ifindex;
  }

  // By content: before 6.2 the kernel does not say who changed a link.
  bool operator()(const kernel::Link& link) const {
    if (const WiredPod* pod = pod_of(link.ifindex)) {
      return removed || !link.up() || link.group != kPodGroup ||
             (!pod->adopted && link.mac != host_mac_of(pod->plan.key));
    }
    if (const Nic* nic = whole_nic_of(link)) {
      // It comes and goes by our own doing, and waits down.
      return removed ? !nic->away
                     : nic->away || link.up() == nic->ready ||
                           (!nic->ready && link.flags != nic->link.flags);
    }
    if (const Nic* nic = nic_of(link.ifindex)) {
      return removed || !link.up() || link.mtu != nic->link.mtu || link.mac != nic->plan.mac ||
             link.name != nic->link.name || (!nic->ready && link.flags != nic->link.flags);
    }
    if (is_primary(link.ifindex)) return removed || link.name != state.primary->link.name;
    // The NIC that an ENI waits for.
    return !removed && std::any_of(state.nics.begin(), state.nics.end(), [&](const auto& entry) {
      return entry.second.plan.mac == link.mac && !entry.second.ready;
    });
  }
  bool operator()(const kernel::Address& address) const {
    if (address.prefix.address.is_link_local() && !address.prefix.address.is_v4()) return false;
    if (is_primary(address.ifindex)) return true;
    if (state.fast_path && nic_of(address.ifindex) == nullptr) return true;  // the node's own
    const bool placeholder = address.prefix.address == pod_gateway(net::Family::V4);
    return nic_of(address.ifindex) != nullptr && removed == placeholder;
  }
  bool operator()(const kernel::Route& route) const {
    if (by_us) return false;
    if (route.protocol == kProtocol || route.table == state.node.pods_table) return true;
    return route.table == kernel::kMainTable &&
           (route.destination.length == 0 || is_primary(route.oif));
  }
  bool operator()(const kernel::Rule& rule) const { return !by_us && rule.protocol == kProtocol; }
  bool operator()(const kernel::Neighbour& neighbour) const {
    if (by_us) return false;
    if (const Nic* nic = nic_of(neighbour.ifindex)) {
      return std::any_of(nic->gateways.begin(), nic->gateways.end(), [&](const Gateway& gateway) {
        return gateway.address == neighbour.address && gateway.mac &&
               (removed || neighbour.mac != *gateway.mac || !neighbour.permanent());
      });
    }
    const WiredPod* pod = pod_of(neighbour.ifindex);
    if (pod == nullptr || pod->adopted) return false;
    const auto& addresses = pod->plan.addresses;
    return std::find(addresses.begin(), addresses.end(), neighbour.address) != addresses.end() &&
           (removed || neighbour.mac != pod_mac_of(pod->plan.key) || !neighbour.permanent());
  }
  // What others attach besides is theirs; what of ours they remove or replace is put back.
  bool operator()(const kernel::Qdisc& qdisc) const {
    return !by_us && removed && qdisc.kind == "clsact" && is_ours(qdisc.ifindex);
  }
  bool operator()(const kernel::Filter& filter) const {
    return !by_us && (filter.ours() || filter.may_have_been_ours()) && is_ours(filter.ifindex);
  }
  bool operator()(const kernel::TableChange& change) const {
    return !by_us && change.table == kNftTable;
  }
};

// A link's events tell of every state that it went through, also while we made it: only what it is
// now counts.
bool still_wrong(Datapath::State& state, const kernel::Link& then) {
  const auto now = kernel::get_link(state.route, then.ifindex);
  return Judge{state, !now.ok(), false}(now.ok() ? *now : then);
}

// A gateway that answers, for the first time or with another MAC.
Result<bool> read_replies(Nic& nic) {
  bool news = false;
  for (Gateway& gateway : nic.gateways) {
    if (!gateway.probe) continue;
    for (const auto& reply : TRY(gateway.probe->receive())) {
      if (reply.address != gateway.address || gateway.mac == reply.mac) continue;
      gateway.mac = reply.mac;
      news = true;
    }
  }
  return news;
}

}  // namespace

std::vector<int> Datapath::poll_fds() const {
  std::vector<int> fds = {state_->monitor.fd(), state_->nft_monitor.fd()};
  if (state_->pods_monitor) fds.push_back(state_->pods_monitor->fd());
  if (state_->events) fds.push_back(state_->events->fd());
  for (const auto& [id, nic] : state_->nics) {
    for (const Gateway& gateway : nic.gateways) {
      if (gateway.probe) fds.push_back(gateway.probe->fd());
    }
  }
  return fds;
}

Result<bool> Datapath::drain_events() {
  State& state = *state_;
  keep_events();
  bool due = false;
  const auto judge_all = [&](kernel::Monitor& monitor, std::uint32_t own_port) -> Result<> {
    const auto batch = TRY(monitor.read());
    due = due || batch.lost;
    // A pod's link tells of half a dozen states while it is made: the last one stands for them.
    std::map<int, const kernel::Event*> latest;
    for (const auto& event : batch.events) {
      if (const auto* link = std::get_if<kernel::Link>(&event.what)) latest[link->ifindex] = &event;
    }
    for (const auto& event : batch.events) {
      const auto* link = std::get_if<kernel::Link>(&event.what);
      if (due || (link != nullptr && latest[link->ifindex] != &event)) continue;
      const Judge judge{state, event.removed, event.by_port == own_port};
      if (!std::visit(judge, event.what)) continue;
      due = link == nullptr || still_wrong(state, *link);
    }
    return Ok{};
  };
  TRY(judge_all(state.monitor, state.route.port()));
  TRY(judge_all(state.nft_monitor, state.netfilter.port()));
  if (TRY(hears_of_pods(state))) due = true;
  for (auto& [id, nic] : state.nics) {
    if (TRY(read_replies(nic))) due = true;
  }
  return due;
}

}  // namespace terway::datapath
