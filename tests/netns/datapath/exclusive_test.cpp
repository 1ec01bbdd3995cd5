// SPDX-License-Identifier: Apache-2.0
// Pods with an ENI of their own: the NIC goes in and comes back, whatever becomes of the pod.
#include <algorithm>
#include <filesystem>

#include "kernel/link.h"
#include "kernel/netns.h"
#include "kernel/qdisc.h"
#include "tests/netns/datapath/node.h"

namespace terway::datapath {
namespace {

using namespace test;

struct Exclusive {
  explicit Exclusive(FastPathMode mode = FastPathMode::Stack) : mode_(mode) {
    open();
    node.bring_up(*datapath, "eni-1");
    node.bring_up(*datapath, "eni-2");
  }

  void open() {
    auto settings = Node::settings();
    settings.exclusive = true;
    settings.fast_path = mode_;
    datapath = node.node.run([&] { return must(Datapath::open(settings), "open the datapath"); });
  }
  std::unique_ptr<Pod> make_pod(unsigned n, const std::string& eni_id) {
    auto pod = node.make_pod(n, eni_id);
    pod->plan.mode = model::NetworkMode::Exclusive;
    pod->plan.nic_mac = node.eni(eni_id).mac;
    pod->plan.netns_path =
        "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(pod->ns.fd());
    pod->plan.netns_inode = must(kernel::netns_inode(pod->ns.fd()));
    pod->plan.host_stack = {*net::Prefix::parse("172.21.0.0/20")};
    return pod;
  }
  PodWired add(Pod& pod) {
    const PodWired wired = node.node.run(
        [&] { return must(datapath->add_pod(pod.plan, pod.ns.descriptor()), "add a pod"); });
    if (!pod.echo) pod.echo = std::make_unique<Echo>(pod.ns, kPort);
    return wired;
  }
  std::unique_ptr<Pod> add_pod(unsigned n, const std::string& eni_id) {
    auto pod = make_pod(n, eni_id);
    add(*pod);
    return pod;
  }
  void remove(const PodPlan& plan, int netns = -1) {
    node.node.run([&] { must(datapath->remove_pod(plan, netns), "remove a pod"); });
  }
  Drift resync(const std::vector<PodPlan>& pods) {
    const Desired desired{{node.eni("eni-1"), node.eni("eni-2")}, pods};
    return node.node.run([&] { return must(datapath->resync(desired, true)); });
  }
  Result<> check(const Pod& pod) {
    return node.node.run([&] { return datapath->check_pod(pod.plan, pod.ns.descriptor()); });
  }
  Result<kernel::Link> nic(const char* name) {
    auto socket = node.node.route_socket();
    return kernel::get_link(socket, name);
  }

  Node node;
  std::unique_ptr<Datapath> datapath;

 private:
  FastPathMode mode_;
};

TEST_CASE("a pod with an ENI of its own reaches the VPC by it, and the node by a pair") {
  if (!can_run("exclusive reach")) return;
  Exclusive on;
  const Node& node = on.node;
  auto a = on.add_pod(11, "eni-1");
  auto b = on.add_pod(12, "eni-2");
  const Echo on_node(node.node, kPort), on_outside(node.outside, kPort);
  for (const auto& [from, to, as] :
       std::initializer_list<std::tuple<const Namespace*, std::string, std::string>>{
           {&a->ns, "10.2.0.12", "10.2.0.11"},
           {&b->ns, "fd02::11", "fd02::12"},
           {&a->ns, kOutside, "10.2.0.11"},
           {&b->ns, kOutside6, "fd02::12"},
           {&node.outside, "10.2.0.12", kOutside},
           {&node.outside, "fd02::11", kOutside6},
           {&a->ns, kNodeAddress, "10.2.0.11"},
           {&b->ns, kNodeAddress6, "fd02::12"},
           {&node.node, "10.2.0.11", kNodeAddress},
           {&node.node, "fd02::12", kNodeAddress6}}) {
    check_reach(*from, to, as);
  }
  CHECK(node.spoofed() == 0);
  CHECK_FALSE(on.nic("eth1").ok());
  must(on.check(*a), "check");
  const Drift drift = on.resync({a->plan, b->plan});
  CAPTURE(drift.what.empty() ? "" : drift.what.front());
  CHECK(drift.total() == 0);
  check_reach(a->ns, kOutside, "10.2.0.11");
}

TEST_CASE("the pod's interface is the NIC: its MAC, its MTU, one address, the vSwitch's gateway") {
  if (!can_run("exclusive end")) return;
  Exclusive on;
  auto pod = on.make_pod(11, "eni-1");
  const PodWired wired = on.add(*pod);
  CHECK(wired.pod_mac == on.node.eni("eni-1").mac);
  CHECK(wired.gateways == std::vector{ip("10.2.0.253"), ip("fd02::253")});
  CHECK(wired.mtu == 1500);
  auto inner = pod->ns.route_socket();
  CHECK(must(kernel::get_link(inner, "eth0")).mac == wired.pod_mac);
  CHECK(must(kernel::get_link(inner, "veth1")).up());
  CHECK(output_of(pod->ns, "ip route") ==
        "default via 10.2.0.253 dev eth0 onlink \n"
        "10.1.0.10 via 169.254.1.1 dev veth1 src 10.2.0.11 onlink \n"
        "169.254.1.1 dev veth1 scope link \n"
        "172.21.0.0/20 via 169.254.1.1 dev veth1 src 10.2.0.11 onlink \n");
  CHECK(output_of(pod->ns, "ip -br -4 addr show dev eth0").find("10.2.0.11/32") !=
        std::string::npos);
  auto outer = on.node.node.route_socket();
  CHECK(must(kernel::get_link(outer, wired.host_ifname)).alias == "terway:container-11/eth0");
}

TEST_CASE("a DEL brings the NIC back, down and under its own name, and another pod gets it") {
  if (!can_run("exclusive del")) return;
  Exclusive on;
  auto a = on.add_pod(11, "eni-1");
  on.remove(a->plan, a->ns.fd());
  auto nic = must(on.nic("eth1"), "the NIC");
  CHECK(nic.mac == on.node.eni("eni-1").mac);
  CHECK_FALSE(nic.up());
  CHECK(on.datapath->is_ready("eni-1"));
  on.remove(a->plan, a->ns.fd());  // again: nothing to do
  const Echo on_outside(on.node.outside, kPort);
  auto b = on.add_pod(11, "eni-1");
  check_reach(b->ns, kOutside, "10.2.0.11");
  // By the path alone, as after a restart.
  on.remove(b->plan);
  CHECK(on.nic("eth1").ok());
}

TEST_CASE("the same pod is wired afresh, also in another namespace") {
  if (!can_run("exclusive again")) return;
  Exclusive on;
  auto a = on.add_pod(11, "eni-1");
  on.add(*a);
  const Echo on_outside(on.node.outside, kPort);
  check_reach(a->ns, kOutside, "10.2.0.11");
  auto again = on.make_pod(11, "eni-1");
  again->plan.key = a->plan.key;
  on.add(*again);
  check_reach(again->ns, kOutside, "10.2.0.11");
  CHECK(output_of(a->ns, "ip -br link").find("eth0") == std::string::npos);
}

TEST_CASE("a DEL after the namespace died succeeds, and the NIC that comes back is used again") {
  if (!can_run("exclusive died")) return;
  Exclusive on;
  auto a = on.add_pod(11, "eni-1");
  const PodPlan plan = a->plan;
  a.reset();
  on.remove(plan);
  CHECK_FALSE(on.datapath->is_ready("eni-1"));
  // A veth's end dies with its namespace; where it is plugged anew it has another number. Its
  // last traces may take a moment.
  for (int i = 0; i < 100; ++i) {
    if (output_of(on.node.vpc, "ip -br link").find("e1@") == std::string::npos) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  on.node.attach_eni("eni-1");
  on.node.bring_up(*on.datapath, "eni-1");
  const Echo on_outside(on.node.outside, kPort);
  auto b = on.add_pod(13, "eni-1");
  check_reach(b->ns, kOutside, "10.2.0.13");
}

TEST_CASE("a NIC that came back by itself, under a name of the kernel's making, gets its own") {
  if (!can_run("exclusive returned")) return;
  Exclusive on;
  auto a = on.add_pod(11, "eni-1");
  // As the kernel does with a physical NIC whose namespace ends; the pod had changed its MAC.
  shell(a->ns, "ip link set eth0 down && ip link set eth0 address 0e:99:99:99:99:99");
  auto inner = a->ns.route_socket();
  kernel::LinkChange move;
  move.netns = on.node.node.fd();
  move.name = "dev7";
  must(inner.request(kernel::change_link(must(kernel::get_link(inner, "eth0")).ifindex, move)));
  on.remove(a->plan);
  const auto nic = must(on.nic("eth1"), "the NIC");
  CHECK(nic.mac == on.node.eni("eni-1").mac);
  CHECK_FALSE(nic.up());
  const Echo on_outside(on.node.outside, kPort);
  auto b = on.add_pod(13, "eni-1");
  check_reach(b->ns, kOutside, "10.2.0.13");
}

TEST_CASE("a restart changes nothing of pods with ENIs of their own") {
  if (!can_run("exclusive restart")) return;
  Exclusive on;
  auto a = on.add_pod(11, "eni-1");
  on.datapath.reset();
  on.open();
  on.resync({a->plan});
  CHECK(on.node.node.run([&] { return on.datapath->bring_up(on.node.eni("eni-1")); }).ok());
  on.node.bring_up(*on.datapath, "eni-2");
  CHECK(on.resync({a->plan}).total() == 0);
  const Echo on_outside(on.node.outside, kPort);
  check_reach(a->ns, kOutside, "10.2.0.11");
  must(on.check(*a), "check");
  on.remove(a->plan);
  CHECK(on.nic("eth1").ok());
  CHECK(on.datapath->is_ready("eni-1"));
}

TEST_CASE("what an ADD could not finish is undone, and CHECK names what is missing") {
  if (!can_run("exclusive bad")) return;
  Exclusive on;
  auto pod = on.make_pod(11, "eni-1");
  shell(pod->ns, "ip link add eth0 type bridge");
  const auto refused =
      on.node.node.run([&] { return on.datapath->add_pod(pod->plan, pod->ns.descriptor()); });
  CHECK(refused.is(Error::Kind::Exists));
  CHECK(on.nic("eth1").ok());
  shell(pod->ns, "ip link del eth0");
  // The pair's end of the first attempt is still dying.
  on.node.node.run([&] { must(on.datapath->delete_marked_links()); });
  on.add(*pod);
  must(on.check(*pod));
  shell(pod->ns, "ip route del default");
  const auto checked = on.check(*pod);
  REQUIRE_FALSE(checked.ok());
  CHECK(checked.error().message().find("no route 0.0.0.0/0") != std::string::npos);
}

TEST_CASE("without the pair there is the NIC alone, and it is known by that") {
  if (!can_run("exclusive alone")) return;
  Exclusive on;
  auto pod = on.make_pod(11, "eni-1");
  pod->plan.host_peer = false;
  CHECK(on.add(*pod).host_ifname.empty());
  const Echo on_outside(on.node.outside, kPort);
  check_reach(pod->ns, kOutside, "10.2.0.11");
  CHECK(output_of(pod->ns, "ip -br link").find("veth1") == std::string::npos);
  const auto found = on.node.node.run([&] { return must(on.datapath->find_attachments()); });
  REQUIRE(found.size() == 1);
  CHECK(found[0].key == pod->plan.key);
  must(on.check(*pod));
  CHECK(on.resync({pod->plan}).total() == 0);
  on.remove(pod->plan);
  CHECK(on.nic("eth1").ok());
}

}  // namespace
}  // namespace terway::datapath
