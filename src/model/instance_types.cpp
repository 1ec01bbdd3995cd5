// SPDX-License-Identifier: Apache-2.0
#include "model/instance_types.h"

namespace terway::model {

namespace {

// Columns: id, ENIs, ENIs with trunk members, IPv4 and IPv6 addresses an ENI, trunk, vCPUs, GiB.
// ENIs, addresses, vCPUs and memory are those of the "Instance families" pages of the ECS
// documentation (general purpose, compute and memory optimised, bare metal). EniTotalQuantity is
// published only for examples of DescribeInstanceTypes (ecs.g7.xlarge 20, ecs.g6.16xlarge 60); of
// the others it follows the five-fold that those show.
const std::vector<InstanceType>& table() {
  static const std::vector<InstanceType> kTypes = {
      {"ecs.t6-c1m2.large", 2, 2, 2, 1, false, 2, 4},
      {"ecs.g6.large", 2, 2, 6, 1, false, 2, 8},
      {"ecs.g6.xlarge", 3, 3, 10, 1, false, 4, 16},
      {"ecs.g6.2xlarge", 4, 20, 10, 1, true, 8, 32},
      {"ecs.g6.4xlarge", 8, 40, 20, 1, true, 16, 64},
      {"ecs.g6.8xlarge", 8, 40, 20, 1, true, 32, 128},
      {"ecs.g6.16xlarge", 8, 60, 20, 1, true, 64, 256},
      {"ecs.g6.26xlarge", 15, 75, 20, 1, true, 104, 384},
      {"ecs.c6.large", 2, 2, 6, 1, false, 2, 4},
      {"ecs.c6.xlarge", 3, 3, 10, 1, false, 4, 8},
      {"ecs.c6.2xlarge", 4, 20, 10, 1, true, 8, 16},
      {"ecs.g7.large", 3, 15, 6, 6, true, 2, 8},
      {"ecs.g7.xlarge", 4, 20, 15, 15, true, 4, 16},
      {"ecs.g7.2xlarge", 4, 20, 15, 15, true, 8, 32},
      {"ecs.g7.3xlarge", 8, 40, 15, 15, true, 12, 48},
      {"ecs.g7.4xlarge", 8, 40, 30, 30, true, 16, 64},
      {"ecs.g7.6xlarge", 8, 40, 30, 30, true, 24, 96},
      {"ecs.g7.8xlarge", 8, 40, 30, 30, true, 32, 128},
      {"ecs.g7.16xlarge", 8, 60, 30, 30, true, 64, 256},
      {"ecs.g7.32xlarge", 15, 75, 30, 30, true, 128, 512},
      {"ecs.c7.large", 3, 15, 6, 6, true, 2, 4},
      {"ecs.c7.xlarge", 4, 20, 15, 15, true, 4, 8},
      {"ecs.c7.2xlarge", 4, 20, 15, 15, true, 8, 16},
      {"ecs.c7.4xlarge", 8, 40, 30, 30, true, 16, 32},
      {"ecs.c7.32xlarge", 15, 75, 30, 30, true, 128, 256},
      {"ecs.r7.large", 3, 15, 6, 6, true, 2, 16},
      {"ecs.r7.xlarge", 4, 20, 15, 15, true, 4, 32},
      {"ecs.r7.4xlarge", 8, 40, 30, 30, true, 16, 128},
      {"ecs.ebmg5.24xlarge", 32, 32, 10, 0, false, 96, 384},
      {"ecs.ebmg7.32xlarge", 20, 100, 20, 20, true, 128, 512},
  };
  return kTypes;
}

}  // namespace

const std::vector<InstanceType>& instance_types() { return table(); }

const InstanceType* find_instance_type(std::string_view id) {
  for (const InstanceType& type : table()) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

std::string_view family_of(std::string_view id) {
  const std::size_t dot = id.rfind('.');
  return dot == std::string_view::npos ? id : id.substr(0, dot);
}

}  // namespace terway::model
