// SPDX-License-Identifier: Apache-2.0
// The plugin first in a chain with the reference plugins, run by the reference caller (cnitool),
// which reads and caches results and negotiates versions as runtimes do.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <thread>

#include "cni/request.h"
#include "rpc/plugin_server.h"
#include "world.h"

using namespace terway;
using namespace terway::test;
using rpc::answer_with;
using rpc::PluginAnswer;
using rpc::PluginRequest;
using rpc::PluginServer;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// What this process was started with: a proxy or a cache of Go's may be told there.
Variables own_variables() {
  Variables variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos) variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

// False with a SKIP line where a program that the chain needs is missing.
bool have_programs(const char* test) {
  static const bool built =
      run({TERWAY_CNITOOL_INSTALL, TERWAY_CNITOOL}, own_variables()).status == 0;
  if (!built) std::printf("SKIP: %s: cnitool cannot be built (needs Go)\n", test);
  for (const char* program : {"/usr/lib/cni/portmap", "/usr/sbin/iptables"}) {
    if (::access(program, X_OK) == 0) continue;
    std::printf("SKIP: %s: %s is missing\n", test, program);
    return false;
  }
  return built;
}

// Wires pods as the daemon does in veth mode, with ip(8).
class VethDaemon {
 public:
  explicit VethDaemon(const std::filesystem::path& socket) {
    auto server = PluginServer::start(socket, [this](const PluginRequest& request) {
      auto parsed = rpc::understand(request);
      if (const auto* failure = std::get_if<cni::Failure>(&parsed)) return answer_with(*failure);
      return serve(std::get<cni::Request>(parsed));
    });
    REQUIRE(server.ok());
    server_ = std::move(server).value();
  }

  static constexpr const char* kAddress = "10.88.0.2";
  static constexpr const char* kHostLink = "cali0123456789a";
  static constexpr const char* kHostMac = "ee:ee:ee:ee:ee:ee";

  std::atomic<bool> ready = true;
  std::atomic<int> collections = 0;

 private:
  PluginAnswer serve(const cni::Request& request) {
    const std::string pod = std::filesystem::path(request.netns_path).filename();
    switch (request.command) {
      case cni::Command::Add:
        return add(request, pod);
      case cni::Command::Del:
        run({"ip", "link", "del", kHostLink});
        return {};
      case cni::Command::Check:
        return check(request, pod);
      case cni::Command::Gc:
        ++collections;
        return {};
      case cni::Command::Status:
      case cni::Command::Version:
        break;
    }
    if (ready) return {};
    return answer_with(failure_from(
        request.command, to_string(request.config.version), "ipam",
        Error(Error::Kind::Exhausted, "vSwitch vsw-1 has no address left"), std::nullopt));
  }

  static PluginAnswer add(const cni::Request& request, const std::string& pod) {
    const Run made =
        run({"sh", "-ec",
             fmt::format("ip link add {0} address {1} type veth peer name {2} netns {3}\n"
                         "ip link set {0} up\n"
                         "ip -n {3} link set {2} up\n"
                         "ip -n {3} addr add {4}/32 dev {2}\n"
                         "ip -n {3} neigh add 169.254.1.1 lladdr {1} dev {2} nud permanent\n"
                         "ip -n {3} route add default via 169.254.1.1 dev {2} onlink\n"
                         "ip route add {4}/32 dev {0}",
                         kHostLink, kHostMac, request.key.ifname, pod, kAddress)});
    if (made.status != 0) {
      return answer_with(failure_from(request.command, to_string(request.config.version),
                                      "datapath", Error(Error::Kind::Internal, made.err)));
    }
    const Run mac = run({"ip", "netns", "exec", pod, "cat", "/sys/class/net/eth0/address"});
    cni::AddResult result;
    result.interfaces = {
        {kHostLink, kHostMac, 1500, "", "", ""},
        {request.key.ifname, mac.out.substr(0, 17), 1500, request.netns_path, "", ""}};
    result.ips = {{net::Prefix::host(*net::IpAddress::parse(kAddress)),
                   net::IpAddress::parse("169.254.1.1"), 1}};
    cni::RouteConfig route;
    route.destination = *net::Prefix::parse("0.0.0.0/0");
    route.gateway = net::IpAddress::parse("169.254.1.1");
    result.routes = {route};
    result.dns = request.config.dns;
    return answer_with(result, request.config.version);
  }

  static PluginAnswer check(const cni::Request& request, const std::string& pod) {
    const bool expected = request.previous->interfaces.size() >= 2 &&
                          request.previous->ips.at(0).address.address.to_string() == kAddress;
    const Run there = run({"ip", "-n", pod, "addr", "show", "dev", request.key.ifname});
    if (expected && contains(there.out, std::string(kAddress) + "/32")) return {};
    return answer_with(failure_from(request.command, to_string(request.config.version), "datapath",
                                    Error(Error::Kind::Unavailable, "the address is missing")));
  }

  std::unique_ptr<PluginServer> server_;
};

// A network `name` of the given plugins in a directory of its own, and cnitool to call it.
class Network {
 public:
  Network(const std::string& version, const std::string& others, const std::string& keys = "") {
    const std::string terway =
        R"({"type":"terway","daemon_socket":")" + socket().native() + "\"" + keys + "}";
    std::ofstream(directory_ / "10-terway.conflist")
        << R"({"cniVersion":")" << version << R"(","name":"terway-chainer","plugins":[)" << terway
        << others << "]}";
  }
  std::filesystem::path socket() const { return directory_ / "eni.socket"; }

  Run call(const std::string& verb, const std::string& netns,
           const std::string& capabilities = "{}") const {
    return run({TERWAY_CNITOOL, verb, "terway-chainer", netns},
               {{"NETCONFPATH", directory_ / ""},
                {"CNI_PATH", TERWAY_PLUGIN_DIRECTORY ":/usr/lib/cni"},
                {"CAP_ARGS", capabilities},
                {"CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"}});
  }

 private:
  Scratch directory_;
};

// Answers one TCP connection in a pod with "hello".
class PodServer {
 public:
  explicit PodServer(const std::string& pod) {
    std::thread([&] {
      UniqueFd netns(::open(("/run/netns/" + pod).c_str(), O_RDONLY | O_CLOEXEC));
      REQUIRE(::setns(netns.get(), CLONE_NEWNET) == 0);
      listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(80);
      REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
      REQUIRE(::listen(listener_.get(), 1) == 0);
    }).join();
    serving_ = std::thread([this] {
      UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (peer) CHECK(::write(peer.get(), "hello", 5) == 5);
    });
  }
  ~PodServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    serving_.join();
  }

 private:
  UniqueFd listener_;
  std::thread serving_;
};

std::string read_from(const char* address, std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience = {5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  ::inet_pton(AF_INET, address, &to.sin_addr);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return "";
  char buffer[16] = {};
  const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
  return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : "";
}

}  // namespace

TEST_CASE(
    "in a chain with bandwidth, tuning and portmap the pod gets all of it, and DEL undoes it") {
  if (!can_run("chain") || !have_programs("chain")) return;
  for (const char* version : {"0.3.1", "0.4.0", "1.0.0"}) {
    CAPTURE(version);
    const std::string chained =
        R"(,{"type":"bandwidth","ingressRate":80000000,"ingressBurst":80000000,
             "egressRate":40000000,"egressBurst":40000000},
            {"type":"tuning","sysctl":{"net.core.somaxconn":"500"}})";
    const Network network(
        version,
        chained + R"(,{"type":"portmap","capabilities":{"portMappings":true},"snat":false})");
    const VethDaemon daemon(network.socket());
    // portmap 1.1.1 fails its own CHECK where ip6tables is there and the pod has no IPv6 address.
    const Network checked(version, chained);
    const VethDaemon checking(checked.socket());
    const PodNetns pod("pod-chain");
    must_run("ip addr add 10.9.9.9/32 dev lo");
    const char* ports =
        R"({"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]})";

    const Run add = network.call("add", pod.path(), ports);
    CHECK_MESSAGE(add.status == 0, add.out, add.err);
    for (const char* part : {"\"cali0123456789a\"", "\"10.88.0.2/32\"", "\"169.254.1.1\"",
                             "\"/run/netns/pod-chain\"", "\"ee:ee:ee:ee:ee:ee\""}) {
      CHECK_MESSAGE(contains(add.out, part), add.out);
    }
    CHECK(contains(must_run("ip netns exec pod-chain sysctl -n net.core.somaxconn"), "500"));
    CHECK(contains(must_run("tc qdisc show dev cali0123456789a"), "tbf"));
    {
      const PodServer server("pod-chain");
      CHECK(read_from("10.9.9.9", 8080) == "hello");
    }
    if (std::string(version) != "0.3.1") {
      const Run check = checked.call("check", pod.path());
      CHECK_MESSAGE(check.status == 0, check.out, check.err);
      must_run("ip -n pod-chain addr del 10.88.0.2/32 dev eth0");
      CHECK(checked.call("check", pod.path()).status != 0);
    }
    for (int i = 0; i < 2; ++i) {
      const Run del = network.call("del", pod.path(), ports);
      CHECK_MESSAGE(del.status == 0, del.out, del.err);
    }
    CHECK(run({"ip", "link", "show", "cali0123456789a"}).status != 0);
    CHECK_FALSE(contains(must_run("iptables-save -t nat"), "10.88.0.2"));
    must_run("ip addr del 10.9.9.9/32 dev lo");
  }
}

TEST_CASE("the reference caller speaks 1.1.0 with the plugin: ADD, CHECK, STATUS, GC, DEL") {
  if (!can_run("1.1.0") || !have_programs("1.1.0")) return;
  const Network network("1.1.0", "", R"(,"dns":{"nameservers":["10.0.0.2"]})");
  VethDaemon daemon(network.socket());
  const PodNetns pod("pod-new");
  CHECK(network.call("status", pod.path()).status == 0);
  const Run add = network.call("add", pod.path());
  CHECK_MESSAGE(add.status == 0, add.out, add.err);
  CHECK(contains(add.out, "\"mtu\": 1500"));
  CHECK(contains(add.out, "10.0.0.2"));
  CHECK(network.call("check", pod.path()).status == 0);
  daemon.ready = false;
  const Run status = network.call("status", pod.path());
  CHECK(status.status != 0);
  CHECK_MESSAGE(contains(status.err, "vSwitch vsw-1 has no address left"), status.err);
  // cnitool names no valid attachment, so the library deletes what it has cached first.
  const Run gc = network.call("gc", pod.path());
  CHECK_MESSAGE(gc.status == 0, gc.out, gc.err);
  CHECK(daemon.collections == 1);
  CHECK(run({"ip", "link", "show", "cali0123456789a"}).status != 0);
  CHECK(network.call("del", pod.path()).status == 0);
}

TEST_CASE("the reference caller shows the plugin's errors as they are meant") {
  if (!can_run("errors") || !have_programs("errors")) return;
  const PodNetns pod("pod-err");
  const Network away("1.0.0", "");
  const Run unreachable = away.call("add", pod.path());
  CHECK(unreachable.status != 0);
  CHECK_MESSAGE(contains(unreachable.err, "terway daemon cannot be asked"), unreachable.err);
  const Network bad("1.0.0", "", R"(,"mtu":7)");
  const VethDaemon daemon(bad.socket());
  const Run refused = bad.call("add", pod.path());
  CHECK(refused.status != 0);
  CHECK_MESSAGE(contains(refused.err, "mtu: 7 is not allowed"), refused.err);
  CHECK(bad.call("del", pod.path()).status == 0);
}
