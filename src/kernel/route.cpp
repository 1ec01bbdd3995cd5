// SPDX-License-Identifier: Apache-2.0
#include "kernel/route.h"

#include <fmt/core.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace terway::kernel {

namespace {

std::uint8_t to_kernel(RouteType type) {
  switch (type) {
    case RouteType::Unicast:
      return RTN_UNICAST;
    case RouteType::Local:
      return RTN_LOCAL;
    case RouteType::Broadcast:
      return RTN_BROADCAST;
    case RouteType::Multicast:
      return RTN_MULTICAST;
    case RouteType::Blackhole:
      return RTN_BLACKHOLE;
    case RouteType::Unreachable:
      return RTN_UNREACHABLE;
    case RouteType::Prohibit:
      return RTN_PROHIBIT;
    case RouteType::Throw:
      return RTN_THROW;
    case RouteType::Other:
      break;
  }
  return RTN_UNSPEC;
}

RouteType from_kernel(std::uint8_t type) {
  for (const RouteType known :
       {RouteType::Unicast, RouteType::Local, RouteType::Broadcast, RouteType::Multicast,
        RouteType::Blackhole, RouteType::Unreachable, RouteType::Prohibit, RouteType::Throw}) {
    if (to_kernel(known) == type) return known;
  }
  return RouteType::Other;
}

rtmsg header_of(const Route& route) {
  rtmsg header{};
  header.rtm_family = route.destination.family() == net::Family::V4 ? AF_INET : AF_INET6;
  header.rtm_dst_len = route.destination.length;
  header.rtm_table =
      route.table < 256 ? static_cast<std::uint8_t>(route.table) : std::uint8_t{RT_TABLE_UNSPEC};
  header.rtm_protocol = route.protocol;
  header.rtm_scope = route.scope;
  header.rtm_type = to_kernel(route.type);
  if (route.onlink) header.rtm_flags |= RTNH_F_ONLINK;
  return header;
}

void put_body(Message& message, const Route& route) {
  if (route.destination.length > 0) message.put_address(RTA_DST, route.destination.address);
  message.put_u32(RTA_TABLE, route.table);
  if (route.gateway) message.put_address(RTA_GATEWAY, *route.gateway);
  if (route.oif != 0) message.put_u32(RTA_OIF, static_cast<std::uint32_t>(route.oif));
  if (route.source) message.put_address(RTA_PREFSRC, *route.source);
  if (route.priority != 0) message.put_u32(RTA_PRIORITY, route.priority);
  if (route.mtu != 0) {
    message.nest(RTA_METRICS, [&] { message.put_u32(RTAX_MTU, route.mtu); });
  }
}

Message write(std::uint16_t flags, const Route& route) {
  Message message(RTM_NEWROUTE, flags);
  message.header(header_of(route));
  put_body(message, route);
  return message;
}

}  // namespace

std::string Route::to_string() const {
  std::string text = destination.to_string();
  if (type == RouteType::Blackhole) text = "blackhole " + text;
  if (type == RouteType::Unreachable) text = "unreachable " + text;
  if (type == RouteType::Throw) text = "throw " + text;
  if (gateway) text += " via " + gateway->to_string();
  if (oif != 0) text += fmt::format(" dev {}", oif);
  return text + fmt::format(" table {}", table);
}

std::optional<Route> parse_route(const MessageView& message) {
  if (message.header.nlmsg_type != RTM_NEWROUTE && message.header.nlmsg_type != RTM_DELROUTE) {
    return std::nullopt;
  }
  const auto header = message.fixed<rtmsg>();
  if (!header || (header->rtm_flags & RTM_F_CLONED)) return std::nullopt;
  if (header->rtm_family != AF_INET && header->rtm_family != AF_INET6) return std::nullopt;
  const Attributes attributes(message.rest<rtmsg>());
  const net::IpAddress any =
      header->rtm_family == AF_INET ? net::IpAddress::from_v4(0) : net::IpAddress{};
  Route route;
  route.destination = {attributes.address(RTA_DST).value_or(any), header->rtm_dst_len};
  if (route.destination.length > route.destination.address.full_length()) return std::nullopt;
  route.table = attributes.u32(RTA_TABLE).value_or(header->rtm_table);
  route.type = from_kernel(header->rtm_type);
  // IPv6 hangs its unreachable routes on `lo`.
  const bool leads_somewhere = route.type == RouteType::Unicast || route.type == RouteType::Local;
  route.oif = leads_somewhere ? attributes.s32(RTA_OIF).value_or(0) : 0;
  route.gateway = attributes.address(RTA_GATEWAY);
  route.source = attributes.address(RTA_PREFSRC);
  route.scope = header->rtm_scope;
  route.protocol = header->rtm_protocol;
  route.priority = attributes.u32(RTA_PRIORITY).value_or(0);
  route.onlink = (header->rtm_flags & RTNH_F_ONLINK) != 0;
  route.mtu = attributes.nest(RTA_METRICS).u32(RTAX_MTU).value_or(0);
  return route;
}

Result<std::vector<Route>> list_routes(Socket& socket, net::Family family,
                                       const RouteFilter& filter) {
  rtmsg header{};
  header.rtm_family = family == net::Family::V4 ? AF_INET : AF_INET6;
  header.rtm_protocol = filter.protocol;
  Message message(RTM_GETROUTE);
  message.header(header);
  if (filter.table != 0) message.put_u32(RTA_TABLE, filter.table);
  if (filter.oif != 0) message.put_u32(RTA_OIF, static_cast<std::uint32_t>(filter.oif));
  std::vector<Route> routes;
  auto dump = socket.dump(std::move(message));
  // A table that was never written to is an error of the dump (ENOENT), not an empty one.
  if (dump.is(Error::Kind::NotFound)) return routes;
  TRY(std::move(dump)).for_each([&](const MessageView& view) {
    auto route = parse_route(view);
    if (!route || route->destination.family() != family) return;
    if (filter.table != 0 && route->table != filter.table) return;
    if (filter.oif != 0 && route->oif != filter.oif) return;
    if (filter.protocol != 0 && route->protocol != filter.protocol) return;
    routes.push_back(std::move(*route));
  });
  return routes;
}

Message replace_route(const Route& route) { return write(NLM_F_CREATE | NLM_F_REPLACE, route); }

Message add_route(const Route& route) { return write(NLM_F_CREATE | NLM_F_EXCL, route); }

Message delete_route(const Route& route) {
  rtmsg header = header_of(route);
  if (route.scope == 0) header.rtm_scope = RT_SCOPE_NOWHERE;  // any
  Message message(RTM_DELROUTE);
  message.header(header);
  put_body(message, route);
  return message;
}

}  // namespace terway::kernel
