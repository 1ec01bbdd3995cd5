// SPDX-License-Identifier: Apache-2.0
#include "lab/primary_nic.h"

#include <fmt/core.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "kernel/address.h"
#include "kernel/link.h"
#include "kernel/netns.h"
#include "kernel/route.h"
#include "kernel/socket.h"

namespace terway::lab {

namespace {

// RTPROT_DHCP: what a real image's routes carry.
constexpr std::uint8_t kDhcp = 16;

Result<kernel::Link> wait_for_link(kernel::Socket& socket, const net::Mac& mac, Duration timeout) {
  SystemClock clock;
  const Instant deadline = clock.now() + timeout;
  for (;;) {
    const auto links = TRY(kernel::find_links(socket, mac));
    if (!links.empty()) return links.front();
    if (clock.now() >= deadline) {
      return Error(Error::Kind::Unavailable,
                   fmt::format("no NIC with MAC {} has appeared", mac.to_string()));
    }
    clock.sleep_for(std::chrono::milliseconds(5));
  }
}

Result<> configure(kernel::Socket& socket, int ifindex, const net::Prefix& address,
                   const net::IpAddress& gateway) {
  TRY(socket.request(kernel::add_address(ifindex, address, IFA_F_NODAD)));
  kernel::Route route;
  route.destination = address.family() == net::Family::V4 ? *net::Prefix::parse("0.0.0.0/0")
                                                          : *net::Prefix::parse("::/0");
  route.oif = ifindex;
  route.gateway = gateway;
  route.protocol = kDhcp;
  return socket.request(kernel::replace_route(route));
}

}  // namespace

Result<> configure_primary_nic(const std::string& netns_path, const PrimaryNic& nic,
                               Duration timeout) {
  const UniqueFd netns = TRY(kernel::open_netns(netns_path));
  kernel::Socket socket = TRY(kernel::Socket::open_in(netns.get(), kernel::Protocol::Route));
  kernel::LinkChange up;
  up.up = true;
  TRY(socket.request(kernel::change_link("lo", up)));
  const kernel::Link link = TRY(wait_for_link(socket, nic.mac, timeout));
  up.mtu = nic.mtu;
  TRY(socket.request(kernel::change_link(link.ifindex, up)));
  TRY(configure(socket, link.ifindex, nic.address, nic.gateway));
  if (nic.address_v6 && nic.gateway_v6) {
    TRY(configure(socket, link.ifindex, *nic.address_v6, *nic.gateway_v6));
  }
  return Ok{};
}

}  // namespace terway::lab
