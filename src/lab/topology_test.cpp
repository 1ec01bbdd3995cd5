// SPDX-License-Identifier: Apache-2.0
#include "lab/topology.h"

#include <doctest/doctest.h>

using namespace terway;
using namespace terway::lab;

namespace {

constexpr const char* kWhole = R"(
vpc_cidr: 10.0.0.0/8
vpc_ipv6_cidr: fd00::/56
ip_stack: dual
mtu: 8500
vswitches:
  - {name: nodes, zone: a, cidr: 10.1.0.0/24, ipv6_cidr: "fd00:0:0:1::/64"}
  - {name: pods, zone: a, cidr: 10.2.0.0/24, ipv6_cidr: "fd00:0:0:2::/64"}
nodes:
  - {name: n1, vswitch: nodes, pod_vswitches: [pods], pods: 7, mode: exclusive}
  - {vswitch: nodes}
outside:
  - {vswitch: pods}
cloud: {attach_delay_ms: 10}
eni_conf: {max_pool_size: 3, eni_tags: {a: "1"}, list: [x, true]}
)";

std::string why(const Result<Topology>& result) {
  REQUIRE_FALSE(result.ok());
  return result.error().message();
}

}  // namespace

TEST_CASE("a topology is read whole, with defaults for what it leaves out") {
  const auto topology = parse_topology(kWhole);
  REQUIRE(topology.ok());
  CHECK(topology->stack == IpStack::Dual);
  CHECK(topology->mtu == 8500);
  CHECK(topology->nodes[0].pods == 7);
  CHECK(topology->nodes[0].mode == model::NetworkMode::Exclusive);
  CHECK(topology->nodes[1].mode == model::NetworkMode::Veth);
  CHECK(topology->nodes[1].name == "node-2");
  CHECK(topology->nodes[1].instance_type == "ecs.g7.xlarge");
  CHECK(topology->outside[0].name == "outside-1");
  CHECK(topology->cloud.at("attach_delay_ms") == "10");
  CHECK(topology->eni_conf == R"({"max_pool_size":3,"eni_tags":{"a":"1"},"list":["x",true]})");
}

TEST_CASE("what is wrong is named by its key, with what is allowed") {
  CHECK(why(parse_topology("nodes: [{vswitch: x}]")).find("is in vSwitch x") != std::string::npos);
  CHECK(why(parse_topology("nodez: []")).find("nodez is no key; allowed are") != std::string::npos);
  CHECK(why(parse_topology("ip_stack: both")).find("allowed are ipv4, ipv6, dual") !=
        std::string::npos);
  CHECK(why(parse_topology("vswitches: [{name: a, cidr: 10.0.0.1/8}]")).find("vswitches[0].cidr") !=
        std::string::npos);
  CHECK(why(parse_topology("mtu: 9")).find("mtu is 9, allowed are 1280 to 8500") !=
        std::string::npos);
  CHECK(why(parse_topology("vswitches: [{name: a, cidr: 192.168.0.0/24}, "
                           "{name: b, cidr: 192.168.0.0/25}]\nnodes: [{vswitch: a}]"))
            .find("overlap") != std::string::npos);
  CHECK(why(parse_topology("vswitches: [{name: a, cidr: 192.168.0.0/24}]\n"
                           "nodes: [{vswitch: a, mode: vlan}]"))
            .find("nodes[0].mode is vlan, allowed are veth, ipvlan, exclusive") !=
        std::string::npos);
  CHECK(why(parse_topology("a: [")).find("topology:") != std::string::npos);
  CHECK(why(parse_topology("[]")).find("must be a mapping") != std::string::npos);
}

TEST_CASE("the default topology passes its own checks") {
  CHECK(default_topology().nodes.size() == 3);
  CHECK(default_topology().find_vswitch("pods") != nullptr);
  CHECK(default_topology().find_vswitch("nowhere") == nullptr);
}
