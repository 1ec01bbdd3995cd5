// SPDX-License-Identifier: Apache-2.0
#include "ipam/capacity.h"

#include <doctest/doctest.h>

namespace terway::ipam {
namespace {

model::InstanceType type(std::uint32_t enis, std::uint32_t ipv4, std::uint32_t ipv6) {
  model::InstanceType type;
  type.id = "ecs.test";
  type.eni_quantity = enis;
  type.ipv4_per_eni = ipv4;
  type.ipv6_per_eni = ipv6;
  return type;
}

TEST_CASE("shared: the ENIs beside the primary one, times the addresses of each") {
  const Capacity capacity = capacity_of(type(4, 10, 10), Stack::V4);
  CHECK(capacity.enis == 3);
  CHECK(capacity.shared_pods == 30);
  CHECK(capacity.exclusive_pods == 3);
  CHECK(capacity.remark.empty());
}

TEST_CASE("the caps follow int(adapters * ratio) + shift - 1, up to max_eni and what there is") {
  CHECK(limits_of(type(8, 20, 0), {0.5, 0, 0}).max_enis == 3);
  CHECK(limits_of(type(8, 20, 0), {0.99, 0, 0}).max_enis == 6);
  CHECK(limits_of(type(8, 20, 0), {0.5, 2, 0}).max_enis == 5);
  CHECK(limits_of(type(8, 20, 0), {1.0, 0, 2}).max_enis == 2);
  CHECK(limits_of(type(8, 20, 0), {1.0, 5, 0}).max_enis == 7);
  CHECK(limits_of(type(8, 20, 0), {0.1, -5, 0}).max_enis == 0);
  CHECK(limits_of(type(0, 0, 0)).max_enis == 0);
  CHECK(capacity_of(type(8, 20, 0), Stack::V4, {0.5, 0, 0}).remark.find("3 of 7") !=
        std::string::npos);
}

TEST_CASE("dual stack is bound by the scarcer family, and says so") {
  const Capacity dual = capacity_of(type(4, 10, 4), Stack::Dual);
  CHECK(dual.pods_per_eni == 4);
  CHECK(dual.shared_pods == 12);
  CHECK(dual.remark.find("10 IPv4 and 4 IPv6") != std::string::npos);
  const Capacity none = capacity_of(type(4, 10, 0), Stack::Dual);
  CHECK(none.shared_pods == 0);
  CHECK(none.exclusive_pods == 0);
  CHECK(none.remark.find("no IPv6") != std::string::npos);
  CHECK(capacity_of(type(4, 10, 6), Stack::V6).shared_pods == 18);
}

TEST_CASE("an instance type without a second ENI holds no pods, and says so") {
  const Capacity capacity = capacity_of(type(1, 10, 0), Stack::V4);
  CHECK(capacity.shared_pods == 0);
  CHECK(capacity.remark.find("no ENI beside") != std::string::npos);
}

}  // namespace
}  // namespace terway::ipam
