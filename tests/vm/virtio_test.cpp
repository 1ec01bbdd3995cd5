// SPDX-License-Identifier: Apache-2.0
// A pod with an ENI of its own, on a NIC that is no veth's end: of two virtio NICs on one wire the
// first is the ENI, the second, in a namespace of its own, the VPC.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "kernel/link.h"
#include "kernel/netns.h"
#include "tests/netns/datapath/node.h"

using namespace terway;
using namespace terway::test;

namespace {

const net::Mac kEni = *net::Mac::parse("52:54:00:54:00:01");
const net::Mac kVpc = *net::Mac::parse("52:54:00:54:00:02");

std::optional<kernel::Link> find(kernel::Socket& socket, const net::Mac& mac) {
  const auto links = must(kernel::find_links(socket, mac));
  return links.empty() ? std::nullopt : std::optional(links.front());
}

// The kernel takes namespaces down in the background.
std::optional<kernel::Link> find_at_last(kernel::Socket& socket, const net::Mac& mac) {
  for (int i = 0; i < 600; ++i) {
    if (auto link = find(socket, mac)) return link;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return std::nullopt;
}

datapath::PodPlan plan_of(const Namespace& ns, const std::string& container) {
  datapath::PodPlan plan;
  plan.key = {container, "eth0"};
  plan.pod = {"default", container, {}, {}};
  plan.mode = model::NetworkMode::Exclusive;
  plan.eni_id = "eni-1";
  plan.nic_mac = kEni;
  plan.addresses = {ip("10.2.0.11")};
  plan.netns_path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(ns.fd());
  plan.netns_inode = must(kernel::netns_inode(ns.fd()));
  return plan;
}

}  // namespace

TEST_CASE("a virtio NIC comes back by itself when its pod's namespace ends, and is used again") {
  REQUIRE(std::system("modprobe virtio_net") == 0);
  auto socket = must(kernel::Socket::open(kernel::Protocol::Route));
  const auto eni = find_at_last(socket, kEni), far = find_at_last(socket, kVpc);
  REQUIRE(eni);
  REQUIRE(far);
  const Namespace vpc;
  kernel::LinkChange move;
  move.netns = vpc.fd();
  must(socket.request(kernel::change_link(far->ifindex, move)));
  shell(vpc, "ip link set " + far->name + " up && ip addr add 10.2.0.253/24 dev " + far->name);

  datapath::Settings settings;
  settings.exclusive = true;
  settings.fast_path = datapath::FastPathMode::Stack;
  auto datapath = must(datapath::Datapath::open(settings));
  datapath::EniPlan plan;
  plan.eni_id = "eni-1";
  plan.mac = kEni;
  plan.gateway_v4 = ip("10.2.0.253");
  std::string last = "never tried";
  for (int i = 0; i < 600 && !last.empty(); ++i) {
    const auto up = datapath->bring_up(plan);
    last = up.ok() ? "" : up.error().to_string();
    if (!up.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  REQUIRE(last == "");

  std::optional<Namespace> pod(std::in_place);
  const datapath::PodPlan first = plan_of(*pod, "first");
  must(datapath->add_pod(first, pod->descriptor()), "add the first pod");
  CHECK_FALSE(find(socket, kEni));
  CHECK(ping(vpc, ip("10.2.0.11")));
  // In the node its name has been taken meanwhile.
  REQUIRE(std::system(("ip link add " + eni->name + " type bridge").c_str()) == 0);
  pod.reset();
  const auto returned = find_at_last(socket, kEni);
  REQUIRE(returned);
  MESSAGE("it came back as " << returned->name << ", and was " << eni->name);
  CHECK(returned->name.starts_with("dev"));
  REQUIRE(std::system(("ip link del " + eni->name).c_str()) == 0);
  must(datapath->remove_pod(first), "remove the first pod");
  const auto home = find(socket, kEni);
  REQUIRE(home);
  CHECK(home->name == eni->name);
  CHECK_FALSE(home->up());
  CHECK(datapath->is_ready("eni-1"));

  const Namespace second;
  const datapath::PodPlan next = plan_of(second, "second");
  must(datapath->add_pod(next, second.descriptor()), "add the second pod");
  CHECK(ping(vpc, ip("10.2.0.11")));
  must(datapath->remove_pod(next, second.fd()), "remove the second pod");
  CHECK(find(socket, kEni)->name == eni->name);
}
