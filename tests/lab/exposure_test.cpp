// SPDX-License-Identifier: Apache-2.0
// Traffic that comes by another address than a pod's own, and NICs that are not ours. An nftables
// DNAT stands in for kube-proxy.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "cloud/client.h"
#include "fault.h"
#include "kernel/netns.h"

using namespace terway;
using namespace terway::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr const char* kNode = "node-1";

std::string address_of(const lab::PodOnNode& pod) {
  return pod.sandbox.addresses.front().to_string();
}

// A shell command in the pod's namespace.
std::string in_pod(Cluster& cluster, const lab::PodOnNode& pod, const std::string& command) {
  return cluster.on_node(pod.node, fmt::format("nsenter --net={} {}", pod.sandbox.netns, command));
}

// "<name> <address it saw>", or what went wrong.
std::string ask(Cluster& cluster, const std::string& from, const std::string& to,
                lab::Protocol protocol) {
  const auto source = cluster.lab().endpoint(from);
  const auto target = lab::parse_target(fmt::format("{}/{}", to, to_string(protocol)));
  REQUIRE(source.ok());
  REQUIRE(target.ok());
  const auto answer = lab::probe(source->netns_path, *target, seconds(5));
  return answer.ok() ? answer->text : answer.error().message();
}

std::string own_address(Cluster& cluster, const std::string& of) {
  const auto endpoint = cluster.lab().endpoint(of);
  REQUIRE(endpoint.ok());
  return endpoint->addresses.front().to_string();
}

// Of the only named counter in the node, or in a pod there.
int counted(Cluster& cluster, const std::string& node, const std::string& netns_prefix = "") {
  const std::string text =
      cluster.on_node(node, netns_prefix +
                                "nft -j list counters | "
                                "grep -o '\"packets\": *[0-9]*' | grep -o '[0-9]*$' | head -1");
  return text.empty() ? 0 : std::stoi(text);
}

// A Service with one pod behind it, as a node has it; its SYNs are counted.
constexpr const char* kService = "10.96.0.9";
void add_service(Cluster& cluster, const std::string& node, const lab::PodOnNode& pod) {
  cluster.on_node(
      node, fmt::format("nft 'add table ip svc; add counter ip svc syns; "
                        "add chain ip svc raw {{ type filter hook prerouting priority -300; }}; "
                        "add rule ip svc raw ip daddr {0} tcp flags syn counter name syns; "
                        "add chain ip svc pre {{ type nat hook prerouting priority -100; }}; "
                        "add rule ip svc pre ip daddr {0} tcp dport 80 dnat to {1}:8080'",
                        kService, address_of(pod)));
}
void remove_endpoint(Cluster& cluster, const std::string& node) {
  cluster.on_node(node, "nft flush chain ip svc pre");
}

// Counts in the pod what comes for its port, and lets it in or not.
void watch(Cluster& cluster, const lab::PodOnNode& pod, const char* verdict) {
  in_pod(cluster, pod,
         fmt::format("nft 'add table ip t; add counter ip t seen; add chain ip t in {{ type "
                     "filter hook input priority 0; }}; add rule ip t in tcp dport 8080 counter "
                     "name seen {}'",
                     verdict));
}
int seen(Cluster& cluster, const lab::PodOnNode& pod) {
  return counted(cluster, pod.node, fmt::format("nsenter --net={} ", pod.sandbox.netns));
}

void connect_in_background(Cluster& cluster, const lab::PodOnNode& client) {
  in_pod(
      cluster, client,
      fmt::format("setsid timeout 300 bash -c 'echo >/dev/tcp/{}/80' >/dev/null 2>&1 &", kService));
}

// A new pod on the node that gets this address: the cloud gives the lowest free one, so the one
// that was given back last.
lab::PodOnNode heir_of(Cluster& cluster, const std::string& address) {
  std::optional<lab::PodOnNode> heir;
  REQUIRE(eventually(
      [&] {
        SystemClock().sleep_for(milliseconds(1500));
        heir = cluster.add_pod("heir");
        if (address_of(*heir) == address) return true;
        cluster.delete_pod("heir");
        return false;
      },
      seconds(120)));
  return *heir;
}

// Makes an ENI as an operator would, and attaches it: its NIC is in the node then.
std::string attach_eni(Cluster& cluster, const std::string& region, const model::Tags& tags,
                       std::string& mac) {
  const auto inside = lab::Node::open(
      {cluster.name(), kNode, cluster.lab().paths().run(), cluster.lab().paths().disk(kNode)});
  REQUIRE(inside.ok());
  const auto netns = kernel::open_netns(inside->netns_path());
  REQUIRE(netns.ok());
  const auto there = kernel::InsideNetns::enter(netns->get());
  REQUIRE(there.ok());
  SystemClock clock;
  cloud::FixedCredentials credentials({"operator", "secret", "", std::nullopt});
  cloud::RateLimiter limiter(clock);
  cloud::ClientSettings settings;
  settings.ecs_url = cluster.lab().state().api_url;
  settings.vpc_url = settings.ecs_url;
  settings.region_id = region;
  settings.ca_path = cluster.lab().paths().cloud_ca();
  cloud::Client client(settings, credentials, limiter, clock, Random::from_system());
  cloud::CreateEni wish;
  wish.vswitch_id = "vsw-pods";
  wish.security_group_ids = {lab::kSecurityGroup};
  wish.secondary_ipv4_count = 2;
  wish.tags = tags;
  const auto eni = client.create_network_interface(wish);
  REQUIRE_MESSAGE(eni.ok(), eni.error().to_string());
  const auto* machine = cluster.lab().state().find(kNode);
  const auto attached = client.attach_network_interface(eni->id, machine->instance_id);
  REQUIRE_MESSAGE(attached.ok(), attached.error().to_string());
  mac = eni->mac.to_string();
  return eni->id;
}

}  // namespace

TEST_CASE("a NodePort's client reaches a pod on an ENI, whatever the reverse path filters say") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 1;
  Cluster cluster(shape);
  const std::string client = own_address(cluster, "outside-1");
  const std::string node = own_address(cluster, kNode);
  cluster.on_node(
      kNode, fmt::format("nft 'add table ip svc; add chain ip svc pre {{ type nat hook prerouting "
                         "priority -100; }}; add rule ip svc pre ip daddr {} meta l4proto {{ tcp, "
                         "udp }} th dport 30080 dnat to {}:8080'",
                         node, own_address(cluster, "node-1-pod-1")));
  for (const char* all : {"1", "2"}) {
    for (const char* primary : {"1", "2"}) {
      CAPTURE(all);
      CAPTURE(primary);
      cluster.on_node(kNode, fmt::format("echo {} >/proc/sys/net/ipv4/conf/all/rp_filter; "
                                         "echo {} >/proc/sys/net/ipv4/conf/eth0/rp_filter",
                                         all, primary));
      for (const auto protocol : {lab::Protocol::Tcp, lab::Protocol::Udp}) {
        CAPTURE(to_string(protocol));
        CHECK(ask(cluster, "outside-1", node + ":30080", protocol) ==
              "default/node-1-pod-1 " + client);
      }
      cluster.check_matrix();
    }
  }
  cluster.check_audit();
}

TEST_CASE("a connection to an address of one ENI that is sent on to a pod of another returns") {
  Shape shape;
  shape.instance_type = "ecs.g7.large";  // 6 addresses an ENI
  shape.pods = 7;
  // Programs hand what is for a pod's address to that pod; netfilter never sees it.
  shape.eni_conf = R"({datapath: "stack"})";
  Cluster cluster(shape);
  REQUIRE(enis_of(cluster).size() == 2);
  const auto pods = cluster.ask<rpc::cli::Pods>(kNode, rpc::cli::kPodsPath).pods;
  const auto& first = pods.front();
  const auto other = std::find_if(pods.begin(), pods.end(),
                                  [&](const auto& pod) { return pod.eni_id != first.eni_id; });
  REQUIRE(other != pods.end());
  cluster.on_node(
      kNode, fmt::format("nft 'add table ip svc; add chain ip svc pre {{ type nat hook prerouting "
                         "priority -100; }}; add rule ip svc pre ip daddr {} meta l4proto {{ tcp, "
                         "udp }} th dport 9090 dnat to {}:8080'",
                         first.addresses[0], other->addresses[0]));
  const std::string expected =
      fmt::format("default/{} {}", other->name, own_address(cluster, "outside-1"));
  for (const auto protocol : {lab::Protocol::Tcp, lab::Protocol::Udp}) {
    CHECK(ask(cluster, "outside-1", first.addresses[0] + ":9090", protocol) == expected);
  }
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE(
    "a SYN that is repeated after its pod was replaced never reaches who has the address now") {
  Shape shape;
  shape.eni_conf = R"({max_pool_size: 0, cool_down: "1s", service_cidr: "10.96.0.0/12"})";
  Cluster cluster(shape);
  const auto client = cluster.add_pod("client");
  const auto old = cluster.add_pod("old");
  add_service(cluster, kNode, old);
  watch(cluster, old, "drop");
  // It is repeated for as long as the test may take: each second where the kernel has the setting.
  in_pod(cluster, client,
         "sh -c 'cd /proc/sys/net/ipv4; echo 127 >tcp_syn_retries; "
         "! test -e tcp_syn_linear_timeouts || echo 127 >tcp_syn_linear_timeouts'");
  connect_in_background(cluster, client);
  REQUIRE(eventually([&] { return seen(cluster, old) >= 1; }));
  remove_endpoint(cluster, kNode);
  cluster.delete_pod("old");
  const auto heir = heir_of(cluster, address_of(old));
  watch(cluster, heir, "accept");
  const int before = counted(cluster, kNode);
  REQUIRE(eventually([&] { return counted(cluster, kNode) > before; }, seconds(130)));
  SystemClock().sleep_for(milliseconds(200));
  CHECK(seen(cluster, heir) == 0);
  cluster.check_audit();
}

// Another node's connection tracking is not ours to flush, and goes on sending to the address: only
// its rest keeps the SYNs from who has it next. It must be longer than a client goes on repeating
// them: 67 s by Linux's default, 7 s here.
TEST_CASE("a SYN that a client on another node repeats meets nobody while the address rests") {
  Shape shape;
  shape.nodes = 2;
  shape.eni_conf = R"({max_pool_size: 0, cool_down: "10s", service_cidr: "10.96.0.0/12"})";
  Cluster cluster(shape);
  const auto client = cluster.add_pod("client", "node-2");
  const auto old = cluster.add_pod("old", kNode);
  add_service(cluster, "node-2", old);
  watch(cluster, old, "drop");
  in_pod(cluster, client,
         "sh -c 'cd /proc/sys/net/ipv4; echo 3 >tcp_syn_retries; "
         "! test -e tcp_syn_linear_timeouts || echo 0 >tcp_syn_linear_timeouts'");
  // The pod's node answers that nobody is there, which would end it at once.
  in_pod(cluster, client,
         "nft 'add table ip q; add chain ip q in { type filter hook input priority 0; }; "
         "add rule ip q in ip protocol icmp drop'");
  connect_in_background(cluster, client);
  REQUIRE(eventually([&] { return seen(cluster, old) >= 1; }));
  remove_endpoint(cluster, "node-2");
  cluster.delete_pod("old");
  const auto heir = heir_of(cluster, address_of(old));
  watch(cluster, heir, "accept");
  CHECK(eventually([&] { return in_pod(cluster, client, "ss -Htn state syn-sent") == ""; }));
  CHECK(counted(cluster, "node-2") == 4);
  CHECK(seen(cluster, heir) == 0);
  // It is reached by whoever means it.
  CHECK(ask(cluster, "client", address_of(heir) + ":8080", lab::Protocol::Tcp)
            .starts_with("default/heir "));
  CHECK(seen(cluster, heir) > 0);
  cluster.check_audit();
}

TEST_CASE(
    "who else uses our mark bits is told; kube-proxy's and Calico's usual ones are not ours") {
  Cluster cluster({});
  const auto look = [&] {
    cluster.ask<rpc::cli::Mapping>(kNode, rpc::cli::kMappingPath);
    return notices(cluster, "MarkClash");
  };
  cluster.on_node(kNode,
                  "nft 'add table ip kube-proxy; add chain ip kube-proxy m; "
                  "add rule ip kube-proxy m meta mark set meta mark or 0x4000' && "
                  "nft 'add table ip calico; add chain ip calico m; "
                  "add rule ip calico m meta mark set meta mark or 0x10000' && "
                  "ip rule add priority 700 fwmark 0x100000/0x100000 lookup 77");
  CHECK(look() == 0);
  cluster.on_node(kNode, "ip rule add priority 701 fwmark 0x2/0x2 lookup 77");
  CHECK(look() == 1);
  cluster.on_node(kNode,
                  "ip rule del priority 701 && "
                  "nft 'add rule ip calico m meta mark set meta mark or 0x20'");
  CHECK(look() == 2);
  for (const auto& notice : cluster.ask<rpc::cli::Status>(kNode, rpc::cli::kStatusPath).notices) {
    if (notice.kind != "MarkClash") continue;
    MESSAGE(notice.message);
    CHECK(notice.message.find("calico") != std::string::npos);
    CHECK(notice.message.find("0x20") != std::string::npos);
  }
  cluster.check_audit();
}

TEST_CASE("the node's own NIC is left as it was, and so are NICs that are not to be managed") {
  Shape shape;
  shape.pods = 2;
  Cluster cluster(shape);
  // The outside host has the same NIC and no daemon.
  const std::string own =
      "cd /proc/sys/net/ipv4/conf/eth0; grep . rp_filter arp_ignore arp_filter arp_announce "
      "accept_local proxy_arp log_martians; cat /sys/class/net/eth0/mtu; "
      "ip -br link show eth0 | awk '{print $2,$4}'; ip route show table main | wc -l; "
      "ip -4 addr show dev eth0 | grep -c inet";
  CHECK(cluster.on_node(kNode, own) == cluster.on_node("outside-1", own));

  // One that an operator has excluded by tag though it looks like ours, and one by its MAC.
  const auto* machine = cluster.lab().state().find(kNode);
  const model::Tags ours = {{"creator", "terway"},
                            {"terway.aliyun.com/instance", machine->instance_id}};
  model::Tags excluded = ours;
  excluded["terway.alibabacloud.com/excluded"] = "true";
  const auto region = cluster.ask<rpc::cli::Status>(kNode, rpc::cli::kStatusPath).region;
  cluster.cloud_post("/access-keys", R"({"id":"operator","secret":"secret"})");
  REQUIRE(cluster.lab().kill_daemon(kNode).ok());
  for (const bool by_tag : {true, false}) {
    CAPTURE(by_tag);
    std::string mac;
    const std::string eni = attach_eni(cluster, region, by_tag ? excluded : ours, mac);
    if (!by_tag) {
      cluster.on_node(kNode, fmt::format(R"(sed -i '0,/{{/s//{{"no_manage_macs":["{}"],/' )"
                                         "/etc/eni/eni.json",
                                         mac));
    }
    const std::string find_nic =
        fmt::format("nic=$(ip -br link | grep -i {} | cut -d' ' -f1 | cut -d@ -f1); ", mac);
    REQUIRE(eventually([&] { return cluster.on_node(kNode, find_nic + "echo $nic") != ""; }));
    const std::string look =
        find_nic +
        "ip link show dev $nic; ip -4 addr show dev $nic; ip -4 route show table all dev $nic; "
        "ip -4 neigh show dev $nic; cd /proc/sys/net/ipv4/conf/$nic; "
        "grep . rp_filter arp_ignore forwarding; "
        "index=$(cat /sys/class/net/$nic/ifindex); ip rule | grep \"lookup $((1000+index))\"; "
        "nft list table inet terway | grep \"\\\"$nic\\\"\"; true";
    cluster.on_node(kNode, find_nic + "ip link set $nic up mtu 1400");
    SystemClock().sleep_for(milliseconds(200));
    const std::string before = cluster.on_node(kNode, look);
    // Each start lists the ENIs anew: they are seen as often as it takes to believe it.
    for (int i = 0; i < 3; ++i) {
      const auto calls = calls_of(cluster, "DescribeNetworkInterfaces").total;
      REQUIRE(cluster.lab().start_daemon(kNode).ok());
      cluster.add_pod(fmt::format("p-{}-{}", by_tag, i));
      CHECK(
          eventually([&] { return calls_of(cluster, "DescribeNetworkInterfaces").total > calls; }));
      SystemClock().sleep_for(milliseconds(300));
      CHECK(cluster.on_node(kNode, look) == before);
      for (const auto& known : cluster.ask<rpc::cli::Enis>(kNode, rpc::cli::kEnisPath).enis) {
        CHECK(known.id != eni);
      }
      REQUIRE(cluster.lab().kill_daemon(kNode).ok());
    }
    bool attached = false;
    for (const auto& there : enis_of(cluster)) attached |= there.id == eni;
    CHECK(attached);
  }
  REQUIRE(cluster.lab().start_daemon(kNode).ok());
  cluster.check_matrix();
}
