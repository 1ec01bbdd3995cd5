// SPDX-License-Identifier: Apache-2.0
// A pod with NET_ADMIN attacks its node and its neighbour by netlink, and does its own work.
#include "ebpf/guard.h"

#include <fmt/core.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/wait.h>

#include <algorithm>
#include <functional>

#include "base/clock.h"
#include "kernel/address.h"
#include "kernel/link.h"
#include "tests/netns/guard/bpf_folder.h"
#include "tests/netns/namespace.h"

namespace terway::ebpf {
namespace {

using kernel::Message;
using test::must;
using test::Namespace;

ifinfomsg info(int ifindex = 0) {
  ifinfomsg fixed{};
  fixed.ifi_index = ifindex;
  return fixed;
}

kernel::VethEnd end(const std::string& name, int netns = -1) { return {name, {}, 0, 0, 0, netns}; }

// A process that waits in a namespace: for others to name that one by its pid.
class Sitter {
 public:
  explicit Sitter(int netns) : pid_(::fork()) {
    if (pid_ != 0) return;
    if (::setns(netns, CLONE_NEWNET) == 0) ::pause();
    ::_exit(1);
  }
  ~Sitter() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Sitter(const Sitter&) = delete;
  Sitter& operator=(const Sitter&) = delete;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

// A command line that becomes a program inside `netns`, as a container's does; its exit code.
int run_in(int netns, const std::string& command) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setns(netns, CLONE_NEWNET) != 0) ::_exit(126);
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// A node with two pods, each with a veth; what a pod knows of the node is the number by which its
// own link's peer is elsewhere.
struct Node {
  test::BpfFolder bpf;
  Namespace host, pod, neighbour;
  kernel::Socket host_socket = host.route_socket();
  kernel::Socket pod_socket = pod.route_socket();
  Sitter in_host{host.fd()}, in_pod{pod.fd()}, in_neighbour{neighbour.fd()};
  int host_end = 0;
  int host_id = -1;

  Node() {
    host_end = make_pair("cali0", pod);
    (void)make_pair("cali1", neighbour);
    const auto answer =
        must(pod_socket.ask(Message(RTM_GETLINK).header(info()).put_text(IFLA_IFNAME, "eth0")));
    kernel::Bytes bytes(answer);
    const auto view = kernel::next_message(bytes);
    REQUIRE(view);
    const kernel::Attributes attributes(view->rest<ifinfomsg>());
    host_id = attributes.s32(IFLA_LINK_NETNSID).value_or(-1);
    REQUIRE(host_id >= 0);
  }

  int make_pair(const std::string& name, const Namespace& to) {
    must(host_socket.request(kernel::make_veth(end(name), end("eth0", to.fd()))));
    return must(kernel::get_link(host_socket, name)).ifindex;
  }

  Guard guard() const {
    Guard made = must(Guard::open(bpf.path() / "guard"), "open the guard");
    must(made.set_host(must(kernel::netns_inode(host.fd()))));
    must(made.add_pod({"one", "eth0"}, must(kernel::netns_inode(pod.fd()))));
    must(made.add_pod({"two", "eth0"}, must(kernel::netns_inode(neighbour.fd()))));
    return made;
  }

  bool host_has(std::string_view name) { return kernel::get_link(host_socket, name).ok(); }
  std::string netns_path(const Sitter& sitter) const {
    return fmt::format("/proc/{}/ns/net", sitter.pid());
  }
};

Message veth_in(std::string_view name, int target_id) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(info()).put_text(IFLA_IFNAME, name);
  message.put_u32(IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(target_id));
  message.nest(IFLA_LINKINFO, [&] { message.put_text(IFLA_INFO_KIND, "veth"); });
  return message;
}

Message macvlan_on(std::string_view name, int lower, int link_id) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(info()).put_text(IFLA_IFNAME, name);
  message.put_u32(IFLA_LINK, static_cast<std::uint32_t>(lower));
  message.put_u32(IFLA_LINK_NETNSID, static_cast<std::uint32_t>(link_id));
  message.nest(IFLA_LINKINFO, [&] { message.put_text(IFLA_INFO_KIND, "macvlan"); });
  return message;
}

Message delete_in(int ifindex, int target_id) {
  Message message(RTM_DELLINK);
  message.header(info(ifindex));
  message.put_u32(IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(target_id));
  return message;
}

Message veth_with_peer_at(std::string_view name, std::uint16_t attribute, std::uint32_t where) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(info()).put_text(IFLA_IFNAME, name);
  message.nest(IFLA_LINKINFO, [&] {
    message.put_text(IFLA_INFO_KIND, "veth");
    message.nest(IFLA_INFO_DATA, [&] {
      message.nest(VETH_INFO_PEER, [&] {
        message.raw(info()).put_text(IFLA_IFNAME, std::string(name) + "p");
        message.put_u32(attribute, where);
      });
    });
  });
  return message;
}

std::vector<Guard::Refusal> refusals(Guard& guard) {
  std::vector<Guard::Refusal> all;
  guard.drain([&](const Guard::Refusal& refusal) { all.push_back(refusal); });
  return all;
}

bool refused(const Result<>& result) { return result.is(Error::Kind::Denied); }

TEST_CASE("without the guard a pod makes and deletes links of its node") {
  Node node;
  CHECK(node.pod_socket.request(veth_in("evil0", node.host_id)).ok());
  CHECK(node.host_has("evil0"));
  CHECK(node.pod_socket.request(macvlan_on("evil1", node.host_end, node.host_id)).ok());
  CHECK(node.pod_socket.request(delete_in(node.host_end, node.host_id)).ok());
  CHECK_FALSE(node.host_has("cali0"));
}

TEST_CASE("links of the node are out of a pod's reach, whatever names the node") {
  Node node;
  Guard guard = node.guard();
  CHECK(refused(node.pod_socket.request(veth_in("evil0", node.host_id))));
  CHECK(refused(node.pod_socket.request(macvlan_on("evil1", node.host_end, node.host_id))));
  CHECK(refused(node.pod_socket.request(delete_in(node.host_end, node.host_id))));
  const auto pid = static_cast<std::uint32_t>(node.in_host.pid());
  // Before 6.13 the kernel says ENOMEM, not EPERM.
  CHECK_FALSE(node.pod_socket.request(veth_with_peer_at("evil2", IFLA_NET_NS_PID, pid)).ok());
  must(node.pod_socket.request(kernel::make_bridge("own0")));
  Message move(RTM_NEWLINK);
  move.header(info()).put_text(IFLA_IFNAME, "own0").put_u32(IFLA_NET_NS_PID, pid);
  CHECK(refused(node.pod_socket.request(std::move(move))));
  Message look(RTM_GETLINK);
  look.header(info(node.host_end));
  look.put_u32(IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(node.host_id));
  CHECK_FALSE(node.pod_socket.ask(std::move(look)).ok());

  for (const char* name : {"evil0", "evil1", "evil2", "evil2p", "own0"}) {
    CHECK_FALSE(node.host_has(name));
  }
  CHECK(node.host_has("cali0"));
  CHECK(must(kernel::list_links(node.pod_socket)).size() == 3);  // lo, eth0, own0

  const auto told = refusals(guard);
  REQUIRE(told.size() >= 5);
  CHECK(told.front().pod_netns == must(kernel::netns_inode(node.pod.fd())));
  CHECK(told.front().target_netns == must(kernel::netns_inode(node.host.fd())));
  CHECK(told.front().what.find("IFLA_TARGET_NETNSID") != std::string_view::npos);
}

TEST_CASE("another pod is out of reach as well") {
  Node node;
  const Guard guard = node.guard();
  const auto pid = static_cast<std::uint32_t>(node.in_neighbour.pid());
  CHECK_FALSE(node.pod_socket.request(veth_with_peer_at("evil0", IFLA_NET_NS_PID, pid)).ok());
  auto neighbour = node.neighbour.route_socket();
  CHECK(must(kernel::list_links(neighbour)).size() == 2);  // lo, eth0
}

TEST_CASE("in a batch what is refused is refused, and what is not is done") {
  Node node;
  const Guard guard = node.guard();
  std::vector<Message> batch;
  batch.push_back(kernel::make_bridge("own0"));
  batch.push_back(delete_in(node.host_end, node.host_id));
  const auto results = must(node.pod_socket.batch(batch));
  REQUIRE(results.size() == 2);
  CHECK(results[0].ok());
  CHECK(refused(results[1]));
  CHECK(node.host_has("cali0"));
  // What was refused is forgotten with the batch.
  CHECK(node.pod_socket.request(kernel::make_bridge("own1")).ok());
}

TEST_CASE("a pod's work in its own namespace, and in those that it makes, goes on") {
  Node node;
  const Guard guard = node.guard();
  const Namespace inner;
  const Sitter in_inner(inner.fd());
  CHECK(node.pod_socket.request(kernel::make_veth(end("own0"), end("own1"))).ok());
  const int own = must(kernel::get_link(node.pod_socket, "own0")).ifindex;
  kernel::LinkChange change;
  change.mtu = 1400;
  change.up = true;
  CHECK(node.pod_socket.request(kernel::change_link(own, change)).ok());
  CHECK(node.pod_socket.request(kernel::add_address(own, *net::Prefix::parse("10.1.1.1/24"), 0))
            .ok());
  CHECK(node.pod_socket.request(kernel::make_veth(end("own2"), end("own3", inner.fd()))).ok());
  const std::string inner_path = node.netns_path(in_inner);
  CHECK(run_in(node.pod.fd(), "ip link set own1 netns " + inner_path) == 0);
  CHECK(run_in(node.pod.fd(), fmt::format("ip link add own4 type veth peer name own5 netns {}",
                                          in_inner.pid())) == 0);
  auto inside = inner.route_socket();
  CHECK(must(kernel::list_links(inside)).size() == 4);  // lo, own1, own3, own5
  CHECK(node.pod_socket.request(kernel::delete_link(own)).ok());
}

TEST_CASE("the node and its tools are not hindered, also while they work inside a pod") {
  Node node;
  const Guard guard = node.guard();
  CHECK(node.host_socket.request(kernel::make_veth(end("cali2"), end("eth1", node.pod.fd()))).ok());
  // As CNI plugins do: a thread that went into the pod makes a pair whose other end is the node's.
  node.pod.run([&] {
    auto socket = must(kernel::Socket::open(kernel::Protocol::Route));
    CHECK(socket.request(kernel::make_veth(end("eth2"), end("cali3", node.host.fd()))).ok());
    kernel::LinkChange back;
    back.netns = node.host.fd();
    must(socket.request(kernel::make_bridge("br9")));
    CHECK(socket.request(kernel::make_veth(end("x"), end("y"))).ok());
    CHECK(socket.request(kernel::change_link("x", back)).ok());
  });
  CHECK(node.host_has("cali3"));
  CHECK(node.host_has("x"));
}

TEST_CASE("a program that began in a pod does not get out by a descriptor, wherever it goes") {
  Node node;
  Guard guard = node.guard();
  const Namespace inner;
  const Sitter in_inner(inner.fd());
  must(node.pod_socket.request(kernel::make_veth(end("own0"), end("own1"))));
  const std::string host = node.netns_path(node.in_host);
  const std::string within = node.netns_path(in_inner);
  CHECK(run_in(node.pod.fd(), "ip link set own0 netns " + host) != 0);
  CHECK(run_in(node.pod.fd(), "ip link add own2 type veth peer name own3 netns " + host) != 0);
  CHECK(run_in(node.pod.fd(),
               fmt::format(
                   "ip link set own1 netns {0} && nsenter --net={0} ip link set own1 netns {1}",
                   within, host)) != 0);
  for (const char* name : {"own0", "own1", "own3"}) CHECK_FALSE(node.host_has(name));
  // By number, from a namespace of its own making, where the pod is number 0 and the node 1.
  CHECK(run_in(node.pod.fd(),
               fmt::format("ip link set eth0 netns {0} && nsenter --net={0} ip link add evil0 "
                           "link if{1} link-netnsid 1 type macvlan",
                           within, node.host_end)) != 0);
  const auto told = refusals(guard);
  REQUIRE(told.size() >= 4);
  CHECK(told.back().what.find("IFLA_LINK_NETNSID") != std::string_view::npos);
}

TEST_CASE("it guards on without its daemon, is kept by the next one, and restored when removed") {
  Node node;
  {
    const Guard first = node.guard();
  }
  CHECK(refused(node.pod_socket.request(delete_in(node.host_end, node.host_id))));
  Guard next = must(Guard::open(node.bpf.path() / "guard"));
  CHECK(must(next.restore()).empty());
  CHECK(refused(node.pod_socket.request(delete_in(node.host_end, node.host_id))));

  std::size_t removed = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(node.bpf.path())) {
    if (!file.path().filename().native().starts_with("link_")) continue;
    removed += std::filesystem::remove(file.path()) ? 1U : 0U;
  }
  CHECK(must(next.restore()).size() == removed);
  CHECK(must(next.restore()).empty());
  CHECK(refused(node.pod_socket.request(delete_in(node.host_end, node.host_id))));

  must(Guard::remove(node.bpf.path() / "guard"));
  // The kernel lets go of the programs in the background.
  SystemClock clock;
  const Instant deadline = clock.now() + std::chrono::seconds(20);
  while (!node.pod_socket.request(delete_in(node.host_end, node.host_id)).ok()) {
    REQUIRE(clock.now() < deadline);
    clock.sleep_for(std::chrono::milliseconds(10));
  }
}

TEST_CASE("pods that it does not know, another node's or gone, are not its concern") {
  Node node;
  Guard guard = node.guard();
  must(guard.remove_pod({"one", "eth0"}));
  CHECK(node.pod_socket.request(veth_in("other0", node.host_id)).ok());
  CHECK(must(guard.keep_pods({{"two", "eth0"}})) == 0);
  CHECK(must(guard.keep_pods({})) == 1);
}

}  // namespace
}  // namespace terway::ebpf
