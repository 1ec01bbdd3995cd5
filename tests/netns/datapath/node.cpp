// SPDX-License-Identifier: Apache-2.0
#include "tests/netns/datapath/node.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace terway::test {

namespace {

struct Socket {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Socket socket_address(const net::IpAddress& address, std::uint16_t port) {
  Socket result;
  if (address.is_v4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&result.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    std::memcpy(&in->sin_addr, address.wire(), 4);
    result.size = sizeof(sockaddr_in);
  } else {
    auto* in = reinterpret_cast<sockaddr_in6*>(&result.storage);
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    std::memcpy(&in->sin6_addr, address.wire(), 16);
    result.size = sizeof(sockaddr_in6);
  }
  return result;
}

std::string peer_text(const sockaddr_storage& storage) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const auto* in = reinterpret_cast<const sockaddr_in6*>(&storage);
  ::inet_ntop(AF_INET6, &in->sin6_addr, text.data(), text.size());
  std::string peer = text.data();
  return peer.starts_with("::ffff:") ? peer.substr(7) : peer;
}

bool readable(int fd, int ms) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, ms) == 1;
}

UniqueFd socket_in(const Namespace& ns, int family, int type, int protocol = 0) {
  return ns.run([&] { return UniqueFd(::socket(family, type | SOCK_CLOEXEC, protocol)); });
}

}  // namespace

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

void shell(const Namespace& ns, const std::string& command) {
  const int status = ns.run([&] { return std::system(command.c_str()); });
  if (status != 0) FAIL("command failed: ", command);
}

std::string output_of(const Namespace& ns, const std::string& command) {
  return ns.run([&] {
    std::string output;
    FILE* pipe = ::popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    while (pipe != nullptr && std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) {
      output += buffer.data();
    }
    if (pipe != nullptr) ::pclose(pipe);
    return output;
  });
}

Echo::Echo(const Namespace& ns, std::uint16_t port) : stop_(::eventfd(0, EFD_CLOEXEC)) {
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    UniqueFd fd = socket_in(ns, AF_INET6, type | SOCK_NONBLOCK);
    int no = 0, yes = 1;
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    auto any = socket_address(net::IpAddress{}, port);
    REQUIRE(::bind(fd.get(), any.get(), any.size) == 0);
    if (type == SOCK_STREAM) REQUIRE(::listen(fd.get(), 64) == 0);
    sockets_.push_back(std::move(fd));
  }
  thread_ = std::thread([this] { serve(); });
}

Echo::~Echo() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void Echo::serve() {
  for (;;) {
    std::array<pollfd, 3> waiting = {pollfd{stop_.get(), POLLIN, 0},
                                     pollfd{sockets_[0].get(), POLLIN, 0},
                                     pollfd{sockets_[1].get(), POLLIN, 0}};
    ::poll(waiting.data(), waiting.size(), -1);
    if (waiting[0].revents != 0) return;
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    std::array<char, 64> buffer;
    if (::recvfrom(sockets_[0].get(), buffer.data(), buffer.size(), 0,
                   reinterpret_cast<sockaddr*>(&peer), &size) > 0) {
      const std::string text = peer_text(peer);
      (void)::sendto(sockets_[0].get(), text.data(), text.size(), 0,
                     reinterpret_cast<sockaddr*>(&peer), size);
    }
    size = sizeof(peer);
    const UniqueFd connection(
        ::accept4(sockets_[1].get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
    if (connection) {
      const std::string text = peer_text(peer);
      (void)::send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
  }
}

std::optional<std::string> ask_tcp(const Namespace& from, const net::IpAddress& to,
                                   std::uint16_t port) {
  const UniqueFd fd = socket_in(from, to.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM);
  timeval patience{2, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  auto far = socket_address(to, port);
  if (::connect(fd.get(), far.get(), far.size) != 0) return std::nullopt;
  std::array<char, 64> buffer;
  const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
  if (got <= 0) return std::nullopt;
  return std::string(buffer.data(), static_cast<std::size_t>(got));
}

std::optional<std::string> ask_udp(const Namespace& from, const net::IpAddress& to,
                                   std::uint16_t port) {
  const UniqueFd fd = socket_in(from, to.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM);
  auto far = socket_address(to, port);
  if (::connect(fd.get(), far.get(), far.size) != 0) return std::nullopt;
  for (int attempt = 0; attempt < 4; ++attempt) {
    if (::send(fd.get(), "x", 1, 0) != 1) continue;
    if (!readable(fd.get(), 500)) continue;
    std::array<char, 64> buffer;
    const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (got > 0) return std::string(buffer.data(), static_cast<std::size_t>(got));
  }
  return std::nullopt;
}

bool ping(const Namespace& from, const net::IpAddress& to) {
  const bool v4 = to.is_v4();
  const UniqueFd fd =
      socket_in(from, v4 ? AF_INET : AF_INET6, SOCK_RAW,
                v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6));
  auto far = socket_address(to, 0);
  if (::connect(fd.get(), far.get(), far.size) != 0) return false;
  // Type, code, checksum, identifier, sequence; IPv6's checksum is the kernel's to write.
  std::array<std::uint8_t, 8> echo = {
      v4 ? std::uint8_t{ICMP_ECHO} : std::uint8_t{ICMP6_ECHO_REQUEST}, 0, 0, 0, 0x12, 0x34, 0, 1};
  if (v4) {
    const unsigned sum = ~((ICMP_ECHO << 8U) + 0x1234U + 1U) & 0xffffU;
    echo[2] = static_cast<std::uint8_t>(sum >> 8U);
    echo[3] = static_cast<std::uint8_t>(sum);
  }
  for (int attempt = 0; attempt < 4; ++attempt) {
    if (::send(fd.get(), echo.data(), echo.size(), 0) < 0) return false;
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (std::chrono::steady_clock::now() < until && readable(fd.get(), 100)) {
      std::array<std::uint8_t, 256> buffer;
      const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
      const std::size_t at = v4 ? 20 : 0;
      const std::uint8_t reply = v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
      if (got >= static_cast<ssize_t>(at + 8) && buffer[at] == reply) return true;
    }
  }
  return false;
}

Node::Node(bool with_enis) {
  // Links of the fixture do not wait for duplicate address detection; pods' ends must do without
  // this.
  for (const Namespace* ns : {&node, &vpc, &outside}) {
    shell(*ns, "sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0");
  }
  // The VPC forwards, and drops by strict reverse path what comes from the wrong NIC.
  shell(vpc,
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
        "net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1");
  const std::string node_fd =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(node.fd());
  const std::string out_fd =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(outside.fd());
  shell(vpc,
        "ip link add n0 numtxqueues 1 numrxqueues 1 address 0e:00:00:00:01:fd type veth peer name "
        "eth0 "
        "netns " +
            node_fd +
            " address 0e:00:00:00:01:10 && "
            "ip link add out0 type veth peer name eth0 netns " +
            out_fd +
            " && "
            "ip link set n0 up && ip link set out0 up && "
            "ip addr add 10.1.0.253/24 dev n0 && ip addr add 10.77.0.1/24 dev out0 && "
            "ip -6 addr add fd01::253/64 dev n0 nodad && ip -6 addr add fd77::1/64 dev out0 nodad");
  shell(node,
        "ip link set lo up && ip link set eth0 up && ip addr add 10.1.0.10/24 dev eth0 && "
        "ip -6 addr add fd01::10/64 dev eth0 nodad && ip route add default via 10.1.0.253 && "
        "ip -6 route add default via fd01::253");
  shell(outside,
        "ip link set lo up && ip link set eth0 up && ip addr add 10.77.0.2/24 dev eth0 && "
        "ip -6 addr add fd77::2/64 dev eth0 nodad && ip route add default via 10.77.0.1 && "
        "ip -6 route add default via fd77::1");
  if (with_enis) {
    attach_eni("eni-1");
    attach_eni("eni-2");
  }
}

void Node::attach_eni(const std::string& id) {
  const std::string n = id.substr(4);
  const std::string node_fd =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(node.fd());
  shell(vpc, "ip link add e" + n + " address 0e:00:00:00:02:fd type veth peer name eth" + n +
                 " netns " + node_fd + " address 0e:00:00:00:02:0" + n + " && ip link set e" + n +
                 " up && ip addr add 10.2.0.253/32 dev e" + n +
                 " && ip -6 addr add fd02::253/128 dev e" + n + " nodad");
}

datapath::EniPlan Node::eni(const std::string& id) const {
  datapath::EniPlan plan;
  plan.eni_id = id;
  plan.mac = *net::Mac::parse("0e:00:00:00:02:0" + id.substr(4));
  plan.gateway_v4 = ip("10.2.0.253");
  plan.gateway_v6 = ip("fd02::253");
  return plan;
}

datapath::Settings Node::settings() {
  datapath::Settings settings;
  settings.ipv6 = true;
  settings.fast_path = datapath::FastPathMode::Stack;
  return settings;
}

std::unique_ptr<datapath::Datapath> Node::open() {
  return node.run([] { return must(datapath::Datapath::open(settings()), "open the datapath"); });
}

datapath::EniNic Node::bring_up(datapath::Datapath& datapath, const std::string& id) {
  std::string last;
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto nic = node.run([&] { return datapath.bring_up(eni(id)); });
    if (nic.ok()) return *nic;
    last = nic.error().to_string();
    if (!nic.is(Error::Kind::Unavailable) && !nic.is(Error::Kind::NotFound)) break;
    std::vector<pollfd> waiting;
    for (const int fd : datapath.poll_fds()) waiting.push_back({fd, POLLIN, 0});
    ::poll(waiting.data(), waiting.size(), 50);
  }
  FAIL("ENI ", id, " did not come up: ", last);
  return {};
}

void Node::assign(const net::IpAddress& address, const std::string& eni_id) {
  const std::string n = eni_id.substr(4);
  const std::string host = net::Prefix::host(address).to_string();
  const std::string tool = address.is_v4() ? "ip " : "ip -6 ";
  shell(vpc, tool + "route replace " + host + " dev e" + n + " && " + tool + "neigh replace " +
                 address.to_string() + " lladdr 0e:00:00:00:02:0" + n + " nud permanent dev e" + n);
}

std::unique_ptr<Pod> Node::make_pod(unsigned n, const std::string& eni_id) {
  auto pod = std::make_unique<Pod>();
  pod->plan.key = {"container-" + std::to_string(n), "eth0"};
  pod->plan.pod = {"default", "pod-" + std::to_string(n), {}, {}};
  pod->plan.eni_id = eni_id;
  pod->plan.addresses = {ip("10.2.0." + std::to_string(n)), ip("fd02::" + std::to_string(n))};
  for (const auto& address : pod->plan.addresses) assign(address, eni_id);
  shell(pod->ns, "ip link set lo up");
  return pod;
}

std::unique_ptr<Pod> Node::add_pod(datapath::Datapath& datapath, unsigned n,
                                   const std::string& eni_id) {
  auto pod = make_pod(n, eni_id);
  node.run([&] { return must(datapath.add_pod(pod->plan, pod->ns.descriptor()), "add a pod"); });
  pod->echo = std::make_unique<Echo>(pod->ns, kPort);
  return pod;
}

void Node::translate_services() {
  assign(ip("10.99.0.1"), "eni-1");
  assign(ip("fd99::1"), "eni-1");
  shell(node,
        "nft 'add table inet svc; add chain inet svc pre { type nat hook prerouting priority -100; "
        "}; "
        "add rule inet svc pre fib daddr type local meta l4proto { tcp, udp } th dport 30080 "
        "meta nfproto ipv4 dnat ip to 10.2.0.12:7000; "
        "add rule inet svc pre fib daddr type local meta l4proto { tcp, udp } th dport 30080 "
        "meta nfproto ipv6 dnat ip6 to [fd02::12]:7000; "
        "add rule inet svc pre ip daddr 10.99.0.1 meta l4proto { tcp, udp } th dport 80 dnat ip to "
        "10.2.0.12:7000; "
        "add rule inet svc pre ip6 daddr fd99::1 meta l4proto { tcp, udp } th dport 80 dnat ip6 to "
        "[fd02::12]:7000'");
}

void Node::check_services() const {
  CHECK(ask_tcp(outside, ip(kNodeAddress), 30080) == kOutside);
  CHECK(ask_udp(outside, ip(kNodeAddress), 30080) == kOutside);
  CHECK(ask_tcp(outside, ip(kNodeAddress6), 30080) == kOutside6);
  CHECK(ask_tcp(outside, ip("10.99.0.1"), 80) == kOutside);
  CHECK(ask_udp(outside, ip("10.99.0.1"), 80) == kOutside);
  CHECK(ask_tcp(outside, ip("fd99::1"), 80) == kOutside6);
  // And without a Service in the way.
  CHECK(ask_tcp(outside, ip("10.2.0.12"), kPort) == kOutside);
  CHECK(spoofed() == 0);
}

long Node::spoofed() const {
  std::istringstream text(output_of(vpc, "cat /proc/net/netstat"));
  std::string names, values;
  while (std::getline(text, names) && std::getline(text, values)) {
    std::istringstream name_words(names), value_words(values);
    std::string name, value;
    while (name_words >> name && value_words >> value) {
      if (name == "IPReversePathFilter") return std::stol(value);
    }
  }
  FAIL("no IPReversePathFilter counter");
  return -1;
}

void check_reach(const Namespace& from, const std::string& to, const std::string& as) {
  CAPTURE(to);
  CHECK(ask_tcp(from, ip(to), kPort) == as);
  CHECK(ask_udp(from, ip(to), kPort) == as);
  CHECK(ping(from, ip(to)));
}

bool wait_for_event(const Node& node, datapath::Datapath& datapath) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (std::chrono::steady_clock::now() < until) {
    if (node.node.run([&] { return must(datapath.drain_events()); })) return true;
    std::vector<pollfd> waiting;
    for (const int fd : datapath.poll_fds()) waiting.push_back({fd, POLLIN, 0});
    ::poll(waiting.data(), waiting.size(), 100);
  }
  return false;
}

}  // namespace terway::test
