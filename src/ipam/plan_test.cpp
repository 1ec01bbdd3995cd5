// SPDX-License-Identifier: Apache-2.0
#include "ipam/plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace terway::ipam {
namespace {

net::Prefix cidr(const char* text) { return *net::Prefix::parse(text); }

model::VSwitch vswitch(const char* id, const char* prefix, const char* zone = "") {
  model::VSwitch vswitch;
  vswitch.id = id;
  vswitch.cidr = cidr(prefix);
  vswitch.zone_id = zone;
  return vswitch;
}

// The vendor's guide's own example.
PlanRequest guide() {
  PlanRequest request;
  request.vpc = cidr("192.168.0.0/16");
  request.node_vswitches = {vswitch("vsw-node", "192.168.0.0/19", "z1")};
  request.pod_vswitches = {vswitch("vsw-pod", "192.168.32.0/19", "z1")};
  request.service_cidrs = {cidr("172.21.0.0/20")};
  request.nodes = 100;
  request.instance_type.id = "ecs.g7.2xlarge";
  request.instance_type.eni_quantity = 4;
  request.instance_type.ipv4_per_eni = 15;
  request.instance_type.ipv6_per_eni = 15;
  return request;
}

bool says(const Plan& plan, PlanFinding::Kind kind, const std::string& text) {
  return std::any_of(plan.findings.begin(), plan.findings.end(), [&](const PlanFinding& finding) {
    return finding.kind == kind && finding.message.find(text) != std::string::npos;
  });
}
bool mistaken(const Plan& plan, const std::string& text) {
  return says(plan, PlanFinding::Kind::Mistake, text);
}
bool warned(const Plan& plan, const std::string& text) {
  return says(plan, PlanFinding::Kind::Warning, text);
}

TEST_CASE("the guide's example works, and the nodes' ENIs are what limits it") {
  const Plan plan = make_plan(guide());
  CHECK(plan.works());
  CHECK(plan.findings.empty());
  CHECK(plan.node_addresses == 8188);
  CHECK(plan.pod_addresses == 8188);
  CHECK(plan.service_addresses == 4096);
  CHECK(plan.pods_per_node == 45);
  CHECK(plan.pods == 4500);
  CHECK(plan.nodes_filled == 181);
  CHECK(plan.limited_by.find("ENIs") != std::string::npos);
}

TEST_CASE("with more nodes than the pod vSwitch can fill, its addresses are the limit") {
  PlanRequest request = guide();
  request.nodes = 500;
  const Plan plan = make_plan(request);
  CHECK(plan.works());
  CHECK(plan.pods == 8188);
  CHECK(plan.limited_by.find("pod vSwitches") != std::string::npos);
  CHECK(warned(plan, "could carry 22500"));
}

TEST_CASE("exclusive ENIs: one pod an ENI") {
  PlanRequest request = guide();
  request.exclusive = true;
  const Plan plan = make_plan(request);
  CHECK(plan.pods_per_node == 3);
  CHECK(plan.pods == 300);
}

TEST_CASE("overlaps are mistakes, named with both sides") {
  PlanRequest request = guide();
  request.service_cidrs = {cidr("192.168.240.0/20")};
  CHECK(mistaken(make_plan(request), "Services 192.168.240.0/20 overlap the VPC 192.168.0.0/16"));
  request = guide();
  request.pod_vswitches = {vswitch("vsw-pod", "192.168.16.0/20", "z1")};
  CHECK(mistaken(make_plan(request), "overlaps"));
  request = guide();
  request.service_cidrs = {cidr("100.100.0.0/20")};
  CHECK(mistaken(make_plan(request), "the cloud's own services"));
  request = guide();
  request.service_cidrs = {cidr("172.21.0.0/20"), cidr("172.21.8.0/24")};
  CHECK(mistaken(make_plan(request), "and"));
}

TEST_CASE("a vSwitch outside the VPC, or with a mask that there is not, is a mistake") {
  PlanRequest request = guide();
  request.pod_vswitches = {vswitch("vsw-pod", "10.0.0.0/19", "z1")};
  CHECK(mistaken(make_plan(request), "not within the VPC"));
  request.pod_vswitches = {vswitch("vsw-pod", "192.168.64.0/30", "z1")};
  CHECK(mistaken(make_plan(request), "/16 to /29"));
  request = guide();
  request.vpc = cidr("100.64.0.0/16");
  CHECK(mistaken(make_plan(request), "VPC 100.64.0.0/16 overlaps"));
}

TEST_CASE("nodes of a zone need a pod vSwitch there; each zone is counted by itself") {
  PlanRequest request = guide();
  request.node_vswitches.push_back(vswitch("vsw-node2", "192.168.64.0/19", "z2"));
  CHECK(mistaken(make_plan(request), "zone z2"));
  request.pod_vswitches.push_back(vswitch("vsw-pod2", "192.168.96.0/24", "z2"));
  const Plan plan = make_plan(request);
  CHECK(plan.works());
  CHECK(plan.pods == 50 * 45 + 252);
  CHECK(warned(plan, "of zone z2 have 252"));
}

TEST_CASE("one vSwitch for nodes and pods: the nodes' own addresses are not the pods'") {
  PlanRequest request = guide();
  request.pod_vswitches = request.node_vswitches;
  request.nodes = 1000;
  const Plan plan = make_plan(request);
  CHECK(plan.works());
  CHECK(plan.pods == 8188 - 1000);
  CHECK(warned(plan, "nodes' as well"));
}

TEST_CASE("too many nodes for their vSwitch is a mistake") {
  PlanRequest request = guide();
  request.node_vswitches = {vswitch("vsw-node", "192.168.0.0/26", "z1")};
  CHECK(mistaken(make_plan(request), "60 addresses for 100 nodes"));
}

TEST_CASE("the first address of a vSwitch and its last three cannot be given out") {
  CHECK(usable_addresses(cidr("10.0.0.0/24")) == 252);
  CHECK(usable_addresses(cidr("10.0.0.0/29")) == 4);
  CHECK(usable_addresses(cidr("10.0.0.0/30")) == 0);
}

TEST_CASE("dual stack without IPv6 Services is said") {
  PlanRequest request = guide();
  request.stack = Stack::Dual;
  CHECK(warned(make_plan(request), "without an IPv6 Service CIDR"));
}

}  // namespace
}  // namespace terway::ipam
