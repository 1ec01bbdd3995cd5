// SPDX-License-Identifier: Apache-2.0
#include "floor.h"

#include <fmt/core.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/fd.h"
#include "kernel/address.h"
#include "kernel/link.h"
#include "kernel/neighbour.h"
#include "kernel/netns.h"
#include "kernel/nftables.h"
#include "kernel/route.h"
#include "rpc/frame.h"
#include "rpc/plugin_server.h"

namespace terway::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kTable = "floor";
constexpr const char* kMap = "pods";
constexpr const char* kChain = "leave";
constexpr std::uint32_t kGroup = 0x7fff;
constexpr std::uint32_t kRouteTable = 998;
constexpr std::size_t kRound = 50;
constexpr int kInnerIndex = 2;  // the first after lo

Result<UniqueFd> namespace_without_path() {
  Result<UniqueFd> made = Error(Error::Kind::Internal, "");
  std::thread([&] {
    made = ::unshare(CLONE_NEWNET) == 0
               ? kernel::current_netns()
               : Result<UniqueFd>(Error::from_errno(errno, "unshare a network namespace"));
  }).join();
  return made;
}

kernel::Message up(int ifindex) {
  kernel::LinkChange change;
  change.up = true;
  return kernel::change_link(ifindex, change);
}

class Host {
 public:
  static Result<Host> make() {
    Host host(TRY(kernel::Socket::open(kernel::Protocol::Route)),
              TRY(kernel::Socket::open(kernel::Protocol::Netfilter)));
    kernel::nft::Table table;
    table.name = kTable;
    table.chains = {{kChain, {}, {}}};
    table.maps = {{kMap, kernel::nft::KeyType::Ipv4, {}}};
    TRY(kernel::nft::replace_table(host.netfilter_, table));
    return host;
  }

  // Indices are chosen, nothing is asked and nothing is checked.
  Result<> wire(unsigned n, const UniqueFd& pod) {
    const int outer = 100'000 + static_cast<int>(n);
    const auto high = static_cast<std::uint8_t>(n >> 8U);
    const auto low = static_cast<std::uint8_t>(n);
    const net::Mac outer_mac{{2, 1, 0, 0, high, low}};
    const net::Mac inner_mac{{2, 2, 0, 0, high, low}};
    const auto address = net::IpAddress::from_v4(0x0a030000U + n);
    const auto gateway = net::IpAddress::from_v4(0xa9fe0101U);
    TRY(route_.request(kernel::make_veth({fmt::format("raw{}", n), outer_mac, 1500, kGroup, outer},
                                         {"eth0", inner_mac, 1500, 0, kInnerIndex, pod.get()})));
    kernel::Route to_pod;
    to_pod.destination = net::Prefix::host(address);
    to_pod.table = kRouteTable;
    to_pod.oif = outer;
    to_pod.scope = RT_SCOPE_LINK;
    std::vector<kernel::Message> outside = {up(outer), kernel::add_route(to_pod),
                                            kernel::set_neighbour(outer, address, inner_mac)};
    TRY(route_.request_all(outside));
    const std::vector<std::uint8_t> key(address.wire(), address.wire() + address.wire_size());
    TRY(kernel::nft::change_maps(netfilter_, kTable, {{kMap, {{key, kChain}}, {}}}));
    kernel::Route to_gateway;
    to_gateway.destination = net::Prefix::host(gateway);
    to_gateway.oif = kInnerIndex;
    to_gateway.scope = RT_SCOPE_LINK;
    kernel::Route through;
    through.destination = {net::IpAddress::from_v4(0), 0};
    through.oif = kInnerIndex;
    through.gateway = gateway;
    through.onlink = true;
    std::vector<kernel::Message> inside = {
        up(kInnerIndex), kernel::add_address(kInnerIndex, net::Prefix::host(address)),
        kernel::add_route(to_gateway), kernel::add_route(through),
        kernel::set_neighbour(kInnerIndex, gateway, outer_mac)};
    auto inner = TRY(kernel::Socket::open_in(pod.get(), kernel::Protocol::Route));
    return inner.request_all(inside);
  }

  Result<> unwire(unsigned from, unsigned to) {
    kernel::nft::MapChange change{kMap, {}, {}};
    for (unsigned n = from; n < to; ++n) {
      const auto address = net::IpAddress::from_v4(0x0a030000U + n);
      change.remove.push_back({{address.wire(), address.wire() + address.wire_size()}, kChain});
      TRY(route_.request(kernel::delete_link(100'000 + static_cast<int>(n))));
    }
    return kernel::nft::change_maps(netfilter_, kTable, {change});
  }

  Result<> clear() {
    TRY(route_.request(kernel::delete_link_group(kGroup)));
    return kernel::nft::delete_table(netfilter_, kTable);
  }

 private:
  Host(kernel::Socket route, kernel::Socket netfilter)
      : route_(std::move(route)), netfilter_(std::move(netfilter)) {}
  kernel::Socket route_;
  kernel::Socket netfilter_;
};

}  // namespace

Result<Measured> wire_by_hand(std::size_t samples, std::size_t resident) {
  Host host = TRY(Host::make());
  std::vector<UniqueFd> residents;
  unsigned next = 1;
  for (std::size_t i = 0; i < resident; ++i) {
    residents.push_back(TRY(namespace_without_path()));
    TRY(host.wire(next++, residents.back()));
  }
  std::vector<Outcome> outcomes;
  while (outcomes.size() < samples) {
    std::vector<UniqueFd> pods;
    for (std::size_t i = 0; i < kRound; ++i) pods.push_back(TRY(namespace_without_path()));
    const unsigned first = next;
    for (const UniqueFd& pod : pods) {
      const auto start = Clock::now();
      TRY(host.wire(next++, pod));
      Outcome outcome{
          std::chrono::duration<double, std::milli>(Clock::now() - start).count(), false, {}};
      outcomes.push_back(std::move(outcome));
    }
    TRY(host.unwire(first, next));
  }
  TRY(host.clear());
  double total = 0;
  for (const Outcome& outcome : outcomes) total += outcome.millis;
  return collect(std::move(outcomes), total / 1000);
}

Result<Exchange> exchange(const std::string& plugin, std::size_t samples,
                          const std::vector<std::string>& namespaces) {
  const auto server =
      TRY(rpc::PluginServer::start(rpc::kPluginSocket, [](const rpc::PluginRequest& request) {
        return rpc::PluginAnswer{0, request.config};
      }));
  const std::string config = R"({"cniVersion":"1.0.0","name":"bench","type":"terway"})";
  std::vector<PluginCall> versions;
  std::vector<PluginCall> adds;
  for (std::size_t i = 0; i < samples; ++i) {
    const std::string& netns = namespaces[i % namespaces.size()];
    const std::string container = fmt::format("c{}", i);
    versions.push_back(call_of(plugin, "VERSION", R"({"cniVersion":"1.0.0"})", netns, container));
    adds.push_back(call_of(plugin, "ADD", config, netns, container));
  }
  Exchange both;
  both.startup = TRY(all_succeeded(measure(versions, 1), "VERSION"));
  both.round_trip = TRY(all_succeeded(measure(adds, 1), "round trip"));
  return both;
}

}  // namespace terway::bench
