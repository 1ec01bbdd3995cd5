// SPDX-License-Identifier: Apache-2.0
// What does wiring one pod cost beside the fewest messages that the kernel needs for it? Both are
// measured in turn, in one run, in namespaces of its own: bench_wiring [PODS] [SAMPLES] [--ipv6]
// [--json].
#include <fmt/core.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

#include "datapath/datapath.h"
#include "kernel/address.h"
#include "kernel/link.h"
#include "kernel/neighbour.h"
#include "kernel/netns.h"
#include "kernel/route.h"
#include "kernel/socket.h"

namespace terway {
namespace {

using std::chrono::steady_clock;

// A bench has nothing better to do with an error than to end.
template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    fmt::print(stderr, "{}\n", result.error().to_string());
    std::quick_exit(1);
  }
  return std::move(result).value();
}

UniqueFd make_namespace() {
  UniqueFd fd;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) == 0) fd = must(kernel::current_netns());
  }).join();
  if (!fd) {
    fmt::print(stderr, "cannot make a network namespace (needs root)\n");
    std::quick_exit(1);
  }
  return fd;
}

struct Series {
  std::vector<double> us;
  void add(steady_clock::duration taken) {
    us.push_back(std::chrono::duration<double, std::micro>(taken).count());
  }
  double at(double quantile) {
    std::sort(us.begin(), us.end());
    return us.empty() ? 0
                      : us[static_cast<std::size_t>(quantile * static_cast<double>(us.size() - 1))];
  }
};

template <class Do>
void timed(Series& series, Do&& what) {
  const auto start = steady_clock::now();
  what();
  series.add(steady_clock::now() - start);
}

constexpr net::Mac kEniMac{{0x0e, 0, 0, 0, 2, 1}};
constexpr net::Mac kGatewayMac{{0x0e, 0, 0, 0, 2, 0xfd}};

kernel::Message up(int ifindex) {
  kernel::LinkChange change;
  change.up = true;
  return kernel::change_link(ifindex, change);
}

// A node with one ENI, whose gateway is the far end of a veth.
struct World {
  UniqueFd node = make_namespace();
  UniqueFd vpc = make_namespace();
  net::IpAddress gateway4 = *net::IpAddress::parse("10.2.0.253");
  net::IpAddress gateway6 = *net::IpAddress::parse("fd02::253");
  kernel::Socket socket = must(kernel::Socket::open_in(node.get(), kernel::Protocol::Route));

  World() {
    must(socket.request(kernel::make_veth({.name = "eth1", .mac = kEniMac},
                                          {.name = "e1", .mac = kGatewayMac, .netns = vpc.get()})));
    auto far = must(kernel::Socket::open_in(vpc.get(), kernel::Protocol::Route));
    const int index = must(kernel::get_link(far, "e1")).ifindex;
    std::vector<kernel::Message> messages;
    messages.push_back(up(index));
    messages.push_back(kernel::add_address(index, net::Prefix::host(gateway4)));
    messages.push_back(kernel::add_address(index, net::Prefix::host(gateway6), IFA_F_NODAD));
    must(far.request_all(messages));
  }
};

std::vector<net::IpAddress> addresses_of(unsigned n, bool ipv6) {
  std::vector<net::IpAddress> addresses = {net::IpAddress::from_v4(0x0a030000U + n)};
  if (ipv6) addresses.push_back(net::IpAddress::parse("fd02::1:0")->plus(n));
  return addresses;
}

// The floor: one veth, the node's route and neighbour, the pod's address, two routes and neighbour.
// Indexes are preset, nothing is asked, nothing is checked.
void wire_raw(kernel::Socket& node, const UniqueFd& pod, unsigned n, bool ipv6) {
  const int outer = 100000 + static_cast<int>(n);
  const int inner = 2;
  const net::Mac outer_mac{
      {2, 1, 0, 0, static_cast<std::uint8_t>(n >> 8U), static_cast<std::uint8_t>(n)}};
  const net::Mac inner_mac{
      {2, 2, 0, 0, static_cast<std::uint8_t>(n >> 8U), static_cast<std::uint8_t>(n)}};
  must(node.request(kernel::make_veth(
      {.name = fmt::format("raw{}", n), .mac = outer_mac, .mtu = 1500, .ifindex = outer},
      {.name = "eth0", .mac = inner_mac, .mtu = 1500, .ifindex = inner, .netns = pod.get()})));
  std::vector<kernel::Message> outside, inside;
  outside.push_back(up(outer));
  inside.push_back(up(inner));
  for (const net::IpAddress& address : addresses_of(n + 30000, ipv6)) {
    const bool v4 = address.is_v4();
    const net::IpAddress gateway = *net::IpAddress::parse(v4 ? "169.254.1.1" : "fe80::1");
    kernel::Route to_pod;
    to_pod.destination = net::Prefix::host(address);
    to_pod.table = 998;
    to_pod.oif = outer;
    to_pod.scope = v4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    outside.push_back(kernel::add_route(to_pod));
    outside.push_back(kernel::set_neighbour(outer, address, inner_mac));
    inside.push_back(kernel::add_address(inner, net::Prefix::host(address), IFA_F_NODAD));
    kernel::Route link;
    link.destination = net::Prefix::host(gateway);
    link.oif = inner;
    link.scope = to_pod.scope;
    inside.push_back(kernel::add_route(link));
    kernel::Route through;
    through.destination = {v4 ? net::IpAddress::from_v4(0) : net::IpAddress{}, 0};
    through.oif = inner;
    through.gateway = gateway;
    through.onlink = true;
    inside.push_back(kernel::add_route(through));
    inside.push_back(kernel::set_neighbour(inner, gateway, outer_mac));
  }
  must(node.request_all(outside));
  auto socket = must(kernel::Socket::open_in(pod.get(), kernel::Protocol::Route));
  must(socket.request_all(inside));
}

datapath::PodPlan plan_of(unsigned n, bool ipv6) {
  datapath::PodPlan plan;
  plan.key = {fmt::format("{:064x}", n), "eth0"};
  plan.eni_id = "eni-1";
  plan.addresses = addresses_of(n, ipv6);
  return plan;
}

struct Numbers {
  Series floor, add, remove;
  double delete_us = 0;  // a link, in the background
  double resync_us = 0;
};

Numbers measure(unsigned pods, unsigned samples, bool ipv6) {
  World world;
  const auto inside = must(kernel::InsideNetns::enter(world.node.get()));
  datapath::Settings settings;
  settings.ipv6 = ipv6;
  settings.fast_path = datapath::FastPathMode::Stack;
  auto datapath = must(datapath::Datapath::open(settings));
  datapath::EniPlan eni;
  eni.eni_id = "eni-1";
  eni.mac = kEniMac;
  eni.gateway_v4 = world.gateway4;
  if (ipv6) eni.gateway_v6 = world.gateway6;
  for (int attempt = 0; !datapath->bring_up(eni).ok(); ++attempt) {
    if (attempt == 200) must(datapath->bring_up(eni));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  Numbers numbers;
  std::vector<UniqueFd> resident;
  datapath::Desired desired{{eni}, {}};
  for (unsigned n = 0; n < pods; ++n) {
    resident.push_back(make_namespace());
    desired.pods.push_back(plan_of(n, ipv6));
    must(datapath->add_pod(desired.pods.back(), resident.back()));
  }
  // In rounds, so that what waits for deletion never grows past what a busy node has.
  constexpr unsigned kRound = 50;
  steady_clock::duration deleting{};
  for (unsigned done = 0; done < samples; done += kRound) {
    std::vector<UniqueFd> ours, raw;
    for (unsigned i = 0; i < kRound; ++i) {
      ours.push_back(make_namespace());
      raw.push_back(make_namespace());
    }
    for (unsigned i = 0; i < kRound; ++i) {
      timed(numbers.floor, [&] { wire_raw(world.socket, raw[i], i, ipv6); });
      timed(numbers.add, [&] { must(datapath->add_pod(plan_of(10000 + i, ipv6), ours[i])); });
    }
    for (unsigned i = 0; i < kRound; ++i) {
      timed(numbers.remove, [&] { must(datapath->remove_pod(plan_of(10000 + i, ipv6))); });
    }
    const auto start = steady_clock::now();
    must(datapath->delete_marked_links());
    deleting += steady_clock::now() - start;
    raw.clear();
    for (unsigned i = 0; i < kRound; ++i) {
      (void)world.socket.request(kernel::delete_link(100000 + static_cast<int>(i)));
    }
  }
  numbers.delete_us = std::chrono::duration<double, std::micro>(deleting).count() / samples;
  Series resync;
  for (int i = 0; i < 20; ++i) {
    timed(resync, [&] { must(datapath->resync(desired, true)); });
  }
  numbers.resync_us = resync.at(0.5);
  return numbers;
}

}  // namespace
}  // namespace terway

int main(int argc, char** argv) {
  unsigned positional[2] = {100, 500};
  unsigned given = 0;
  bool ipv6 = false, json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--ipv6") {
      ipv6 = true;
    } else if (argument == "--json") {
      json = true;
    } else if (given < 2) {
      positional[given++] = static_cast<unsigned>(std::strtoul(argv[i], nullptr, 10));
    }
  }
  auto numbers = terway::measure(positional[0], std::max(50U, positional[1] / 50 * 50), ipv6);
  auto& [floor, add, remove, delete_us, resync_us] = numbers;
  if (json) {
    fmt::print(
        "{{\"pods\":{},\"floor_us\":{{\"p50\":{:.0f},\"p99\":{:.0f}}},"
        "\"add_us\":{{\"p50\":{:.0f},\"p99\":{:.0f}}},"
        "\"remove_us\":{{\"p50\":{:.0f},\"p99\":{:.0f}}},"
        "\"delete_us_per_link\":{:.0f},\"resync_us\":{:.0f}}}\n",
        positional[0], floor.at(.5), floor.at(.99), add.at(.5), add.at(.99), remove.at(.5),
        remove.at(.99), delete_us, resync_us);
    return 0;
  }
  fmt::print("{} pods on the node, {} samples{}, microseconds\n", positional[0], add.us.size(),
             ipv6 ? ", dual stack" : "");
  fmt::print("{:<34}{:>8}{:>8}{:>8}\n", "", "p50", "p90", "p99");
  for (auto& [name, series] :
       {std::pair<const char*, terway::Series&>{"kernel floor (raw messages)", floor},
        {"add_pod", add},
        {"remove_pod", remove}}) {
    fmt::print("{:<34}{:>8.0f}{:>8.0f}{:>8.0f}\n", name, series.at(.5), series.at(.9),
               series.at(.99));
  }
  fmt::print("{:<34}{:>8.0f}\n", "a link's deletion, in background", delete_us);
  fmt::print("{:<34}{:>8.0f}\n", "resync that changes nothing", resync_us);
  return 0;
}
