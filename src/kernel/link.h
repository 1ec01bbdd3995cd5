// SPDX-License-Identifier: Apache-2.0
// Links: what the kernel says of one, and the messages that make, change and delete them
// (RTM_*LINK; include/uapi/linux/if_link.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/socket.h"
#include "net/address.h"

namespace terway::kernel {

struct Link {
  int ifindex = 0;
  std::string name;
  net::Mac mac;
  std::uint32_t mtu = 0;
  std::uint32_t flags = 0;       // IFF_*
  std::uint8_t operstate = 0;    // IF_OPER_*
  std::string kind;              // "veth", "macvlan"; empty for hardware
  int master = 0;                // of a bridge or bond; 0 for none
  int lower = 0;                 // IFLA_LINK: lower device, or the peer of a veth; 0 for none
  bool lower_elsewhere = false;  // `lower` is an index of another namespace …
  int lower_netns = -1;          // … which the kernel numbers so; -1: has no number
  std::string alias;
  std::uint32_t group = 0;

  bool up() const;
  // No device of its own: a slave, or stacked on a device of this namespace (macvlan, ipvlan,
  // vlan). The end of a veth whose other end is in another namespace is a device of its own.
  bool stacked() const {
    return master != 0 || (lower != 0 && lower != ifindex && !lower_elsewhere);
  }
};

// nullopt when the message is no link.
std::optional<Link> parse_link(const MessageView& message);

Result<std::vector<Link>> list_links(Socket& socket);
// NotFound when there is none. From 6.9 on, asking also ends the short while in which a link whose
// carrier just came on drops what it is given to send (linkwatch_sync_dev() in rtnl_getlink()).
Result<Link> get_link(Socket& socket, std::string_view name);
Result<Link> get_link(Socket& socket, int ifindex);
// The other end of a veth that is in another namespace. Needs CAP_NET_ADMIN there.
Result<Link> get_peer(Socket& socket, const Link& link);
// Every link with this MAC, stacked ones included: macvlans and VLANs may share their lower's.
Result<std::vector<Link>> find_links(Socket& socket, const net::Mac& mac);

struct VethEnd {
  std::string name;
  net::Mac mac;           // zero: the kernel draws one
  std::uint32_t mtu = 0;  // 0: 1500
  std::uint32_t group = 0;
  int ifindex = 0;  // 0: the kernel chooses
  int netns = -1;   // descriptor; -1: the socket's namespace
};

// One queue each: more cost an RCU grace period at creation. Both ends are down: a peer cannot be
// created up (ENOTCONN). The alias cannot be set at creation.
Message make_veth(const VethEnd& near_end, const VethEnd& far_end);
Message make_bridge(std::string_view name);
// An intermediate functional block, one queue: what is sent by it comes back to where it was taken
// from (detour.h). Down.
Message make_ifb(std::string_view name, std::uint32_t group);
Message make_macvlan(std::string_view name, int lower, const net::Mac& mac);

// What to change in one link; only what is set.
struct LinkChange {
  std::optional<bool> up;
  std::optional<std::string> name;
  std::optional<net::Mac> mac;
  std::optional<std::uint32_t> mtu;
  std::optional<std::string> alias;  // at most 255 bytes (IFALIASZ)
  std::optional<std::uint32_t> group;
  std::optional<int> master;  // 0 releases
  std::optional<int> netns;   // descriptor: moves the link; costs an RCU grace period
  // Its number behind a move. Before Linux 5.13 it keeps its own, or gets another if that is taken.
  std::optional<int> new_ifindex;
  // No IPv6 link-local address of the kernel's own making (IN6_ADDR_GEN_MODE_NONE). Takes effect
  // only while the link is down, and after `up` of the same message: send it before.
  bool no_ipv6_address = false;
};
Message change_link(int ifindex, const LinkChange& change);
Message change_link(std::string_view name, const LinkChange& change);

// Costs an RCU grace period (tens of ms); by group one for all of them.
Message delete_link(int ifindex);
// Error NotFound when the group is empty.
Message delete_link_group(std::uint32_t group);

}  // namespace terway::kernel
