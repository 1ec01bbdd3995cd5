// SPDX-License-Identifier: Apache-2.0
// How many pods a node of an instance type holds: `terway-cli capacity`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/commands.h"
#include "model/eni.h"

namespace terway::cli {

struct Capacity {
  model::InstanceType type;
  std::string source;        // where its limits come from
  std::uint32_t shared = 0;  // pods with an IPv4 address of a shared ENI
  std::uint32_t shared_ipv6 = 0;
  std::uint32_t exclusive = 0;  // pods with an ENI of their own
};

// What the cloud says of a type; empty: it has none of that name. An Error: it could not be asked.
using AskCloud = std::function<Result<std::optional<model::InstanceType>>(const std::string& id)>;

// The primary ENI is the node's, the others are pods': shared (ENIs − 1) × addresses of an ENI,
// exclusive ENIs − 1. Limits come from the cloud; where it cannot be asked, from what ECS
// documents, and `source` says so. NotFound: the cloud has no such type, or it could not be asked
// and the type is not documented here.
Result<Capacity> capacity_of(const std::string& instance_type, const AskCloud& ask_cloud);

std::string view(const Capacity& capacity, Colour colour);

}  // namespace terway::cli
