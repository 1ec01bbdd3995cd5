// SPDX-License-Identifier: Apache-2.0
// The fabric between real namespaces: NICs that come and go, pings and streams across it, and
// frames that lie.
#include "vpcsim/fabric.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "kernel/link.h"
#include "tests/netns/namespace.h"
#include "tests/packet/packet.h"

namespace terway::vpcsim {
namespace {

using packet::Packet;

constexpr auto kGateway = "ee:ff:ff:ff:ff:ff";

// A namespace in the place of a machine; it dies with it.
class Node {
 public:
  Node() { ip("link set lo up"); }

  std::string path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(space_.fd());
  }
  int netns() const { return space_.fd(); }

  // A command line without quotes; its exit code.
  int run(const std::string& line) const {
    std::istringstream words(line);
    std::vector<std::string> arguments;
    for (std::string word; words >> word;) arguments.push_back(word);
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const UniqueFd quiet(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    const pid_t pid = ::fork();
    if (pid == 0) {
      if (::setns(space_.fd(), CLONE_NEWNET) != 0) ::_exit(126);
      if (::dup2(quiet.get(), STDOUT_FILENO) < 0) ::_exit(126);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  void ip(const std::string& what) const {
    CAPTURE(what);
    REQUIRE(run("ip " + what) == 0);
  }
  bool pings(const std::string& target, const std::string& options = "") const {
    return run("ping -q -n -c 2 -i 0.2 -W 2 " + options + " " + target) == 0;
  }

  bool hears_nothing_from(const std::string& target, const std::string& options = "") const {
    return run("ping -q -n -c 1 -W 0.5 " + options + " " + target) != 0;
  }

  std::vector<kernel::Link> links() const {
    auto socket = space_.route_socket();
    auto links = test::must(kernel::list_links(socket));
    std::erase_if(links, [](const kernel::Link& link) { return link.name == "lo"; });
    return links;
  }

  // One frame out of the NIC, as it is.
  void send(const std::string& ifname, const packet::Bytes& frame) const {
    const UniqueFd fd = socket(AF_PACKET, SOCK_RAW);
    auto route = space_.route_socket();
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = test::must(kernel::get_link(route, ifname)).ifindex;
    REQUIRE(::sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to),
                     sizeof(to)) == static_cast<ssize_t>(frame.size()));
  }

  UniqueFd socket(int family, int type) const {
    UniqueFd fd(space_.run([&] { return ::socket(family, type | SOCK_CLOEXEC, 0); }));
    REQUIRE(fd);
    return fd;
  }

 private:
  test::Namespace space_;
};

Nic nic(const Node& node, int number, const std::string& vpc = "vpc-1", int vswitch = 0) {
  const std::string low = std::to_string(10 + number);
  const std::string net = std::to_string(vswitch);
  Nic nic;
  nic.eni_id = "eni-" + vpc + "-" + low;
  nic.mac = packet::mac("00:16:3e:00:00:" + low);
  nic.netns_path = node.path();
  nic.ifname = "eth0";
  nic.vpc_id = vpc;
  nic.vswitch_cidr = *net::Prefix::parse("10.0." + net + ".0/24");
  nic.vswitch_ipv6_cidr = net::Prefix::parse("2001:db8:0:" + net + "::/64");
  nic.gateway = packet::address("10.0." + net + ".253");
  nic.gateway_ipv6 = packet::address("2001:db8:0:" + net + ":ffff:ffff:ffff:fffd");
  nic.addresses = {packet::address("10.0." + net + "." + low),
                   packet::address("2001:db8:0:" + net + "::" + low)};
  return nic;
}

// As a node's own start-up would.
void configure(const Node& node, const Nic& nic, const std::string& ifname = "eth0") {
  node.ip("link set " + ifname + " up");
  for (const auto& address : nic.addresses) {
    if (address.is_v4())
      node.ip("addr add " + address.to_string() + "/24 dev " + ifname);
    else
      node.ip("addr add " + address.to_string() + "/64 nodad dev " + ifname);
  }
  node.ip("route add default via " + nic.gateway.to_string() + " dev " + ifname);
  node.ip("route add default via " + nic.gateway_ipv6->to_string() + " dev " + ifname);
}

struct Bed {
  std::unique_ptr<Fabric> fabric = test::must(Fabric::open(), "open the fabric");

  void plug(const Nic& nic) { test::must(fabric->plug(nic), "plug"); }
  std::vector<NicCounters> counters() { return test::must(fabric->counters()); }
  std::uint64_t count(const Nic& nic, const std::string& name) {
    for (const auto& nics : counters())
      if (nics.eni_id == nic.eni_id) return nics.by_name.at(name);
    return 0;
  }
  std::uint64_t spoofed() {
    std::uint64_t total = 0;
    for (const auto& nics : counters())
      for (const auto& [name, count] : nics.by_name)
        if (name.starts_with(kSpoofed)) total += count;
    return total;
  }
};

// Sends so many bytes from one node to an address of another; what the receiver got, each byte
// checked. Gives up after half a minute.
std::uint64_t stream(const Node& from, const Node& to, const std::string& address,
                     std::uint64_t bytes) {
  const auto parsed = packet::address(address);
  const int family = parsed.is_v4() ? AF_INET : AF_INET6;
  sockaddr_storage where{};
  where.ss_family = static_cast<sa_family_t>(family);
  reinterpret_cast<sockaddr_in*>(&where)->sin_port = htons(7777);
  ::inet_pton(family, address.c_str(),
              parsed.is_v4()
                  ? static_cast<void*>(&reinterpret_cast<sockaddr_in*>(&where)->sin_addr)
                  : static_cast<void*>(&reinterpret_cast<sockaddr_in6*>(&where)->sin6_addr));
  const timeval patience{30, 0};
  const UniqueFd listener = to.socket(family, SOCK_STREAM);
  ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&where), sizeof(where)) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  std::thread sender([&] {
    const UniqueFd fd = from.socket(family, SOCK_STREAM);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof(where)) != 0) return;
    std::vector<char> block(1 << 16, 'x');
    for (std::uint64_t sent = 0; sent < bytes;) {
      const auto n =
          ::send(fd.get(), block.data(), std::min<std::uint64_t>(block.size(), bytes - sent), 0);
      if (n <= 0) return;
      sent += static_cast<std::uint64_t>(n);
    }
  });
  std::uint64_t received = 0;
  {
    const UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::vector<char> block(1 << 16);
    if (fd) ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while (fd) {
      const auto n = ::recv(fd.get(), block.data(), block.size(), 0);
      if (n <= 0) break;
      received += static_cast<std::uint64_t>(std::count(block.begin(), block.begin() + n, 'x'));
    }
  }
  sender.join();
  return received;
}

TEST_CASE(
    "an ENI appears in its node as a NIC: down, with its MAC, its MTU and the next free name") {
  Node node;
  Bed bed;
  Nic first = nic(node, 1);
  first.mtu = 8500;
  bed.plug(first);
  bed.plug(nic(node, 2));
  const auto links = node.links();
  REQUIRE(links.size() == 2);
  CHECK(links[0].name == "eth0");
  CHECK(links[0].mac == first.mac);
  CHECK(links[0].mtu == 8500);
  CHECK_FALSE(links[0].up());
  CHECK_FALSE(links[0].stacked());
  CHECK(links[1].name == "eth1");
  CHECK(links[1].mtu == 1500);

  // Once more: nothing changes.
  bed.plug(first);
  const auto again = node.links();
  REQUIRE(again.size() == 2);
  CHECK(again[0].ifindex == links[0].ifindex);
}

TEST_CASE("nodes of one VPC reach each other and their gateways, and nothing counts as spoofed") {
  Node a, b;
  Bed bed;
  const Nic nic_a = nic(a, 1), nic_b = nic(b, 2), far_b = nic(b, 3, "vpc-1", 1);
  bed.plug(nic_a);
  bed.plug(nic_b);
  configure(a, nic_a);
  configure(b, nic_b);
  CHECK(a.pings("10.0.0.253"));
  CHECK(a.pings("2001:db8:0:0:ffff:ffff:ffff:fffd"));
  CHECK(a.pings("10.0.0.12"));
  CHECK(a.pings("10.0.0.12", "-s 4000"));
  CHECK(b.pings("2001:db8::11"));
  CHECK(a.hears_nothing_from("10.0.0.99"));
  CHECK(bed.count(nic_a, "no_destination") > 0);
  CHECK(stream(a, b, "10.0.0.12", 1 << 20) == 1 << 20);
  CHECK(stream(b, a, "2001:db8::11", 1 << 20) == 1 << 20);

  // A second NIC, of another vSwitch: routed all the same. (Its replies are to leave by it, too.)
  bed.plug(far_b);
  b.ip("link set eth1 up");
  b.ip("addr add 10.0.1.13/32 dev eth1");
  b.ip("route add default via 10.0.1.253 dev eth1 onlink table 100");
  b.ip("rule add from 10.0.1.13 lookup 100");
  CHECK(a.pings("10.0.1.13"));
  CHECK(bed.spoofed() == 0);
  CHECK(bed.count(far_b, "forwarded") > 0);
}

TEST_CASE("a node that sends from the wrong NIC is counted, and nobody gets the packet") {
  Node a, b;
  Bed bed;
  const Nic nic_a = nic(a, 1), nic_b = nic(b, 2), second = nic(a, 3);
  for (const auto& each : {nic_a, nic_b, second}) bed.plug(each);
  configure(a, nic_a);
  configure(b, nic_b);
  a.ip("link set eth1 up");
  // So that the neighbour is known: an ARP request would lie, too.
  REQUIRE(a.pings("10.0.0.12"));
  REQUIRE(bed.spoofed() == 0);

  // The second ENI's address, sent by the first one.
  a.ip("addr add 10.0.0.13/32 dev lo");
  CHECK(a.hears_nothing_from("10.0.0.12", "-I 10.0.0.13"));
  CHECK(bed.count(nic_a, "spoofed_ip") == 1);

  const auto from = [&](const Nic& of) { return Packet::from(of.mac.to_string()).to(kGateway); };
  a.send("eth1", from(nic_a).ip("10.0.0.13", "10.0.0.12").udp(1, 2).bytes());
  CHECK(bed.count(second, "spoofed_mac") == 1);
  a.send("eth1",
         from(second).arp_request(second.mac.to_string(), "10.0.0.11", "10.0.0.253").bytes());
  CHECK(bed.count(second, "spoofed_arp") == 1);
  a.send("eth1", from(second)
                     .ip("2001:db8::13", "ff02::1")
                     .neighbour_advertisement("2001:db8::11", second.mac.to_string(), "O")
                     .bytes());
  CHECK(bed.count(second, "spoofed_nd") == 1);
  // A probe that claims nothing is none.
  a.send("eth1", from(second).arp_request(second.mac.to_string(), "0.0.0.0", "10.0.0.253").bytes());
  CHECK(bed.count(second, "answered_arp") == 1);
  CHECK(bed.spoofed() == 4);

  // The oracle outlives the NIC.
  REQUIRE(bed.fabric->unplug(second.eni_id).ok());
  CHECK(bed.spoofed() == 4);
}

TEST_CASE("an address that moves from one ENI to another is followed at once") {
  Node a, b;
  Bed bed;
  Nic nic_a = nic(a, 1);
  const Nic nic_b = nic(b, 2);
  bed.plug(nic_a);
  bed.plug(nic_b);
  configure(a, nic_a);
  configure(b, nic_b);
  const auto extra = packet::address("10.0.0.50");
  b.ip("addr add 10.0.0.50/32 dev lo");
  CHECK(a.hears_nothing_from("10.0.0.50"));

  auto with = nic_b.addresses;
  with.push_back(extra);
  REQUIRE(bed.fabric->update_addresses(nic_b.eni_id, with).ok());
  CHECK(a.pings("10.0.0.50"));

  // The new owner first, the old one's loss later: as two calls may arrive.
  b.ip("addr del 10.0.0.50/32 dev lo");
  a.ip("addr add 10.0.0.50/32 dev lo");
  nic_a.addresses.push_back(extra);
  REQUIRE(bed.fabric->update_addresses(nic_a.eni_id, nic_a.addresses).ok());
  REQUIRE(bed.fabric->update_addresses(nic_b.eni_id, nic_b.addresses).ok());
  CHECK(b.pings("10.0.0.50"));
  CHECK(bed.spoofed() == 0);
  CHECK(bed.fabric->update_addresses("eni-unknown", {}).is(Error::Kind::NotFound));
}

TEST_CASE(
    "a NIC that dies with a pod's namespace is told at once, and plugged anew into its node") {
  Node node;
  Bed bed;
  const Nic one = nic(node, 1), two = nic(node, 2);
  bed.plug(one);
  bed.plug(two);
  CHECK(test::must(bed.fabric->take_lost()).empty());
  {
    const Node pod;
    auto socket =
        test::must(kernel::Socket::open_in(node.netns(), kernel::Protocol::Route), "open a socket");
    kernel::LinkChange move;
    move.netns = pod.netns();
    test::must(socket.request(kernel::change_link("eth0", move)), "move the NIC");
    CHECK(test::must(bed.fabric->take_lost()).empty());
  }
  // A namespace is taken down in the background.
  std::vector<std::string> lost;
  while (lost.empty()) {
    pollfd event{bed.fabric->events_fd(), POLLIN, 0};
    REQUIRE(::poll(&event, 1, 30'000) == 1);
    lost = test::must(bed.fabric->take_lost());
  }
  CHECK(lost == std::vector{one.eni_id});
  bed.plug(one);
  const auto links = node.links();
  REQUIRE(links.size() == 2);
  CHECK(std::any_of(links.begin(), links.end(),
                    [&](const auto& link) { return link.mac == one.mac && link.name == "eth0"; }));
  CHECK(test::must(bed.fabric->take_lost()).empty());
}

TEST_CASE("a NIC is pulled from wherever it was moved to, and pulling it again is a success") {
  Node node, pod;
  Bed bed;
  const Nic one = nic(node, 1);
  bed.plug(one);
  {
    auto socket =
        test::must(kernel::Socket::open_in(node.netns(), kernel::Protocol::Route), "open a socket");
    kernel::LinkChange move;
    move.netns = pod.netns();
    test::must(socket.request(kernel::change_link("eth0", move)), "move the NIC");
  }
  REQUIRE(node.links().empty());
  REQUIRE(pod.links().size() == 1);
  REQUIRE(bed.fabric->unplug(one.eni_id).ok());
  CHECK(pod.links().empty());
  CHECK(bed.fabric->unplug(one.eni_id).ok());

  // And it can come back.
  bed.plug(one);
  CHECK(node.links().size() == 1);
}

TEST_CASE("a node that died or was replaced gets its NIC anew") {
  Node peer;
  Bed bed;
  const Nic nic_b = nic(peer, 2);
  bed.plug(nic_b);
  configure(peer, nic_b);
  auto node = std::make_unique<Node>();
  bed.plug(nic(*node, 1));
  configure(*node, nic(*node, 1));
  CHECK(peer.pings("10.0.0.11"));

  // The namespace goes, and the veth with it, at the kernel's leisure.
  const Nic gone = nic(*node, 1);
  node.reset();
  CHECK(bed.fabric->plug(gone).is(Error::Kind::NotFound));
  bool silent = false;
  for (int i = 0; i < 50 && !silent; ++i) silent = peer.hears_nothing_from("10.0.0.11");
  CHECK(silent);

  Node reborn;
  const Nic again = nic(reborn, 1);
  bed.plug(again);
  configure(reborn, again);
  CHECK(peer.pings("10.0.0.11"));

  // Asked for elsewhere while the old one lives: there is one of it, the new one.
  Node elsewhere;
  const Nic moved = nic(elsewhere, 1);
  bed.plug(moved);
  CHECK(reborn.links().empty());
  configure(elsewhere, moved);
  CHECK(peer.pings("10.0.0.11"));
  CHECK(bed.spoofed() == 0);
}

TEST_CASE("without the fabric there are no NICs") {
  Node node;
  Bed bed;
  bed.plug(nic(node, 1));
  REQUIRE(node.links().size() == 1);
  bed.fabric.reset();
  // The kernel takes a namespace apart at its leisure.
  for (int i = 0; i < 1000 && !node.links().empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(node.links().empty());
}

TEST_CASE("two VPCs with the same addresses do not see each other") {
  Node a, b, other_b;
  Bed bed;
  const Nic nic_a = nic(a, 1), nic_b = nic(other_b, 2, "vpc-2"), mine = nic(b, 3);
  bed.plug(nic_a);
  bed.plug(nic_b);
  configure(a, nic_a);
  configure(other_b, nic_b);
  CHECK(a.hears_nothing_from("10.0.0.12"));
  bed.plug(mine);
  configure(b, mine);
  CHECK(a.pings("10.0.0.13"));
  CHECK(other_b.hears_nothing_from("10.0.0.13"));
}

TEST_CASE("a stream crosses a path of a smaller MTU, for its sender is told") {
  Node a, b;
  Bed bed;
  const Nic nic_a = nic(a, 1), nic_b = nic(b, 2);
  bed.plug(nic_a);
  bed.plug(nic_b);
  configure(a, nic_a);
  configure(b, nic_b);
  bed.fabric->set_path_mtu(1400);
  CHECK(stream(a, b, "10.0.0.12", 1 << 20) == 1 << 20);
  const auto told = bed.count(nic_a, "too_big");
  CHECK(told > 0);
  CHECK(stream(a, b, "2001:db8::12", 1 << 20) == 1 << 20);
  CHECK(bed.count(nic_a, "too_big") > told);
  CHECK(b.hears_nothing_from("10.0.0.11", "-M do -s 1373"));
  CHECK(b.pings("10.0.0.11", "-M do -s 1372"));
  CHECK(bed.spoofed() == 0);
}

TEST_CASE("large packets cross uncut") {
  Node a, b;
  Bed bed;
  const Nic nic_a = nic(a, 1), nic_b = nic(b, 2);
  bed.plug(nic_a);
  bed.plug(nic_b);
  configure(a, nic_a);
  configure(b, nic_b);
  const auto start = std::chrono::steady_clock::now();
  constexpr std::uint64_t kBytes = 256 << 20;
  CHECK(stream(a, b, "10.0.0.12", kBytes) == kBytes);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const double rate = static_cast<double>(kBytes) * 8 / 1e9 / took.count();
  MESSAGE(rate, " Gbit/s");
  CHECK(bed.spoofed() == 0);
}

}  // namespace
}  // namespace terway::vpcsim
