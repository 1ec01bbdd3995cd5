// SPDX-License-Identifier: Apache-2.0
#include "cli/capacity.h"

#include <fmt/core.h>

#include <algorithm>

#include "cli/text.h"
#include "model/instance_types.h"

namespace terway::cli {
namespace {

struct Limits {
  model::InstanceType type;
  std::string source;
};

Result<Limits> limits_of(const std::string& id, const AskCloud& ask_cloud) {
  const Result<std::optional<model::InstanceType>> asked = ask_cloud(id);
  if (asked.ok() && asked->has_value()) {
    return Limits{**asked, "the cloud (DescribeInstanceTypes)"};
  }
  if (asked.ok()) return Error(Error::Kind::NotFound, fmt::format("the cloud has no type {}", id));
  const model::InstanceType* documented = model::find_instance_type(id);
  if (documented == nullptr) {
    return Error(Error::Kind::NotFound,
                 fmt::format("{} is not documented here, and the cloud could not be asked: {}", id,
                             asked.error().to_string()));
  }
  return Limits{*documented, fmt::format("the ECS documentation (the cloud could not be asked: {})",
                                         asked.error().to_string())};
}

}  // namespace

Result<Capacity> capacity_of(const std::string& instance_type, const AskCloud& ask_cloud) {
  Limits limits = TRY(limits_of(instance_type, ask_cloud));
  const std::uint32_t enis = limits.type.eni_quantity > 0 ? limits.type.eni_quantity - 1 : 0;
  Capacity capacity;
  capacity.shared = enis * limits.type.ipv4_per_eni;
  capacity.shared_ipv6 = enis * limits.type.ipv6_per_eni;
  capacity.exclusive = enis;
  capacity.type = std::move(limits.type);
  capacity.source = std::move(limits.source);
  return capacity;
}

std::string view(const Capacity& capacity, Colour colour) {
  const model::InstanceType& type = capacity.type;
  return pairs(
      {
          {"Instance type",
           {fmt::format("{} ({} vCPUs, {} GiB)", type.id, type.cpu_cores, type.memory_gib)}},
          {"ENIs", {fmt::format("{}, one of them the node's", type.eni_quantity)}},
          {"Addresses per ENI",
           {fmt::format("{} IPv4, {} IPv6", type.ipv4_per_eni, type.ipv6_per_eni)}},
          {"Pods, shared ENIs",
           {fmt::format("{} = {} × {}", capacity.shared, capacity.exclusive, type.ipv4_per_eni),
            Tone::Good}},
          {"  dual stack",
           {capacity.shared_ipv6 == capacity.shared
                ? std::to_string(capacity.shared)
                : fmt::format("{} (IPv6 addresses end first)",
                              std::min(capacity.shared, capacity.shared_ipv6))}},
          {"Pods, an ENI each", {fmt::format("{}", capacity.exclusive), Tone::Good}},
          {"Limits from", {capacity.source, Tone::Faint}},
      },
      colour);
}

}  // namespace terway::cli
