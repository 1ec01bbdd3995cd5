// SPDX-License-Identifier: Apache-2.0
#include "kernel/link.h"

#include <fmt/core.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

namespace terway::kernel {

namespace {

// Statistics are the larger half of a link message; nobody here reads them.
constexpr std::uint32_t kSkipStatistics = 1U << 3;  // RTEXT_FILTER_SKIP_STATS

ifinfomsg info_of(int ifindex) {
  ifinfomsg info{};
  info.ifi_family = AF_UNSPEC;
  info.ifi_index = ifindex;
  return info;
}

void put_end(Message& message, const VethEnd& end) {
  message.put_text(IFLA_IFNAME, end.name);
  if (!end.mac.is_zero()) message.put_mac(IFLA_ADDRESS, end.mac);
  if (end.mtu != 0) message.put_u32(IFLA_MTU, end.mtu);
  if (end.group != 0) message.put_u32(IFLA_GROUP, end.group);
  message.put_u32(IFLA_NUM_TX_QUEUES, 1);
  message.put_u32(IFLA_NUM_RX_QUEUES, 1);
  if (end.netns >= 0) message.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(end.netns));
}

Message change(ifinfomsg info, std::string_view by_name, const LinkChange& change) {
  if (change.up) {
    info.ifi_change |= IFF_UP;
    if (*change.up) info.ifi_flags |= IFF_UP;
  }
  Message message(RTM_NEWLINK);
  message.header(info);
  if (!by_name.empty()) message.put_text(IFLA_IFNAME, by_name);
  if (change.name) message.put_text(IFLA_IFNAME, *change.name);
  if (change.mac) message.put_mac(IFLA_ADDRESS, *change.mac);
  if (change.mtu) message.put_u32(IFLA_MTU, *change.mtu);
  if (change.alias) message.put(IFLA_IFALIAS, change.alias->data(), change.alias->size());
  if (change.group) message.put_u32(IFLA_GROUP, *change.group);
  if (change.master) message.put_u32(IFLA_MASTER, static_cast<std::uint32_t>(*change.master));
  if (change.netns) message.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(*change.netns));
  if (change.new_ifindex) {
    message.put_u32(IFLA_NEW_IFINDEX, static_cast<std::uint32_t>(*change.new_ifindex));
  }
  if (change.no_ipv6_address) {
    message.nest(IFLA_AF_SPEC | NLA_F_NESTED, [&] {
      message.nest(AF_INET6 | NLA_F_NESTED,
                   [&] { message.put_u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE); });
    });
  }
  return message;
}

Result<Link> ask_for(Socket& socket, Message message, std::string_view what) {
  message.put_u32(IFLA_EXT_MASK, kSkipStatistics);
  const auto answer = TRY(socket.ask(std::move(message)));
  Bytes bytes(answer);
  const auto view = next_message(bytes);
  auto link = view ? parse_link(*view) : std::nullopt;
  if (!link) return Error(Error::Kind::Internal, fmt::format("link {}: unreadable answer", what));
  return std::move(*link);
}

}  // namespace

bool Link::up() const { return (flags & IFF_UP) != 0; }

std::optional<Link> parse_link(const MessageView& message) {
  if (message.header.nlmsg_type != RTM_NEWLINK && message.header.nlmsg_type != RTM_DELLINK) {
    return std::nullopt;
  }
  const auto info = message.fixed<ifinfomsg>();
  if (!info) return std::nullopt;
  const Attributes attributes(message.rest<ifinfomsg>());
  Link link;
  link.ifindex = info->ifi_index;
  link.flags = info->ifi_flags;
  link.name = attributes.text(IFLA_IFNAME);
  link.mac = attributes.mac(IFLA_ADDRESS).value_or(net::Mac{});
  link.mtu = attributes.u32(IFLA_MTU).value_or(0);
  link.operstate = attributes.u8(IFLA_OPERSTATE).value_or(IF_OPER_UNKNOWN);
  link.kind = attributes.nest(IFLA_LINKINFO).text(IFLA_INFO_KIND);
  link.master = attributes.s32(IFLA_MASTER).value_or(0);
  link.lower = attributes.s32(IFLA_LINK).value_or(0);
  link.lower_elsewhere = attributes.has(IFLA_LINK_NETNSID);
  link.lower_netns = attributes.s32(IFLA_LINK_NETNSID).value_or(-1);
  link.alias = attributes.text(IFLA_IFALIAS);
  link.group = attributes.u32(IFLA_GROUP).value_or(0);
  return link;
}

Result<std::vector<Link>> list_links(Socket& socket) {
  Message message(RTM_GETLINK);
  message.header(info_of(0)).put_u32(IFLA_EXT_MASK, kSkipStatistics);
  std::vector<Link> links;
  TRY(socket.dump(std::move(message))).for_each([&](const MessageView& view) {
    if (auto link = parse_link(view)) links.push_back(std::move(*link));
  });
  return links;
}

Result<Link> get_link(Socket& socket, std::string_view name) {
  Message message(RTM_GETLINK);
  message.header(info_of(0)).put_text(IFLA_IFNAME, name);
  return ask_for(socket, std::move(message), name);
}

Result<Link> get_link(Socket& socket, int ifindex) {
  Message message(RTM_GETLINK);
  message.header(info_of(ifindex));
  return ask_for(socket, std::move(message), std::to_string(ifindex));
}

Result<Link> get_peer(Socket& socket, const Link& link) {
  if (!link.lower_elsewhere || link.lower_netns < 0) {
    return Error(Error::Kind::NotFound,
                 fmt::format("link {}: its other end is in no namespace that is known", link.name));
  }
  Message message(RTM_GETLINK);
  message.header(info_of(link.lower));
  message.put_u32(IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(link.lower_netns));
  return ask_for(socket, std::move(message), "at the other end of " + link.name);
}

Result<std::vector<Link>> find_links(Socket& socket, const net::Mac& mac) {
  std::vector<Link> links = TRY(list_links(socket));
  std::erase_if(links, [&](const Link& link) { return link.mac != mac; });
  return links;
}

Message make_veth(const VethEnd& near_end, const VethEnd& far_end) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(info_of(near_end.ifindex));
  put_end(message, near_end);
  message.nest(IFLA_LINKINFO, [&] {
    message.put_text(IFLA_INFO_KIND, "veth");
    message.nest(IFLA_INFO_DATA, [&] {
      message.nest(VETH_INFO_PEER, [&] {
        message.raw(info_of(far_end.ifindex));
        put_end(message, far_end);
      });
    });
  });
  return message;
}

Message make_bridge(std::string_view name) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(info_of(0)).put_text(IFLA_IFNAME, name);
  message.nest(IFLA_LINKINFO, [&] { message.put_text(IFLA_INFO_KIND, "bridge"); });
  return message;
}

Message make_ifb(std::string_view name, std::uint32_t group) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(info_of(0)).put_text(IFLA_IFNAME, name).put_u32(IFLA_GROUP, group);
  message.put_u32(IFLA_NUM_TX_QUEUES, 1).put_u32(IFLA_NUM_RX_QUEUES, 1);
  // Its own 32 are fewer packets than a bucket lets go at once.
  message.put_u32(IFLA_TXQLEN, 1000);
  message.nest(IFLA_LINKINFO, [&] { message.put_text(IFLA_INFO_KIND, "ifb"); });
  return message;
}

Message make_macvlan(std::string_view name, int lower, const net::Mac& mac) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(info_of(0)).put_text(IFLA_IFNAME, name);
  message.put_u32(IFLA_LINK, static_cast<std::uint32_t>(lower)).put_mac(IFLA_ADDRESS, mac);
  message.nest(IFLA_LINKINFO, [&] {
    message.put_text(IFLA_INFO_KIND, "macvlan");
    message.nest(IFLA_INFO_DATA, [&] { message.put_u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE); });
  });
  return message;
}

Message change_link(int ifindex, const LinkChange& what) {
  return change(info_of(ifindex), {}, what);
}

Message change_link(std::string_view name, const LinkChange& what) {
  return change(info_of(0), name, what);
}

Message delete_link(int ifindex) {
  Message message(RTM_DELLINK);
  message.header(info_of(ifindex));
  return message;
}

Message delete_link_group(std::uint32_t group) {
  Message message(RTM_DELLINK);
  message.header(info_of(0)).put_u32(IFLA_GROUP, group);
  return message;
}

}  // namespace terway::kernel
