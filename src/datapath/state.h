// SPDX-License-Identifier: Apache-2.0
// What the datapath remembers between calls. Everything here can be read again from the kernel and
// from the next plan: nothing is lost with the process.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "datapath/actual.h"
#include "datapath/datapath.h"
#include "datapath/fast_path.h"
#include "datapath/flows.h"
#include "datapath/layout.h"
#include "ebpf/events.h"
#include "kernel/monitor.h"
#include "kernel/probe.h"
#include "kernel/socket.h"

namespace terway::datapath {

// One family's gateway of one ENI.
struct Gateway {
  net::IpAddress address;
  std::optional<net::Mac> mac;  // learnt
  std::optional<kernel::Probe> probe;
  unsigned asked = 0;
};

struct Nic {
  EniPlan plan;
  kernel::Link link;  // ifindex 0 while there is none
  std::vector<Gateway> gateways;
  bool ready = false;
  bool away = false;              // in its pod's namespace: then `link` is none (exclusive.h)
  bool is_ipvlan_parent = false;  // has the programs of IPVLAN mode (ipvlan.cpp says it)
};

struct WiredPod {
  PodPlan plan;
  int ifindex = 0;  // of the host end; 0 when it is missing
  std::string host_ifname;
  bool adopted = false;  // made by upstream: MACs and name are its
  // Where the programs meet it; absent while they do not (fast_path.h). Said by the file of its
  // mode.
  std::optional<PodEnd> end{};
  // ifindex of the token bucket that a limited direction goes through (shaper.h); 0: unlimited.
  int egress_shaper = 0;
  int ingress_shaper = 0;
};

// The NIC that holds the default route: never touched, but known, for connections come in on it.
struct Primary {
  kernel::Link link;
  std::vector<kernel::Route> routes;  // what its table holds
};

struct Datapath::State {
  NodeLayout node;
  std::vector<net::Mac> unmanaged;
  kernel::Socket route;
  kernel::Socket netfilter;
  kernel::Monitor monitor;
  kernel::Monitor nft_monitor;

  std::map<std::string, Nic> nics{};  // by ENI id
  std::map<model::AttachmentKey, WiredPod> pods{};
  std::optional<Primary> primary{};
  std::map<int, std::uint32_t> numbers{};      // ifindex -> NIC number in marks
  std::set<net::IpAddress> forget{};           // whose connections are to be forgotten
  std::vector<kernel::Rule> upstream_rules{};  // leftovers, as of the last look
  std::set<int> draining{};  // token buckets out of use, to be deleted when they are empty
  std::optional<FastPath> fast_path{};  // absent: policy routing carries everything
  FastPathStatus fast_path_status{};
  FlowSweeper sweeper{};
  std::optional<ebpf::Events> events{};
  std::deque<SeenEvent> seen{};  // the latest
  std::uint64_t last_seen = 0;
  std::filesystem::path bpffs{};
  std::vector<net::Prefix> host_stack{};
  bool pods_reach_metadata = true;
  bool knows_all_pods = false;  // an authoritative resync has been
  bool programs_swept = false;  // without a fast path: none of an earlier life is left
  bool links_marked = false;
  std::optional<kernel::Monitor> pods_monitor{};  // what becomes of programs in pods' namespaces
  bool kernel_ipv6 = true;  // false with ipv6.disable=1: links refuse IPv6 settings

  // Settles a link that is still down: no address of the kernel's own making.
  void quieten(int ifindex, std::vector<kernel::Message>& messages) const;
  bool enabled(net::Family family) const {
    return family == net::Family::V4 ? node.ipv4 : node.ipv6;
  }
  // The NIC's mark, numbering it when it is new. Exhausted when all numbers are taken.
  Result<std::uint32_t> mark_of(int ifindex);
  // The mark by which a pod leaves; 0 while its ENI has no NIC.
  std::uint32_t mark_of_eni(const std::string& eni_id) const;
  // By which the pod's packets leave the node when they came by its host end.
  std::uint32_t mark_of_pod(const PodPlan& pod) const;
  std::vector<NicLayout> nic_layouts();
  std::vector<PodLayout> pod_layouts() const;
  // The other pod that has this address now, if any.
  bool owned_by_another(const net::IpAddress& address, const model::AttachmentKey& key) const;
};

// One step of an ENI towards being usable (bring_up() without writing rules and tables).
Result<> step_up(Datapath::State& state, Nic& nic, const std::vector<kernel::Link>& links,
                 Drift& drift);
// Reads everything, takes over, diffs and writes. `prune` also removes what is ours and not wanted.
Result<> apply(Datapath::State& state, bool prune, Drift& drift);
// The NIC with the best default route; never one of `enis`, on which somebody (DHCP) put one too.
std::optional<Primary> find_primary(const Actual& actual, const std::map<std::string, Nic>& enis);

}  // namespace terway::datapath
