// SPDX-License-Identifier: Apache-2.0
#include "agent/settings.h"

#include <fmt/core.h>

#include "ipam/capacity.h"

namespace terway::agent {

Result<DaemonMode> daemon_mode_from(std::string_view flag) {
  if (flag.empty() || flag == kSharedFlag) return DaemonMode::Shared;
  if (flag == kExclusiveFlag) return DaemonMode::Exclusive;
  return Error(Error::Kind::Invalid,
               fmt::format("--daemon-mode {} is not allowed: {} (pods share ENIs), {} (an ENI for "
                           "each pod)",
                           flag, kSharedFlag, kExclusiveFlag));
}

model::Tags owner_tags() { return {{kCreatorTag, kCreator}}; }

model::Tags node_tags(const Identity& identity) {
  return {{kCreatorTag, kCreator}, {kInstanceTag, identity.instance.id}};
}

model::Tags tags_of_new_eni(const config::Config& config, const Identity& identity,
                            const std::string& node, const std::string& creation) {
  model::Tags tags = config.eni_tags;
  // What we look for later, so ours win over the operator's.
  for (const auto& [key, value] : node_tags(identity)) tags[key] = value;
  tags[kNodeTag] = node;
  tags[kCreationTag] = creation;
  if (!config.cluster_id.empty()) tags[kClusterTag] = config.cluster_id;
  return tags;
}

std::vector<std::string> vswitches_of(const config::Config& config, const Identity& identity) {
  const auto found = config.vswitches.find(identity.instance.zone_id);
  if (found != config.vswitches.end() && !found->second.empty()) return found->second;
  if (identity.instance.vswitch_id.empty()) return {};
  return {identity.instance.vswitch_id};
}

ipam::Settings ipam_settings(const config::Config& config, const Identity& identity,
                             DaemonMode mode) {
  ipam::Settings settings;
  settings.exclusive = mode == DaemonMode::Exclusive;
  switch (config.stack) {
    case config::Stack::V4:
      settings.stack = ipam::Stack::V4;
      break;
    case config::Stack::V6:
      settings.stack = ipam::Stack::V6;
      break;
    case config::Stack::Dual:
      settings.stack = ipam::Stack::Dual;
      break;
  }
  settings.min_pool_size = config.min_pool_size;
  settings.max_pool_size = config.max_pool_size;
  settings.min_eni = config.min_eni;
  settings.vswitch_ids = vswitches_of(config, identity);
  settings.vswitch_policy = config.vswitch_selection == config::VSwitchSelection::Most
                                ? ipam::VSwitchPolicy::Most
                                : ipam::VSwitchPolicy::Random;
  settings.eni_policy = config.eni_selection == config::EniSelection::LeastIps
                            ? ipam::EniPolicy::LeastIps
                            : ipam::EniPolicy::MostIps;
  settings.cool_down = config.cool_down;
  settings.stick_time = config.stick_time;
  settings.operation_deadline = config.attach_timeout;
  settings.nic_deadline = config.nic_timeout;
  settings.vswitch_probe_after = config.vswitch_probe_after;
  settings.idle_reclaim_after = config.idle_reclaim_after;
  settings.idle_reclaim_batch = config.idle_reclaim_batch;
  settings.idle_reclaim_interval = config.idle_reclaim_interval;
  settings.idle_reclaim_jitter = config.idle_reclaim_jitter;
  settings.owner_tags = owner_tags();
  if (identity.known()) settings.node_tags = node_tags(identity);
  settings.eni_tag_filter = config.eni_tag_filter;
  settings.eni_tag_block_list = config.eni_tag_block_list;
  settings.unmanaged_macs = config.no_manage_macs;
  settings.node_eni_id = identity.instance.primary_eni_id;
  settings.node_mac = identity.mac;
  settings.node_address = identity.instance.primary_address;
  return settings;
}

ipam::Limits ipam_limits(const config::Config& config, const Identity& identity) {
  return ipam::limits_of(identity.type,
                         {config.eni_cap_ratio, config.eni_cap_shift, config.max_eni});
}

namespace {

datapath::FastPathMode fast_path_of(config::Datapath datapath) {
  switch (datapath) {
    case config::Datapath::Bpf:
      return datapath::FastPathMode::Bpf;
    case config::Datapath::Stack:
      return datapath::FastPathMode::Stack;
    case config::Datapath::Auto:
      break;
  }
  return datapath::FastPathMode::Auto;
}

}  // namespace

datapath::Settings datapath_settings(const config::Config& config, DaemonMode mode) {
  datapath::Settings settings;
  settings.exclusive = mode == DaemonMode::Exclusive;
  settings.pods_table = config.pods_table;
  settings.mark_mask = config.mark_mask;
  settings.ipv4 = config.stack != config::Stack::V6;
  settings.ipv6 = config.stack != config::Stack::V4;
  settings.unmanaged = config.no_manage_macs;
  settings.pods_reach_metadata = config.pods_reach_metadata;
  settings.fast_path = fast_path_of(config.datapath);
  settings.host_stack_cidrs = config.service_cidrs;
  settings.host_stack_cidrs.insert(settings.host_stack_cidrs.end(), config.host_stack_cidrs.begin(),
                                   config.host_stack_cidrs.end());
  return settings;
}

}  // namespace terway::agent
