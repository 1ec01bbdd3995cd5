// SPDX-License-Identifier: Apache-2.0
// The actions of the API, one function each: its parameters, what it does to the world, which
// faults touch it. An answer is a JSON object without RequestId.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "vpcsim/openapi.h"
#include "vpcsim/query.h"

namespace terway::vpcsim {

using Body = Result<std::string>;
inline constexpr std::string_view kEmptyBody = "{}";

// --- action_eni.cpp
Body create_network_interface(Region& region, ApiCall& call);
Body attach_network_interface(Region& region, ApiCall& call);
Body detach_network_interface(Region& region, ApiCall& call);
Body delete_network_interface(Region& region, ApiCall& call);
Body modify_network_interface_attribute(Region& region, ApiCall& call);

// --- action_address.cpp
Body assign_private_ip_addresses(Region& region, ApiCall& call);
Body unassign_private_ip_addresses(Region& region, ApiCall& call);
Body assign_ipv6_addresses(Region& region, ApiCall& call);
Body unassign_ipv6_addresses(Region& region, ApiCall& call);

// --- action_describe.cpp
Body describe_network_interfaces(Region& region, ApiCall& call);
Body describe_network_interface_attribute(Region& region, ApiCall& call);
Body describe_instance_types(Region& region, ApiCall& call);
Body describe_instances(Region& region, ApiCall& call);
Body describe_vswitches(Region& region, ApiCall& call);
Body describe_security_groups(Region& region, ApiCall& call);

// --- action.cpp: what several of them do

// The fault of that kind that strikes now, noted in the call.
std::optional<Fault> strike(Region& region, ApiCall& call, FaultKind kind);
Result<> vswitch_has_addresses(Region& region, ApiCall& call);
Result<> refuse_prefixes(const Query& query);
// Name.N and a count are never both given.
Result<> exclusive(const Query& query, std::string_view list, std::string_view count);

}  // namespace terway::vpcsim
