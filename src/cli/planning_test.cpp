// SPDX-License-Identifier: Apache-2.0
#include "cli/planning.h"

#include <doctest/doctest.h>

#include "cli/json.h"

namespace terway::cli {
namespace {

using Kind = Error::Kind;

Result<std::optional<model::InstanceType>> no_cloud(const std::string&) {
  return Error(Kind::Unavailable, "no route to the cloud");
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// The example of the vendor's guide.
PlanWords guide() {
  PlanWords words;
  words.vpc = "192.168.0.0/16";
  words.node_vswitches = {"192.168.0.0/19"};
  words.pod_vswitches = {"192.168.32.0/19"};
  words.service_cidrs = {"172.21.0.0/20"};
  words.nodes = 100;
  return words;
}

TEST_CASE("where the cloud cannot be asked the documented limits count, and that is said") {
  const auto limits = limits_of("ecs.g6.large", no_cloud);
  REQUIRE(limits.ok());
  CHECK(has(limits->source, "no route to the cloud"));
  CHECK(limits_of("ecs.none.large", no_cloud).is(Kind::NotFound));
}

TEST_CASE("capacity is all ENIs but the node's own, times their addresses") {
  const NodeCapacity capacity = capacity_of(limits_of("ecs.g7.2xlarge", no_cloud).value());
  const std::string text = view(capacity, Colour::Off);
  CHECK(has(text, "Pods, shared ENIs  45 = 3 × 15\n"));
  CHECK(has(text, "Pods, an ENI each  3\n"));
  CHECK(
      has(to_json(capacity), R"("pods_shared":45,"pods_shared_dual_stack":45,"pods_exclusive":3)"));
}

TEST_CASE("the guide's example is planned from its words") {
  const InstanceLimits limits = limits_of("ecs.g7.2xlarge", no_cloud).value();
  const auto request = plan_request(guide(), limits);
  REQUIRE_MESSAGE(request.ok(), request.error().to_string());
  const ipam::Plan plan = ipam::make_plan(*request);
  const std::string text = view(plan, limits, Colour::Off);
  CHECK(has(text, "works\n"));
  CHECK(has(text, "4500\n"));
  CHECK(has(text, "45 on ecs.g7.2xlarge\n"));
  CHECK(has(to_json(plan, limits), R"("works":true,"pods":4500,)"));
}

TEST_CASE("an overlap is shown as a mistake") {
  const InstanceLimits limits = limits_of("ecs.g7.2xlarge", no_cloud).value();
  PlanWords words = guide();
  words.service_cidrs = {"192.168.32.0/20"};
  const ipam::Plan plan = ipam::make_plan(plan_request(words, limits).value());
  CHECK(has(view(plan, limits, Colour::Off), "does not work\n"));
  CHECK(has(view(plan, limits, Colour::Off), "\nmistake  "));
  CHECK(has(to_json(plan, limits), R"("kind":"mistake")"));
}

TEST_CASE(
    "zones, stack and mode are taken from the words, and what is no CIDR is refused by name") {
  const InstanceLimits limits = limits_of("ecs.g7.2xlarge", no_cloud).value();
  PlanWords words = guide();
  words.node_vswitches = {"cn-hangzhou-b=192.168.0.0/19"};
  words.stack = "dual";
  words.exclusive = true;
  const auto request = plan_request(words, limits);
  REQUIRE(request.ok());
  CHECK(request->node_vswitches[0].zone_id == "cn-hangzhou-b");
  CHECK(request->node_vswitches[0].cidr == *net::Prefix::parse("192.168.0.0/19"));
  CHECK(request->stack == ipam::Stack::Dual);
  CHECK(request->exclusive);
  words.pod_vswitches = {"cn-hangzhou-b=192.168.32.0/99"};
  const auto refused = plan_request(words, limits);
  CHECK(refused.is(Kind::Invalid));
  CHECK(refused.error().message() ==
        "--pod-vswitch 192.168.32.0/99: a CIDR such as 192.168.0.0/16 is allowed");
}

}  // namespace
}  // namespace terway::cli
