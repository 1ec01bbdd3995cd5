// SPDX-License-Identifier: Apache-2.0
#include "nodes.h"

#include <fmt/core.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "kernel/address.h"
#include "kernel/link.h"
#include "kernel/neighbour.h"
#include "kernel/route.h"

namespace terway::bench {

Result<Namespace> Namespace::make() {
  Result<UniqueFd> made = Error(Error::Kind::Internal, "");
  // A thread of its own: unshare() changes the namespace of whoever calls it.
  std::thread([&] {
    made =
        ::unshare(CLONE_NEWNET) == 0
            ? kernel::current_netns()
            : Result<UniqueFd>(Error::from_errno(errno, "make a network namespace (needs root)"));
  }).join();
  return Namespace(TRY(std::move(made)));
}

std::string Namespace::path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), fd()); }

Result<kernel::Socket> Namespace::route_socket() const {
  return kernel::Socket::open_in(fd(), kernel::Protocol::Route);
}

net::IpAddress Node::pod_address(unsigned n) const { return pods().address.plus(n); }
net::Prefix Node::pods() const {
  return {net::IpAddress::from_v4(0x0a000000U | number << 16U), 16};
}
net::IpAddress Node::own_address() const { return net::IpAddress::from_v4(0x0a090000U | number); }
net::IpAddress Node::other_address() const {
  return net::IpAddress::from_v4(0x0a090000U | (3 - number));
}

namespace {

kernel::Message up(int ifindex) {
  kernel::LinkChange change;
  change.up = true;
  return kernel::change_link(ifindex, change);
}

Result<> add_primary(const Node& node, const Namespace& outside) {
  auto socket = TRY(node.ns.route_socket());
  auto beyond = TRY(outside.route_socket());
  const std::string far = fmt::format("n{}", node.number);
  TRY(socket.request(kernel::make_veth({.name = "eth0", .mac = {}},
                                       {.name = far, .mac = {}, .netns = outside.fd()})));
  const int ifindex = TRY(kernel::get_link(socket, "eth0")).ifindex;
  const int far_ifindex = TRY(kernel::get_link(beyond, far)).ifindex;
  TRY(beyond.request(up(far_ifindex)));
  const net::Prefix own{net::IpAddress::from_v4(0x0a080000U | node.number), 24};
  kernel::Route out;
  out.destination = {net::IpAddress::from_v4(0), 0};
  out.oif = ifindex;
  out.gateway = net::IpAddress::from_v4(0x0a0800fdU);
  std::vector<kernel::Message> messages = {up(ifindex), kernel::add_address(ifindex, own),
                                           kernel::add_route(out)};
  return socket.request_all(messages);
}

}  // namespace

Result<Nodes> make_nodes() {
  constexpr std::array<net::Mac, 2> kMacs = {net::Mac{{0x0e, 0, 0, 0, 9, 1}},
                                             net::Mac{{0x0e, 0, 0, 0, 9, 2}}};
  Nodes nodes{{Node{1, TRY(Namespace::make()), 0, kMacs[0], kMacs[1]},
               Node{2, TRY(Namespace::make()), 0, kMacs[1], kMacs[0]}},
              TRY(Namespace::make())};
  auto socket = TRY(nodes.node[0].ns.route_socket());
  TRY(socket.request(
      kernel::make_veth({.name = kEni, .mac = kMacs[0]},
                        {.name = kEni, .mac = kMacs[1], .netns = nodes.node[1].ns.fd()})));
  for (Node& node : nodes.node) {
    TRY(add_primary(node, nodes.outside));
    auto inside = TRY(node.ns.route_socket());
    node.eni = TRY(kernel::get_link(inside, kEni)).ifindex;
    kernel::LinkChange settle;
    settle.no_ipv6_address = true;
    std::vector<kernel::Message> messages = {
        kernel::change_link(node.eni, settle), up(node.eni),
        kernel::set_neighbour(node.eni, kGateway, node.other_mac)};
    TRY(inside.request_all(messages));
  }
  // Asking ends the while in which a link that just came up drops what it is given.
  for (const Node& node : nodes.node) {
    auto inside = TRY(node.ns.route_socket());
    TRY(kernel::get_link(inside, node.eni));
  }
  return nodes;
}

Result<> address_eni(const Node& node) {
  auto socket = TRY(node.ns.route_socket());
  return socket.request(kernel::add_address(node.eni, {node.own_address(), 24}));
}

Result<> switch_offloads_off(int netns, const std::string& ifname) {
  const auto inside = TRY(kernel::InsideNetns::enter(netns));
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const unsigned command : {unsigned{ETHTOOL_STSO}, unsigned{ETHTOOL_SGSO}}) {
    ethtool_value off{command, 0};
    ifreq request{};
    ifname.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_data = reinterpret_cast<char*>(&off);
    if (::ioctl(fd.get(), SIOCETHTOOL, &request) != 0) {
      return Error::from_errno(errno, "switch off the offloads of " + ifname);
    }
  }
  return Ok{};
}

Result<std::uint64_t> forwarded(const Namespace& ns) {
  const auto inside = TRY(kernel::InsideNetns::enter(ns.fd()));
  // /proc/net is the main thread's.
  std::ifstream file("/proc/thread-self/net/snmp");
  std::string names, values;
  while (std::getline(file, names) && std::getline(file, values)) {
    std::istringstream name_words(names), value_words(values);
    std::string protocol, name, value;
    if (!(name_words >> protocol && value_words >> value) || protocol != "Ip:") continue;
    while (name_words >> name && value_words >> value) {
      if (name == "ForwDatagrams") return std::stoull(value);
    }
  }
  return Error(Error::Kind::Internal, "/proc/thread-self/net/snmp has no ForwDatagrams");
}

}  // namespace terway::bench
