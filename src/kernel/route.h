// SPDX-License-Identifier: Apache-2.0
// Routes (RTM_*ROUTE). Equality is what "the same route" means to a diff.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/socket.h"
#include "net/address.h"

namespace terway::kernel {

enum class RouteType : std::uint8_t {
  Unicast,
  Local,
  Broadcast,
  Multicast,
  Blackhole,
  Unreachable,
  Prohibit,
  Throw,
  Other
};

inline constexpr std::uint32_t kMainTable = 254;
inline constexpr std::uint32_t kLocalTable = 255;

struct Route {
  net::Prefix destination;  // 0.0.0.0/0 and ::/0 are the default routes
  std::uint32_t table = kMainTable;
  RouteType type = RouteType::Unicast;
  int oif = 0;  // 0 for routes that lead nowhere
  std::optional<net::IpAddress> gateway;
  std::optional<net::IpAddress> source;  // preferred source
  std::uint8_t scope = 0;                // RT_SCOPE_*; IPv6 knows only universe
  std::uint8_t protocol = 0;             // RTPROT_*: who made it
  std::uint32_t priority = 0;            // metric; IPv6 writes 1024 where 0 was asked
  bool onlink = false;
  std::uint32_t mtu = 0;  // 0: the link's

  std::string to_string() const;
  bool operator==(const Route&) const = default;
};

// nullopt for cloned (cached) routes and for what is no route.
std::optional<Route> parse_route(const MessageView& message);

struct RouteFilter {
  std::uint32_t table = 0;    // 0: every table
  int oif = 0;                // 0: any
  std::uint8_t protocol = 0;  // 0: any
};
// Filtered by the kernel where it can, and once more here.
Result<std::vector<Route>> list_routes(Socket& socket, net::Family family,
                                       const RouteFilter& filter = {});

// Makes the route, or replaces one of the same destination, table and priority.
Message replace_route(const Route& route);
// Fails with Exists when one is there.
Message add_route(const Route& route);
// NotFound (ESRCH) when it is not there. What is zero or absent in `route` matches anything.
Message delete_route(const Route& route);

}  // namespace terway::kernel
