// SPDX-License-Identifier: Apache-2.0
// The eBPF fast path of one node: the programs of bpf/datapath.bpf.c on its links, and what their
// maps say. Owned by the datapath (State::bpf()), on its thread.
//
// The seam for the files of the modes: a pod's file puts a PodEnd into its WiredPod and attaches
// its programs with attach(); then write_pod() makes its addresses known, before its link goes up.
// The rest (a resync's diff of all entries and of all attachments on the node's links, removal,
// counting of drift) follows from WiredPod::end. Programs inside a pod's namespace are the mode's
// own to watch: attach() with a socket of that namespace changes nothing where all is right.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "datapath/endpoints.h"
#include "datapath/plan.h"
#include "ebpf/object.h"
#include "kernel/filter.h"
#include "kernel/socket.h"

namespace terway::datapath {

// A program at a hook of a link; the link is one of the socket's namespace.
struct Attachment {
  ebpf::Program program = ebpf::Program::PodEgress;
  int ifindex = 0;
  kernel::Hook hook = kernel::Hook::Ingress;
};

class FastPath {
 public:
  explicit FastPath(ebpf::Object object);
  // Reads what an earlier life of the daemon left: numbers of pods, settings.
  Result<> recall();

  const ebpf::Object& object() const { return object_; }
  ebpf::Object& object() { return object_; }

  // Messages that attach to a link on which nothing is yet (a new one, down): clsact and both
  // programs, for one batch with what else makes the link.
  void attach_new(int ifindex, ebpf::Program ingress, ebpf::Program egress,
                  std::vector<kernel::Message>& messages) const;
  // Reads, compares, writes; clsact too where there is none. Programs that are the same stay.
  // Counts into drift.programs.
  Result<> attach(kernel::Socket& socket, std::span<const Attachment> wanted, Drift& drift) const;
  // Ours at both hooks of the link, with no trace but clsact. Success where there is none.
  static Result<> detach(kernel::Socket& socket, int ifindex);

  // The entries of one pod's addresses; those of others stay.
  Result<> write_pod(const PodEntry& pod);
  // Their flows are forgotten later, with the kernel's connections of them.
  Result<> remove_addresses(const std::vector<net::IpAddress>& addresses);

  // All entries. What is not wanted goes with `prune` only.
  Result<> write_all(const Endpoints& wanted, const std::vector<net::Prefix>& host_stack,
                     bool prune, Drift& drift);

  // The programs' settings (bpf/abi.h). Of its flags and numbers everybody changes only what is
  // their own.
  const abi::config& config() const { return config_; }
  Result<> change_config(const abi::config& config);

  PodNumbers& numbers() { return numbers_; }
  const PodNumbers& numbers() const { return numbers_; }

 private:
  Result<> write_endpoints(const Endpoints& wanted, bool prune, Drift& drift);
  Result<> write_host_stack(const std::vector<net::Prefix>& prefixes, bool prune, Drift& drift);
  Result<> write_config(Drift& drift);

  ebpf::Object object_;
  abi::config config_{};
  PodNumbers numbers_;
};

}  // namespace terway::datapath
