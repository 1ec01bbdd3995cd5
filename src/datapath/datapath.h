// SPDX-License-Identifier: Apache-2.0
// The veth datapath with policy routing: makes the kernel of this node what the plan says.
//
// Layout (one of each, whatever the number of pods):
//   rule 512   lookup <pods table>          pods' /32 and /128 routes
//   rule 2048  fwmark <mark of ENI> lookup 1000+ifindex   one per ENI and family
//   nft table `terway`: source address -> mark; conntrack mark = NIC a connection came in on
//   table 1000+ifindex: default via the vSwitch's gateway, onlink
// Names and numbers: docs/operating.md.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "datapath/inspect.h"
#include "datapath/plan.h"
#include "ebpf/features.h"

namespace terway::datapath {

enum class FastPathMode : std::uint8_t {
  Auto,   // policy routing carries everything where the programs cannot be loaded
  Bpf,    // nothing is carried there: open() fails
  Stack,  // no programs: policy routing carries everything
};
std::string_view to_string(FastPathMode mode);

struct FastPathStatus {
  FastPathMode mode = FastPathMode::Auto;
  bool on = false;
  std::string reason;  // why not; where it is on, what was found at the start
  ebpf::Features features;
};

struct Settings {
  std::uint32_t pods_table = 0;  // 0: 999
  // The bits of packet and connection marks that are ours, in one piece or in several: n bits serve
  // 2^n - 3 ENIs. 0: 0xee.
  std::uint32_t mark_mask = 0;
  bool ipv4 = true;
  bool ipv6 = false;
  // NICs that must never be touched, by MAC (no-manage tags); the NIC with the default route never
  // is.
  std::vector<net::Mac> unmanaged;
  // eBPF programs carry what they can (bpf/datapath.bpf.c).
  FastPathMode fast_path = FastPathMode::Auto;
  std::filesystem::path bpffs = "/sys/fs/bpf";  // where they are pinned
  // What pods reach through the host's stack, besides the node's own addresses: Services of a
  // kube-proxy, the node-local DNS address.
  std::vector<net::Prefix> host_stack_cidrs;
  // Pods get an ENI each, which goes into their namespace. Those of the other mode that are wired
  // already stay as they are.
  bool exclusive = false;
  // Whether pods may reach the instance's metadata service.
  bool pods_reach_metadata = true;
};

// Owned by the datapath thread: one netlink worker, for RTNL is one lock. No call waits for
// anything but the kernel.
class Datapath {
 public:
  struct State;

  // Opens its sockets and writes what is there once a node (table `terway`, rule 512, sysctls).
  static Result<std::unique_ptr<Datapath>> open(const Settings& settings);
  ~Datapath();

  // Looks for the NIC by MAC, takes one step towards a usable ENI (up, MTU, probe sent, reply read)
  // and answers at once: the NIC when it is ready, NotFound while no NIC has that MAC, Unavailable
  // with the reason while it is not ready ("gateway … has not answered"). Call again when a
  // descriptor of poll_fds() is readable, or after a while. Invalid where the NIC must not be used
  // (default route, unmanaged).
  Result<EniNic> bring_up(const EniPlan& eni);
  // Removes rule, table, neighbours; the NIC itself is left down. Success when already gone.
  Result<> tear_down(const std::string& eni_id);

  // Wires one pod: the namespace is the open descriptor. Pods-table route, mark, veth with both
  // MACs, addresses without DAD, routes, neighbours. Repeating it for the same key replaces what is
  // there. Nothing is left behind on failure.
  Result<PodWired> add_pod(const PodPlan& pod, const UniqueFd& netns);
  // Detaches logically (route, mark, neighbour and conntrack entries of its addresses) and marks
  // the link for background deletion; only what belongs to this key. Success when nothing is there.
  // A pod's own NIC is back in the node afterwards, or its namespace is gone (`netns`: descriptor,
  // -1: found by the plan's path); Unavailable where neither can be told.
  Result<> remove_pod(const PodPlan& pod, int netns = -1);
  // Whether a pod can be wired on the ENI now; false where its NIC is missing.
  bool is_ready(const std::string& eni_id) const;
  // Changes the limits of a wired pod, losing nothing; error NotFound for any other.
  Result<> set_bandwidth(const model::AttachmentKey& key, const model::Bandwidth& bandwidth);
  // Verifies as CNI CHECK demands; the error names what is missing or different.
  Result<> check_pod(const PodPlan& pod, const UniqueFd& netns);
  // Forgets what the node knows of an address that will be reused (conntrack, neighbours).
  Result<> flush_address(const net::IpAddress& address);

  const FastPathStatus& fast_path() const;
  // Reads the fast path; empty without one. Some milliseconds.
  Result<Inspection> inspect(InspectLinks links);
  // Drops and flows since the event of that number, of the latest 4096; drain_events() reads them.
  std::vector<SeenEvent> events_after(std::uint64_t number) const;
  std::uint64_t last_event() const;
  // Whether new flows are told, not drops alone.
  Result<> watch_flows(bool on);
  // Forgets flows whose time is over: one slice, about a millisecond. false when the round has
  // ended: call again in some seconds.
  Result<bool> sweep_flows();

  // Deletes links marked by remove_pod(), by group. Takes tens of ms: call when idle.
  Result<> delete_marked_links();
  bool has_marked_links() const;

  // Read, diff, write. `authoritative` false (caches not yet synced): only adds what is missing and
  // removes nothing. Foreign rules, routes and links are never touched.
  Result<Drift> resync(const Desired& desired, bool authoritative);

  // Who else uses our mark bits, one line each: users known by their documentation (never any with
  // the default mask), and on this node now: foreign rules that look at them, rules of foreign
  // nftables tables (iptables-nft's too) that write them.
  Result<std::vector<std::string>> find_mark_clashes();

  // Attachments found in the kernel by our own marks (ifalias): a source for reconciling after
  // restart.
  struct Found {
    model::AttachmentKey key;
    std::string host_ifname;
    std::vector<net::IpAddress> addresses;  // from the pods table
  };
  Result<std::vector<Found>> find_attachments();

  // Readable when the kernel changed something (links, addresses, routes, rules) or a probe was
  // answered; drain_events() reads them and says whether a resync is due.
  std::vector<int> poll_fds() const;
  Result<bool> drain_events();

 private:
  explicit Datapath(std::unique_ptr<State> state);
  void keep_events();
  std::unique_ptr<State> state_;
};

// `cali` + 11 hex digits of SHA-1 over container id and interface.
std::string host_ifname_of(const model::AttachmentKey& key);

}  // namespace terway::datapath
