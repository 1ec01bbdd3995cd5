// SPDX-License-Identifier: Apache-2.0
// What upstream's node looks like with plain policy routing: rules 512 and 2048 of each pod, pods'
// routes in the main table, the ENI's default route in table 1000 + ifindex.
#include <fmt/core.h>
#include <linux/rtnetlink.h>

#include "kernel/address.h"
#include "kernel/link.h"
#include "kernel/neighbour.h"
#include "kernel/route.h"
#include "kernel/rule.h"
#include "kernel/sysctl.h"
#include "path.h"

namespace terway::bench {

namespace {

const net::IpAddress kPodGateway = net::IpAddress::from_v4(0xa9fe0101U);
const net::IpAddress kAny = net::IpAddress::from_v4(0);

kernel::Message up(int ifindex) {
  kernel::LinkChange change;
  change.up = true;
  return kernel::change_link(ifindex, change);
}

net::Mac mac_of(std::uint8_t side, unsigned n) {
  return {{2, side, 0, 0, static_cast<std::uint8_t>(n >> 8U), static_cast<std::uint8_t>(n)}};
}

std::uint32_t table_of(const Node& node) { return 1000 + static_cast<std::uint32_t>(node.eni); }

Result<> set_sysctls(const Namespace& node) {
  const auto inside = TRY(node.enter());
  for (const char* link : {"default", "all", kEni}) {
    TRY(kernel::set_sysctl(fmt::format("net/ipv4/conf/{}/forwarding", link), "1"));
    TRY(kernel::set_sysctl(fmt::format("net/ipv4/conf/{}/rp_filter", link), "0"));
  }
  return Ok{};
}

Result<> prepare(const Node& node) {
  TRY(address_eni(node));
  TRY(set_sysctls(node.ns));
  kernel::Route out;
  out.destination = {kAny, 0};
  out.table = table_of(node);
  out.oif = node.eni;
  out.gateway = kGateway;
  out.onlink = true;
  auto socket = TRY(node.ns.route_socket());
  return socket.request(kernel::add_route(out));
}

Result<> wire_inside(const Namespace& pod, const net::IpAddress& address, const net::Mac& gateway) {
  auto socket = TRY(pod.route_socket());
  const int ifindex = TRY(kernel::get_link(socket, "eth0")).ifindex;
  kernel::Route out;
  out.destination = {kAny, 0};
  out.oif = ifindex;
  out.gateway = kPodGateway;
  out.onlink = true;
  std::vector<kernel::Message> messages = {
      up(ifindex), kernel::add_address(ifindex, net::Prefix::host(address)), kernel::add_route(out),
      kernel::set_neighbour(ifindex, kPodGateway, gateway)};
  return socket.request_all(messages);
}

Result<> wire(const Node& node, const Namespace& pod, unsigned n) {
  auto socket = TRY(node.ns.route_socket());
  const std::string name = upstream_host_end(n);
  const net::IpAddress address = node.pod_address(n);
  TRY(socket.request(
      kernel::make_veth({.name = name, .mac = mac_of(1, n), .mtu = 1500},
                        {.name = "eth0", .mac = mac_of(2, n), .mtu = 1500, .netns = pod.fd()})));
  const int ifindex = TRY(kernel::get_link(socket, name)).ifindex;
  kernel::Route to_pod;
  to_pod.destination = net::Prefix::host(address);
  to_pod.oif = ifindex;
  to_pod.scope = RT_SCOPE_LINK;
  kernel::Rule to;
  to.priority = 512;
  to.to = net::Prefix::host(address);
  to.table = kernel::kMainTable;
  kernel::Rule from;
  from.priority = 2048;
  from.from = net::Prefix::host(address);
  from.iif = name;
  from.table = table_of(node);
  std::vector<kernel::Message> messages = {
      up(ifindex), kernel::add_route(to_pod), kernel::add_rule(to), kernel::add_rule(from),
      // Not upstream's, which lets ARP ask: nothing that a round trip would show.
      kernel::set_neighbour(ifindex, address, mac_of(2, n))};
  TRY(socket.request_all(messages));
  TRY(wire_inside(pod, address, mac_of(1, n)));
  TRY(kernel::get_link(socket, ifindex));
  return Ok{};
}

}  // namespace

std::string upstream_host_end(unsigned n) { return fmt::format("cali{:011x}", n); }

Result<Path> make_upstream(const std::string& name, unsigned pods) {
  Path path{name, TRY(make_nodes())};
  for (const Node& node : path.nodes.node) {
    TRY(prepare(node));
    for (unsigned n = 1; n <= pods; ++n) {
      path.pods.push_back(TRY(Namespace::make()));
      TRY(wire(node, path.pods.back(), n));
    }
  }
  const unsigned middle = (pods + 1) / 2;
  path.ends = {path.pods[middle - 1].fd(), path.pods[pods + middle - 1].fd(),
               path.nodes.node[1].pod_address(middle)};
  path.forwards = 4;
  return path;
}

}  // namespace terway::bench
