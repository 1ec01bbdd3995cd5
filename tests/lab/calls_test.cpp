// SPDX-License-Identifier: Apache-2.0
// What runtimes do to a plugin at the edges of the specification, on a real node.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "fault.h"

using namespace terway;
using namespace terway::test;
using nlohmann::json;
using std::chrono::seconds;

namespace {

constexpr const char* kNode = "node-1";

// A sandbox without a runtime: a namespace of the node, and calls of the plugin.
struct RawPod {
  Cluster& cluster;
  std::string container;
  std::string pod = "default/raw";

  std::string netns() const { return "/run/netns/" + container; }
  void make_netns() const {
    cluster.on_node(kNode, fmt::format("ip netns add {0} && ip -n {0} link set lo up", container));
  }
  void remove_netns() const { cluster.on_node(kNode, "ip netns del " + container); }
  std::string inside(const std::string& command) const {
    return cluster.on_node(kNode, fmt::format("ip netns exec {} {}", container, command));
  }
  lab::Completed call(const std::string& command, const std::string& config = "") const {
    return cluster.plugin(kNode, {command, container, netns(), "eth0", pod, config});
  }
  json add() const {
    const auto done = call("ADD");
    CAPTURE(done.out);
    REQUIRE(done.exit_code == 0);
    return json::parse(done.out);
  }
  lab::Completed check(const json& result) const {
    return call("CHECK", json{{"prevResult", result}}.dump());
  }
};

std::string address_in(const json& result) {
  const std::string cidr = result["ips"][0]["address"];
  return cidr.substr(0, cidr.find('/'));
}

// The CNI error's code; 0 for a success.
int code_of(const lab::Completed& done) {
  if (done.exit_code == 0) return 0;
  const json error = json::parse(done.out, nullptr, false);
  REQUIRE(error.is_object());
  return error.value("code", -1);
}

std::uint32_t held(Cluster& cluster) { return pool_of(cluster).held; }

}  // namespace

TEST_CASE("DEL succeeds for a stranger, without a namespace, without prevResult, and twice") {
  Cluster cluster({});
  const RawPod stranger{cluster, "stranger"};
  CHECK(code_of(stranger.call("DEL")) == 0);
  CHECK(code_of(cluster.plugin(kNode, {"DEL", "stranger2", "", "eth0", "default/s", ""})) == 0);

  const RawPod gone{cluster, "gone"};
  gone.make_netns();
  gone.add();
  CHECK(held(cluster) == 1);
  gone.remove_netns();
  CHECK(code_of(gone.call("DEL")) == 0);
  CHECK(held(cluster) == 0);
  CHECK(code_of(gone.call("DEL")) == 0);

  const RawPod nameless{cluster, "nameless"};
  nameless.make_netns();
  nameless.add();
  // As runtimes do that have lost the sandbox's namespace.
  CHECK(code_of(cluster.plugin(kNode, {"DEL", "nameless", "", "eth0", "default/raw", ""})) == 0);
  CHECK(held(cluster) == 0);
  CHECK(eventually(
      [&] { return cluster.on_node(kNode, "ip -n nameless -br link show type veth") == ""; }));
  nameless.remove_netns();
  cluster.check_audit();
}

TEST_CASE("ADD twice answers the same and keeps one address") {
  Cluster cluster({});
  const RawPod pod{cluster, "twice"};
  pod.make_netns();
  const json first = pod.add();
  const json second = pod.add();
  CHECK(address_in(first) == address_in(second));
  CHECK(held(cluster) == 1);
  CHECK(code_of(pod.check(second)) == 0);
  CHECK(code_of(pod.call("DEL")) == 0);
  pod.remove_netns();
  cluster.check_audit();
}

TEST_CASE("a late DEL of a pod's former sandbox leaves its new one alone") {
  Cluster cluster({});
  const RawPod former{cluster, "former", "default/db-0"};
  const RawPod latter{cluster, "latter", "default/db-0"};
  former.make_netns();
  const json old_result = former.add();
  latter.make_netns();
  const json result = latter.add();
  CHECK(address_in(old_result) != address_in(result));
  CHECK(code_of(former.call("DEL", json{{"prevResult", old_result}}.dump())) == 0);
  CHECK(code_of(former.call("DEL")) == 0);
  CHECK(code_of(latter.check(result)) == 0);
  CHECK(held(cluster) == 1);
  const std::string ping = "ping -c1 -W5 " + address_in(result);
  CHECK(cluster.on_node(kNode, ping + " >/dev/null && echo answers") == "answers");
  // The same container, but the prevResult of another one: still only its own goes.
  CHECK(code_of(former.call("DEL", json{{"prevResult", result}}.dump())) == 0);
  CHECK(cluster.on_node(kNode, ping + " >/dev/null && echo answers") == "answers");
  CHECK(code_of(latter.call("DEL")) == 0);
  former.remove_netns();
  latter.remove_netns();
  cluster.check_audit();
}

TEST_CASE("CHECK notices whatever is missing in the pod or for it on the node") {
  Cluster cluster({});
  const RawPod pod{cluster, "checked"};
  pod.make_netns();
  const json result = pod.add();
  const std::string address = address_in(result);
  const std::string host = result["interfaces"][0]["name"];
  REQUIRE(code_of(pod.check(result)) == 0);
  struct Case {
    std::string breaks;
    std::string repairs;
  };
  const std::string in = "ip -n checked ";
  const std::string neighbour = cluster.on_node(kNode, in + "neigh show dev eth0 | head -1");
  const std::string gateway = neighbour.substr(0, neighbour.find(' '));
  const std::string mac = cluster.on_node(kNode, "cat /sys/class/net/" + host + "/address");
  const std::string route = cluster.on_node(kNode, in + "route show default");
  const Case cases[] = {
      {in + "route del default", in + "route add " + route},
      {in + "neigh del " + gateway + " dev eth0",
       in + "neigh replace " + gateway + " lladdr " + mac + " dev eth0 nud permanent"},
      {in + "link set eth0 mtu 1300", in + "link set eth0 mtu 1500"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.breaks);
    cluster.on_node(kNode, one.breaks);
    const auto failed = pod.check(result);
    CHECK(failed.exit_code != 0);
    MESSAGE(failed.out);
    cluster.on_node(kNode, one.repairs);
    CHECK(code_of(pod.check(result)) == 0);
  }
  // The address takes the routes with it: only a new ADD puts them right.
  cluster.on_node(kNode, in + "address flush dev eth0");
  CHECK(pod.check(result).exit_code != 0);
  CHECK(code_of(pod.check(pod.add())) == 0);
  // What is broken on the node is healed by the daemon itself.
  cluster.on_node(kNode, "ip rule del priority 512; ip route flush table 999");
  CHECK(eventually([&] { return code_of(pod.check(result)) == 0; }));
  CHECK(cluster.on_node(kNode, "ip rule show priority 512") != "");
  // A result that is not this pod's.
  json foreign = result;
  foreign["ips"][0]["address"] = "192.168.32.200/32";
  CHECK(pod.check(foreign).exit_code != 0);
  CHECK(code_of(pod.call("DEL")) == 0);
  CHECK(pod.check(result).exit_code != 0);
  pod.remove_netns();
  cluster.check_audit();
}

TEST_CASE("GC releases what the runtime does not list, and nothing when it lists nothing at all") {
  Cluster cluster({});
  const RawPod stays{cluster, "stays", "default/a"};
  const RawPod goes{cluster, "goes", "default/b"};
  for (const RawPod* pod : {&stays, &goes}) {
    pod->make_netns();
    pod->add();
  }
  CHECK(code_of(cluster.plugin(kNode, {"GC", "", "", "", "", ""})) == 0);
  CHECK(held(cluster) == 2);
  const json valid = {
      {"cni.dev/valid-attachments", json::array({{{"containerID", "stays"}, {"ifname", "eth0"}}})}};
  CHECK(code_of(cluster.plugin(kNode, {"GC", "", "", "", "", valid.dump()})) == 0);
  CHECK(held(cluster) == 1);
  CHECK(cluster.ask<rpc::cli::Pods>(kNode, rpc::cli::kPodsPath).pods.at(0).container_id == "stays");
  CHECK(code_of(cluster.plugin(
            kNode, {"GC", "", "", "", "", R"({"cni.dev/valid-attachments":[]})"})) == 0);
  CHECK(held(cluster) == 0);
  stays.remove_netns();
  goes.remove_netns();
  cluster.check_audit();
}

TEST_CASE("STATUS says 50 while no ADD could be served, and why") {
  Shape shape;
  shape.pod_cidr = "192.168.32.0/29";  // 4 addresses
  shape.eni_conf = R"({max_pool_size: 0, add_timeout: "2s", vswitch_probe_after: "1s"})";
  Cluster cluster(shape);
  const PluginCall status{"STATUS", "", "", "", "", ""};
  CHECK(code_of(cluster.plugin(kNode, status)) == 0);
  REQUIRE(cluster.lab().kill_daemon(kNode).ok());
  CHECK(code_of(cluster.plugin(kNode, status)) == 50);
  REQUIRE(cluster.lab().start_daemon(kNode).ok());
  CHECK(eventually([&] { return code_of(cluster.plugin(kNode, status)) == 0; }));
  for (int i = 0; i < 4; ++i) cluster.add_pod_at_last(fmt::format("p-{}", i));
  lab::PodSpec pod;
  pod.name = "too-many";
  CHECK_FALSE(cluster.lab().add_pod(kNode, pod).ok());
  const auto full = cluster.plugin(kNode, status);
  CHECK(code_of(full) == 50);
  CHECK(full.out.find("vsw-pods") != std::string::npos);
  cluster.delete_pod("p-0");
  CHECK(eventually([&] { return code_of(cluster.plugin(kNode, status)) == 0; }));
  cluster.check_audit();
}

TEST_CASE("an IPv6 pod's first packet after ADD gets through: no address waits for its detection") {
  for (const char* stack : {"ipv6", "dual"}) {
    CAPTURE(stack);
    Shape shape;
    shape.ip_stack = stack;
    shape.pods = 1;
    Cluster cluster(shape);
    const auto other = cluster.lab().endpoint("node-1-pod-1");
    REQUIRE(other.ok());
    const RawPod pod{cluster, "quick"};
    pod.make_netns();
    const json result = pod.add();
    CHECK(pod.inside("ip -6 addr show tentative") == "");
    for (const auto& address : other->addresses) {
      CHECK(pod.inside(fmt::format("ping -c1 -W5 {} >/dev/null && echo answers",
                                   address.to_string())) == "answers");
    }
    CHECK(result["ips"].size() == other->addresses.size());
    CHECK(code_of(pod.check(result)) == 0);
    CHECK(code_of(pod.call("DEL")) == 0);
    pod.remove_netns();
    cluster.check_audit();
  }
}

TEST_CASE("a hundred ADDs at once succeed while somebody else holds the lock of iptables") {
  Shape shape;
  shape.instance_type = "ecs.g7.4xlarge";
  shape.eni_conf = "{min_pool_size: 100, max_pool_size: 100}";
  Cluster cluster(shape);
  REQUIRE(eventually([&] { return pool_of(cluster).idle >= 100; }));
  cluster.on_node(kNode, "for i in $(seq 100); do ip netns add c$i; done");
  cluster.on_node(kNode,
                  "setsid flock -x /run/xtables.lock sleep 120 >/dev/null 2>&1 & "
                  "until ! flock -n /run/xtables.lock true; do sleep 0.05; done");
  const auto calls = [&](const char* command) {
    return cluster.on_node(
        kNode,
        fmt::format("run() {{ echo "
                    "'{{\"cniVersion\":\"1.1.0\",\"name\":\"terway\",\"type\":\"terway\"}}' | "
                    "CNI_COMMAND={} CNI_PATH=/opt/cni/bin CNI_CONTAINERID=c$1 CNI_IFNAME=eth0 "
                    "CNI_NETNS=/run/netns/c$1 CNI_ARGS='K8S_POD_NAMESPACE=d;K8S_POD_NAME=c'$1 "
                    "/opt/cni/bin/terway >/tmp/c$1 && echo ok; }}; "
                    "for i in $(seq 100); do run $i & done; wait",
                    command));
  };
  const auto succeeded = [](const std::string& output) {
    return std::count(output.begin(), output.end(), 'k');
  };
  CHECK(succeeded(calls("ADD")) == 100);
  // Held all the time, and still.
  CHECK(cluster.on_node(kNode, "flock -n /run/xtables.lock true || echo held") == "held");
  CHECK(held(cluster) == 100);
  CHECK(succeeded(calls("DEL")) == 100);
  CHECK(held(cluster) == 0);
  cluster.on_node(kNode, "for i in $(seq 100); do ip netns del c$i; done");
  cluster.check_audit();
}
