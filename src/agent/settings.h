// SPDX-License-Identifier: Apache-2.0
// From what the operator wrote and what the instance is, to what each part is told.
#pragma once

#include <string>
#include <vector>

#include "agent/events.h"
#include "config/config.h"
#include "datapath/datapath.h"
#include "ipam/ipam.h"

namespace terway::agent {

// On every ENI that we make (docs/operating.md): whose it is, of which node, and for which
// creation, by which one with a lost reply is found again.
inline constexpr char kCreatorTag[] = "creator";
inline constexpr char kCreator[] = "terway";
inline constexpr char kInstanceTag[] = "terway.aliyun.com/instance";
inline constexpr char kNodeTag[] = "terway.aliyun.com/node";
inline constexpr char kClusterTag[] = "ack.aliyun.com";
inline constexpr char kCreationTag[] = "terway.aliyun.com/creation";

// How pods get to the VPC: on shared ENIs, or with an ENI each.
enum class DaemonMode : std::uint8_t { Shared, Exclusive };
inline constexpr std::string_view kSharedFlag = "ENIMultiIP";
inline constexpr std::string_view kExclusiveFlag = "ENIOnly";
// Of --daemon-mode; empty is shared. Invalid: says what is allowed.
Result<DaemonMode> daemon_mode_from(std::string_view flag);

model::Tags owner_tags();
model::Tags node_tags(const Identity& identity);
model::Tags tags_of_new_eni(const config::Config& config, const Identity& identity,
                            const std::string& node, const std::string& creation);

// Of the node's zone, in the operator's order; the instance's own where none is configured.
std::vector<std::string> vswitches_of(const config::Config& config, const Identity& identity);
ipam::Settings ipam_settings(const config::Config& config, const Identity& identity,
                             DaemonMode mode);
// Without an identity nothing can be had.
ipam::Limits ipam_limits(const config::Config& config, const Identity& identity);
datapath::Settings datapath_settings(const config::Config& config, DaemonMode mode);

}  // namespace terway::agent
