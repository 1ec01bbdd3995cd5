// SPDX-License-Identifier: Apache-2.0
// What the second veth and two calls of a program cost by themselves: bpf/floor.bpf.c at the pods'
// host ends and at the ENIs.
#include <bpf/libbpf.h>

#include <cstring>

#include "bpf/floor.skel.h"
#include "kernel/link.h"
#include "path.h"

namespace terway::bench {

namespace {

struct Settings {
  int eni_ifindex = 0;
  int pod_ifindex = 0;
  net::Mac to, from;
};

// At clsact ingress; the filter keeps the program.
Result<> attach(int ifindex, const bpf_program* program) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = ifindex;
  hook.attach_point = BPF_TC_INGRESS;
  if (const int failed = ::bpf_tc_hook_create(&hook); failed != 0) {
    return Error::from_errno(-failed, "add clsact");
  }
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.prog_fd = bpf_program__fd(program);
  if (const int failed = ::bpf_tc_attach(&hook, &options); failed != 0) {
    return Error::from_errno(-failed, "attach a program");
  }
  return Ok{};
}

using Programs = std::unique_ptr<floor_bpf, decltype(&floor_bpf__destroy)>;

Result<Programs> load(const Settings& settings) {
  Programs programs(floor_bpf__open(), floor_bpf__destroy);
  if (!programs) return Error::from_errno(errno, "open the programs");
  programs->rodata->eni_ifindex = static_cast<std::uint32_t>(settings.eni_ifindex);
  programs->rodata->pod_ifindex = static_cast<std::uint32_t>(settings.pod_ifindex);
  std::array<std::uint8_t, 12> macs{};
  std::copy(settings.to.bytes.begin(), settings.to.bytes.end(), macs.begin());
  std::copy(settings.from.bytes.begin(), settings.from.bytes.end(), macs.begin() + 6);
  std::memcpy(const_cast<std::uint32_t*>(programs->rodata->macs), macs.data(), macs.size());
  if (const int failed = floor_bpf__load(programs.get()); failed != 0) {
    return Error::from_errno(-failed, "load the programs");
  }
  return programs;
}

Result<int> host_end(const Node& node, unsigned n) {
  auto socket = TRY(node.ns.route_socket());
  return TRY(kernel::get_link(socket, upstream_host_end(n))).ifindex;
}

}  // namespace

Result<Path> make_floor(const std::string& name) {
  Path path = TRY(make_upstream(name, 1));
  for (const Node& node : path.nodes.node) {
    const int pod = TRY(host_end(node, 1));
    const Programs programs = TRY(load({node.eni, pod, node.other_mac, node.mac}));
    const auto inside = TRY(node.ns.enter());
    TRY(attach(pod, programs->progs.floor_leave));
    TRY(attach(node.eni, programs->progs.floor_enter));
  }
  path.forwards = 0;
  return path;
}

Result<Path> make_same_node_floor(const std::string& name) {
  Path path = TRY(make_upstream(name, 2));
  const Node& node = path.nodes.node[0];
  for (const unsigned n : {1U, 2U}) {
    const int own = TRY(host_end(node, n));
    const int other = TRY(host_end(node, 3 - n));
    const Programs programs = TRY(load({node.eni, other, {}, {}}));
    const auto inside = TRY(node.ns.enter());
    TRY(attach(own, programs->progs.floor_enter));
  }
  path.ends = {path.pods[0].fd(), path.pods[1].fd(), node.pod_address(2)};
  path.forwards = 0;
  return path;
}

}  // namespace terway::bench
