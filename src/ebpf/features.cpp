// SPDX-License-Identifier: Apache-2.0
#include "ebpf/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <thread>

#include "base/fd.h"
#include "base/file.h"
#include "kernel/socket.h"

namespace terway::ebpf {

namespace {

constexpr std::pair<unsigned, unsigned> kOldest{5, 10};

// The kernel refuses a kind that it does not have before it looks at anything else
// (rtnl_newlink(), qdisc_create()); modules are loaded by asking.
struct Kinds {
  bool ipvlan = false;
  bool ifb = false;
  bool fq = false;
};

bool knows_link(kernel::Socket& socket, std::string_view kind) {
  kernel::Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(ifinfomsg{}).put_text(IFLA_IFNAME, "probe");
  message.nest(IFLA_LINKINFO, [&] { message.put_text(IFLA_INFO_KIND, kind); });
  const auto made = socket.request(std::move(message));
  return made.ok() || made.error().message().find("Unknown device type") == std::string::npos;
}

bool knows_qdisc(kernel::Socket& socket, std::string_view kind) {
  tcmsg header{};
  header.tcm_ifindex = 1;  // lo, of a namespace that ends with the thread
  header.tcm_parent = TC_H_ROOT;
  kernel::Message message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);
  message.header(header).put_text(TCA_KIND, kind);
  return socket.request(std::move(message)).ok();
}

Kinds probe_kinds() {
  Kinds kinds;
  std::thread([&kinds] {
    if (::unshare(CLONE_NEWNET) != 0) return;
    auto socket = kernel::Socket::open(kernel::Protocol::Route);
    if (!socket.ok()) return;
    kinds.ipvlan = knows_link(*socket, "ipvlan");
    kinds.ifb = knows_link(*socket, "ifb");
    kinds.fq = knows_qdisc(*socket, "fq");
  }).join();
  return kinds;
}

// A program that does nothing, for a function of the kernel. libbpf's own probe of these types goes
// by the kernel's words, which have changed.
bool loads_for(bpf_prog_type type, bpf_attach_type attach, const char* function) {
  const int id = ::libbpf_find_vmlinux_btf_id(function, attach);
  if (id <= 0) return false;
  const bpf_insn nothing[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
                              {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  bpf_prog_load_opts options{};
  options.sz = sizeof(options);
  options.expected_attach_type = attach;
  options.attach_btf_id = static_cast<std::uint32_t>(id);
  const UniqueFd fd(::bpf_prog_load(type, "probe", "GPL", nothing, 2, &options));
  return static_cast<bool>(fd);
}

bool has_bpf_lsm() {
  if (!loads_for(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "file_open")) return false;
  // Whether it is switched on, where securityfs is there to tell.
  const auto list = read_file("/sys/kernel/security/lsm");
  return !list.ok() || ("," + *list + ",").find(",bpf") != std::string::npos;
}

}  // namespace

std::optional<std::pair<unsigned, unsigned>> version_of(std::string_view release) {
  std::pair<unsigned, unsigned> version;
  const char* const begin = release.data();
  const char* const end = begin + release.size();
  const auto major = std::from_chars(begin, end, version.first);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, version.second);
  if (minor.ec != std::errc()) return std::nullopt;
  return version;
}

const Feature* Features::find(std::string_view name) const {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Feature& feature) { return feature.name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::optional<std::string> Features::refusal() const {
  const auto version = version_of(kernel);
  if (!version || *version < kOldest) {
    return fmt::format("kernel {} is older than {}.{}, the first that has what the programs use",
                       kernel, kOldest.first, kOldest.second);
  }
  std::string missing;
  for (const Feature& feature : all) {
    if (feature.required && !feature.there) {
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", feature.name);
    }
  }
  if (missing.empty()) return std::nullopt;
  return fmt::format("kernel {} lacks {}", kernel, missing);
}

Features probe_features() {
  Features features;
  utsname name{};
  if (::uname(&name) == 0) features.kernel = name.release;
  const auto program = [](bpf_prog_type type) {
    return libbpf_probe_bpf_prog_type(type, nullptr) == 1;
  };
  const auto map = [](bpf_map_type type) { return libbpf_probe_bpf_map_type(type, nullptr) == 1; };
  const Kinds kinds = probe_kinds();
  features.all = {
      {"tc_programs", program(BPF_PROG_TYPE_SCHED_CLS), true, "the datapath's programs"},
      {"redirect_peer",
       libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_peer, nullptr) == 1, true,
       "packets straight into a pod's namespace"},
      {"ring_buffer", map(BPF_MAP_TYPE_RINGBUF), true, "drops and flows as they happen"},
      {"lpm_trie", map(BPF_MAP_TYPE_LPM_TRIE), true, "CIDRs by the host's stack"},
      {"kernel_btf", ::access("/sys/kernel/btf/vmlinux", R_OK) == 0, false,
       "IPVLAN's senders, the guard of links"},
      {"fentry", loads_for(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, "ip_rcv"), false,
       "IPVLAN's senders"},
      {"bpf_lsm", has_bpf_lsm(), false, "the guard of links"},
      {"ipvlan", kinds.ipvlan, false, "pods in IPVLAN mode"},
      {"ifb", kinds.ifb, false, "bandwidth limits"},
      {"sch_fq", kinds.fq, false, "bandwidth limits by departure time"},
  };
  return features;
}

}  // namespace terway::ebpf
