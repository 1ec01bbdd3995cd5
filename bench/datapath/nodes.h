// SPDX-License-Identifier: Apache-2.0
// Two nodes whose ENIs are the two ends of one veth pair: no fabric between. What a node sends to
// the gateway of the vSwitch so arrives at the other node.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/netns.h"
#include "kernel/socket.h"
#include "net/address.h"

namespace terway::bench {

// A nameless network namespace: gone with its last descriptor, also when the bench dies.
class Namespace {
 public:
  static Result<Namespace> make();
  int fd() const { return fd_.get(); }
  const UniqueFd& descriptor() const { return fd_; }
  // As long as this process has it open.
  std::string path() const;
  // While the guard lives, the calling thread is inside.
  Result<kernel::InsideNetns> enter() const { return kernel::InsideNetns::enter(fd()); }
  Result<kernel::Socket> route_socket() const;

 private:
  explicit Namespace(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

inline constexpr const char* kEni = "eth1";

struct Node {
  unsigned number = 0;  // 1 or 2
  Namespace ns;
  int eni = 0;  // ifindex
  net::Mac mac;
  net::Mac other_mac;

  // 10.<number>.0.<n>: the n-th pod's, from 1.
  net::IpAddress pod_address(unsigned n) const;
  net::Prefix pods() const;
  // 10.9.0.<number>: the node's own on its ENI, where the layout has one.
  net::IpAddress own_address() const;
  net::IpAddress other_address() const;
};
inline const net::IpAddress kGateway = net::IpAddress::from_v4(0x0a0900fdU);

struct Nodes {
  std::array<Node, 2> node;
  Namespace outside;  // where the primary NICs' other ends are; nothing answers there
};

// A primary NIC eth0 with the default route; the ENI up and without an address, the gateway's MAC
// known for good and being the other ENI's.
Result<Nodes> make_nodes();

// The address on the ENI, and the other node on the same link.
Result<> address_eni(const Node& node);

// Segments of the MTU's size leave the socket: TSO and GSO off, as offloads hide the cost of a
// packet.
Result<> switch_offloads_off(int netns, const std::string& ifname);

// Packets that the namespace's IP stack has forwarded (IpForwDatagrams).
Result<std::uint64_t> forwarded(const Namespace& ns);

}  // namespace terway::bench
