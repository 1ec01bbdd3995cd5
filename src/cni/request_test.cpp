// SPDX-License-Identifier: Apache-2.0
#include "cni/request.h"

#include <doctest/doctest.h>

#include <chrono>

using namespace terway;
using namespace terway::cni;

namespace {

std::variant<Request, Failure> parse(std::string_view config, Command command = Command::Add,
                                     std::string_view args = "") {
  Call call;
  call.command = command;
  call.container_id = "8d9e";
  call.netns_path = "/var/run/netns/blue";
  call.ifname = "eth0";
  call.args = args;
  call.config = config;
  return parse_request(call);
}

Request accepted(std::string_view config, Command command = Command::Add,
                 std::string_view args = "") {
  auto parsed = parse(config, command, args);
  const auto* refused = std::get_if<Failure>(&parsed);
  REQUIRE_MESSAGE(refused == nullptr, (refused != nullptr ? refused->details : ""));
  return std::get<Request>(std::move(parsed));
}

Failure refused(std::string_view config, Command command = Command::Add,
                std::string_view args = "") {
  auto parsed = parse(config, command, args);
  REQUIRE(std::holds_alternative<Failure>(parsed));
  return std::get<Failure>(std::move(parsed));
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// A configuration with one key added.
std::string with(std::string_view key) {
  return R"({"cniVersion":"1.1.0","name":"net","type":"terway",)" + std::string(key) + "}";
}

// SPEC 1.1.0, "Add example", step 2: what the tuning plugin is given.
constexpr std::string_view kSpecTuning = R"({
  "cniVersion": "1.1.0",
  "name": "dbnet",
  "type": "tuning",
  "sysctl": { "net.core.somaxconn": "500" },
  "prevResult": {
    "ips": [ { "address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 2 } ],
    "routes": [ { "dst": "0.0.0.0/0" } ],
    "interfaces": [
        { "name": "cni0", "mac": "00:11:22:33:44:55" },
        { "name": "veth3243", "mac": "55:44:33:22:11:11" },
        { "name": "eth0", "mac": "99:88:77:66:55:44", "sandbox": "/var/run/netns/blue" }
    ],
    "dns": { "nameservers": [ "10.1.0.1" ] }
  }
})";

}  // namespace

TEST_CASE("the specification's example of a derived configuration is read as it stands") {
  const Request request = accepted(kSpecTuning, Command::Check);
  CHECK(request.config.name == "dbnet");
  CHECK(request.config.version == Version::V110);
  CHECK(request.key == model::AttachmentKey{"8d9e", "eth0"});
  REQUIRE(request.previous);
  REQUIRE(request.previous->interfaces.size() == 3);
  CHECK(request.previous->interfaces[2].sandbox == "/var/run/netns/blue");
  REQUIRE(request.previous->ips.size() == 1);
  CHECK(request.previous->ips[0].address.to_string() == "10.1.0.5/16");
  CHECK(request.previous->ips[0].gateway->to_string() == "10.1.0.1");
  CHECK(request.previous->ips[0].interface == 2U);
  CHECK(request.previous->routes[0].destination.to_string() == "0.0.0.0/0");
  CHECK(request.previous->dns.nameservers == std::vector<std::string>{"10.1.0.1"});
  CHECK(request.warnings == std::vector<std::string>{"sysctl is unknown: ignored"});
}

TEST_CASE("every key of an existing cluster's configuration is known") {
  const Request request = accepted(R"({
    "cniVersion": "0.4.0", "name": "terway-chainer", "type": "terway",
    "mtu": 1400, "eniip_virtual_type": "Veth", "host_stack_cidrs": ["169.254.20.10/32", "fd00::/8"],
    "disable_host_peer": true, "vlan_strip_type": "filter", "bandwidth_mode": "tc",
    "enable_network_priority": false, "debug": true, "capabilities": {"bandwidth": true},
    "symmetric_routing": true,
    "symmetric_routing_config": {"interface": "eth1", "mark": "0x20", "mask": 32, "table_id": 101,
      "rule_priority": 601, "comment": "c", "backend": "nftables"},
    "auto_mtu": true, "network_policy_provider": "ebpf"
  })");
  CHECK(request.warnings.empty());
  CHECK(request.config.mtu == 1400);
  CHECK(request.config.virtual_type == VirtualType::Veth);
  REQUIRE(request.config.host_stack_cidrs.size() == 2);
  CHECK(request.config.host_stack_cidrs[0].to_string() == "169.254.20.10/32");
  CHECK(request.config.disable_host_peer);
  CHECK(request.config.debug);
  const SymmetricRouting expected{true, "eth1", 0x20, 32, 101, 601, "c"};
  CHECK(request.config.symmetric_routing == expected);
}

TEST_CASE("keys that have no effect and keys that are unknown are warned about by name") {
  const Request request = accepted(with(
      R"("veth_prefix":"abc","cilium_args":"x","cilium_enable_hubble":"true","ipam":{},"mut":1500)"));
  REQUIRE(request.warnings.size() == 5);
  CHECK(contains(request.warnings[0], "veth_prefix: abc has no effect"));
  CHECK(contains(request.warnings[1], "cilium_args has no effect"));
  CHECK(contains(request.warnings[2], "cilium_enable_hubble has no effect"));
  CHECK(contains(request.warnings[3], "ipam has no effect"));
  CHECK(request.warnings[4] == "mut is unknown: ignored");
}

TEST_CASE("a bad value is refused with key, value and what is allowed") {
  struct Row {
    const char* key;
    const char* details;
  };
  const Row rows[] = {
      {R"("mtu":70000)", "mtu: 70000 is not allowed: a whole number from 0 to 65535"},
      {R"("mtu":-1)", "mtu: -1 is not allowed"},
      {R"("mtu":12)", "mtu: 12 is not allowed: 0 (that of the ENI), or a number from 576"},
      {R"("eniip_virtual_type":"bridge")",
       "eniip_virtual_type: \"bridge\" is not allowed: veth, datapathv2, ipvlan"},
      {R"("host_stack_cidrs":["10.0.0.0/33"])", "host_stack_cidrs: \"10.0.0.0/33\" is not allowed"},
      {R"("host_stack_cidrs":"10.0.0.0/8")", "a list of CIDRs"},
      {R"("debug":"yes")", "debug: \"yes\" is not allowed: true or false"},
      {R"("vlan_strip_type":"both")", "vlan_strip_type: \"both\" is not allowed: filter, vlan"},
      {R"("bandwidth_mode":"htb")", "bandwidth_mode: \"htb\" is not allowed: tc, edt"},
      {R"("network_policy_provider":7)",
       "network_policy_provider: 7 is not allowed: iptables, ebpf"},
      {R"("symmetric_routing_config":{"mark":"0xg"})", "symmetric_routing_config.mark: \"0xg\""},
      {R"("symmetric_routing_config":{"interface":"a b"})",
       "symmetric_routing_config.interface: \"a b\" is not allowed"},
      {R"("symmetric_routing_config":{"rule_priority":32766})", "from 1 to 32765"},
      {R"("dns":{"nameservers":[1]})", "dns.nameservers: 1 is not allowed: a list of strings"},
      {R"("runtimeConfig":{"portMappings":[{"hostPort":99999}]})",
       "runtimeConfig.portMappings[0].hostPort: 99999"},
      {R"("runtimeConfig":{"portMappings":[7]})", "runtimeConfig.portMappings[0]: 7"},
      {R"("prevResult":{"ips":[{"address":"nowhere"}]})", "prevResult.ips[0].address: \"nowhere\""},
      {R"("prevResult":{"ips":[{}]})", "prevResult.ips[0].address is missing"},
      {R"("prevResult":{"routes":[{"gw":"10.0.0.1"}]})", "prevResult.routes[0].dst is missing"},
  };
  for (const Row& row : rows) {
    const Failure failure = refused(with(row.key));
    CHECK(failure.code == Code::InvalidConfig);
    CHECK(failure.version == "1.1.0");
    CHECK_MESSAGE(contains(failure.details, row.details), failure.details);
  }
  CHECK(contains(refused(R"({"cniVersion":"1.0.0","type":"terway"})").details, "name: \"\""));
  CHECK(contains(refused(R"({"cniVersion":"1.0.0","name":"a/b"})").details, "name: \"a/b\""));
}

TEST_CASE("a known key whose feature does not exist yet is refused by name, on ADD alone") {
  struct Row {
    const char* key;
    const char* details;
  };
  const Row rows[] = {
      {R"("eniip_virtual_type":"IPVlan")", "eniip_virtual_type: \"ipvlan\""},
      {R"("vlan_strip_type":"vlan")", "vlan_strip_type: \"vlan\" needs ENI trunking"},
      {R"("runtimeConfig":{"portMappings":[{"hostPort":80,"containerPort":80}]})",
       "runtimeConfig.portMappings: 1"},
      {R"("runtimeConfig":{"ips":["10.0.0.9/24"]})", "runtimeConfig.ips: 10.0.0.9/24"},
      {R"("runtimeConfig":{"mac":"00:11:22:33:44:66"})", "runtimeConfig.mac: 00:11:22:33:44:66"},
  };
  for (const Row& row : rows) {
    const Failure failure = refused(with(row.key));
    CHECK(failure.code == Code::UnsupportedField);
    CHECK_MESSAGE(contains(failure.details, row.details), failure.details);
    CHECK(std::holds_alternative<Request>(parse(with(row.key), Command::Del)));
  }
}

TEST_CASE("limits are taken in bits per second, and what is no rate is told apart") {
  const auto runtime = [](std::string_view bandwidth) {
    return accepted(with(R"("runtimeConfig":{"bandwidth":)" + std::string(bandwidth) + "}"))
        .runtime;
  };
  const auto good = runtime(
      R"({"ingressRate":1000000,"ingressBurst":2147483647,"egressRate":5000000000,"egressBurst":"x"})");
  CHECK(good.bandwidth == model::Bandwidth{5'000'000'000, 1'000'000});
  CHECK(good.bandwidth_problems.empty());
  struct Row {
    const char* bandwidth;
    const char* problem;
  };
  const Row rows[] = {
      {R"({"ingressRate":"fast"})", "runtimeConfig.bandwidth.ingressRate: \"fast\" is not allowed"},
      {R"({"ingressRate":-1})", "runtimeConfig.bandwidth.ingressRate: -1 is not allowed"},
      {R"({"ingressRate":999})", "runtimeConfig.bandwidth.ingressRate: 999 is not allowed"},
      {R"({"ingressRate":2000000000000000})", "from 1k to 1P"},
  };
  for (const Row& row : rows) {
    const auto bad = runtime(row.bandwidth);
    REQUIRE(bad.bandwidth_problems.size() == 1);
    CHECK_MESSAGE(contains(bad.bandwidth_problems[0], row.problem), bad.bandwidth_problems[0]);
    CHECK(bad.bandwidth.ingress == 0);
  }
}

TEST_CASE("the priority of a pod's annotations counts where it is switched on") {
  const auto runtime = [](std::string_view on, std::string_view priority) {
    return accepted(with(R"("enable_network_priority":)" + std::string(on) +
                         R"(,"runtimeConfig":{"io.kubernetes.cri.pod-annotations":)" +
                         R"({"k8s.aliyun.com/network-priority":)" + std::string(priority) + "}}"))
        .runtime;
  };
  CHECK(runtime("true", R"("guaranteed")").priority == model::NetworkPriority::Guaranteed);
  CHECK(runtime("true", R"("burstable")").priority == model::NetworkPriority::Burstable);
  CHECK(runtime("true", R"("best-effort")").priority == model::NetworkPriority::BestEffort);
  CHECK(runtime("false", R"("guaranteed")").priority == model::NetworkPriority::None);
  const auto bad = runtime("true", R"("first")");
  CHECK(bad.priority == model::NetworkPriority::None);
  CHECK(contains(bad.priority_problem, "\"first\" is not allowed: guaranteed, burstable"));
}

TEST_CASE("DEL and GC work with a configuration that ADD would refuse") {
  for (const Command command : {Command::Del, Command::Gc}) {
    const Request request =
        accepted(with(R"("mtu":"big","prevResult":{"ips":7})"), command, "nonsense");
    REQUIRE(request.warnings.size() == 3);
    CHECK(contains(request.warnings[0], "\"nonsense\" is not KEY=VALUE"));
    CHECK(contains(request.warnings[1], "mtu: \"big\" is not allowed"));
    CHECK(contains(request.warnings[2], "prevResult.ips: 7 is not allowed: a list"));
  }
}

TEST_CASE("versions are negotiated: what we speak, and what each verb needs") {
  const auto config = [](std::string_view version) {
    return R"({"cniVersion":")" + std::string(version) + R"(","name":"net","prevResult":{}})";
  };
  for (const char* version : {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}) {
    CHECK(to_string(accepted(config(version)).config.version) == version);
    CHECK(std::holds_alternative<Request>(parse(config(version), Command::Del)));
  }
  for (const char* version : {"0.1.0", "0.2.0", "1.2.0", "2.0.0", "", "1"}) {
    const Failure failure = refused(config(version));
    CHECK(failure.code == Code::IncompatibleVersion);
    CHECK(failure.version == "1.1.0");
    CHECK(contains(failure.details, "1.1.0 are spoken"));
  }
  CHECK(refused("{}").code == Code::IncompatibleVersion);
  CHECK(refused(R"({"cniVersion":1})").code == Code::DecodingFailure);
  CHECK(refused(config("0.3.1"), Command::Check).code == Code::IncompatibleVersion);
  CHECK(refused(config("0.3.1"), Command::Check).version == "0.3.1");
  CHECK(std::holds_alternative<Request>(parse(config("0.4.0"), Command::Check)));
  for (const Command command : {Command::Gc, Command::Status}) {
    CHECK(refused(config("1.0.0"), command).code == Code::IncompatibleVersion);
    CHECK(std::holds_alternative<Request>(parse(config("1.1.0"), command)));
  }
}

TEST_CASE("what is no JSON object cannot be decoded") {
  for (const char* text : {"", "{", "[]", "7", "null", "{\"cniVersion\":\"1.0.0\",}", "\xff\xfe"}) {
    CHECK(refused(text).code == Code::DecodingFailure);
  }
  CHECK(refused(std::string(100'000, '[')).code == Code::DecodingFailure);
}

TEST_CASE("environment variables that are wrong are named, all of them") {
  Call call;
  call.config = R"({"cniVersion":"1.0.0","name":"net"})";
  call.container_id = "../etc";
  call.ifname = "a/b";
  const auto parsed = parse_request(call);
  REQUIRE(std::holds_alternative<Failure>(parsed));
  const Failure& failure = std::get<Failure>(parsed);
  CHECK(failure.code == Code::InvalidEnvironment);
  CHECK(failure.version == "1.0.0");
  for (const char* name : {"CNI_CONTAINERID: \"../etc\"", "CNI_IFNAME: \"a/b\"", "CNI_NETNS"}) {
    CHECK(contains(failure.details, name));
  }
  for (const char* ifname : {"", ".", "..", "sixteen_letters_", "a:b", "a b", "a\tb"}) {
    call.container_id = "c";
    call.netns_path = "/n";
    call.ifname = ifname;
    CHECK(std::holds_alternative<Failure>(parse_request(call)));
  }
  for (const char* container : {"", "-a", ".a", "a b", "a/b", "\xc3\xa9"}) {
    call.container_id = container;
    call.ifname = "eth0";
    CHECK(std::holds_alternative<Failure>(parse_request(call)));
  }
  call.command = Command::Del;
  call.container_id = "Ab_1.-z";
  call.netns_path = "";
  CHECK(std::holds_alternative<Request>(parse_request(call)));
}

TEST_CASE("the pod's names come from CNI_ARGS") {
  const char* args =
      "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;"
      "K8S_POD_INFRA_CONTAINER_ID=8d9e;K8S_POD_UID=0f1e;OTHER=x";
  const Request request = accepted(with(R"("mtu":0)"), Command::Add, args);
  CHECK(request.pod.namespace_ == "shop");
  CHECK(request.pod.name == "web-0");
  CHECK(request.pod.uid == "0f1e");
  CHECK(request.infra_container_id == "8d9e");
  CHECK(std::holds_alternative<Request>(parse(with(R"("mtu":0)"), Command::Add, "")));
  CHECK(std::holds_alternative<Request>(
      parse(with(R"("mtu":0)"), Command::Add, "IgnoreUnknown=true")));
  const Failure unknown = refused(with(R"("mtu":0)"), Command::Add, "K8S_POD_NAME=a;OTHER=x");
  CHECK(unknown.code == Code::DecodingFailure);
  CHECK(contains(unknown.details, "OTHER=x is unknown"));
  CHECK(refused(with(R"("mtu":0)"), Command::Add, "IgnoreUnknown=1;K8S").code ==
        Code::DecodingFailure);
}

TEST_CASE("capability arguments are read, and DNS of the runtime wins over the configuration's") {
  const Request request = accepted(with(R"("dns":{"nameservers":["10.0.0.2"],"domain":"d"},
    "runtimeConfig":{"bandwidth":{"ingressRate":0,"egressBurst":5},
      "portMappings":[{"containerPort":80,"protocol":"tcp"}],
      "dns":{"servers":["10.0.0.3"],"searches":["svc"],"options":["ndots:5"]},
      "cgroupPath":"/kubepods","novel":1})"));
  CHECK(request.runtime.bandwidth == model::Bandwidth{});
  CHECK(request.runtime.port_mappings.empty());
  const Dns expected{{"10.0.0.3"}, "", {"svc"}, {"ndots:5"}};
  CHECK(request.config.dns == expected);
  CHECK(request.warnings == std::vector<std::string>{"runtimeConfig.novel is unknown: ignored"});
}

TEST_CASE("GC tells what is still valid, and nothing told is not the same as nothing valid") {
  const Request told =
      accepted(with(R"("cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"},
                                          {"containerID":"b","ifname":"eth1"}],
              "cni.dev/attachments":[{"containerID":"a","ifname":"eth0"},
                                     {"containerID":"b","ifname":"eth1"}])"),
               Command::Gc);
  REQUIRE(told.valid_attachments);
  CHECK(*told.valid_attachments == std::vector<model::AttachmentKey>{{"a", "eth0"}, {"b", "eth1"}});
  CHECK(told.warnings.empty());
  CHECK(accepted(with(R"("cni.dev/attachments":[])"), Command::Gc).valid_attachments->empty());
  CHECK(accepted(with(R"("cni.dev/valid-attachments":null)"), Command::Gc)
            .valid_attachments->empty());
  CHECK_FALSE(accepted(with(R"("mtu":0)"), Command::Gc).valid_attachments);
}

TEST_CASE("CHECK without prevResult is refused") {
  CHECK(
      contains(refused(with(R"("mtu":0)"), Command::Check).details, "prevResult: CHECK needs it"));
}

TEST_CASE("parsing a usual request takes far less than the call it belongs to") {
  const auto start = std::chrono::steady_clock::now();
  constexpr int kRounds = 200;
  for (int i = 0; i < kRounds; ++i) CHECK(parse(kSpecTuning, Command::Del).index() == 0);
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  MESSAGE("parse_request: ", took.count() / kRounds, " us");
  CHECK(took.count() / kRounds < 10'000);
}
