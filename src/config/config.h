// SPDX-License-Identifier: Apache-2.0
// The node's configuration: the file `eni_conf` of the ConfigMap eni-config, with the keys that its
// users know and some of ours (docs/operating.md lists them all), read into values and checked.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "model/eni.h"
#include "net/address.h"

namespace terway::config {

inline constexpr char kDefaultPath[] = "/etc/eni/eni.json";

enum class Stack : std::uint8_t { V4, V6, Dual };
// What becomes of a pod whose bandwidth limits are no rates.
enum class InvalidBandwidth : std::uint8_t { Refuse, Unlimited };
enum class VSwitchSelection : std::uint8_t { Random, Most };
// Who carries pods' packets: eBPF programs where the kernel takes them, programs or nothing, or
// policy routing.
enum class Datapath : std::uint8_t { Auto, Bpf, Stack };
enum class EniSelection : std::uint8_t { MostIps, LeastIps };

struct Config {
  // Credentials. All empty: the instance's RAM role.
  std::string access_key;
  std::string access_secret;
  std::string credential_path;

  // Where the cloud is. Empty: the public endpoints of the region, the metadata service's address.
  std::string ecs_endpoint;
  std::string vpc_endpoint;
  std::string metadata_endpoint;
  std::string ca_file;

  // Who we are.
  std::string cluster_id;
  std::string node_name;  // empty: the host's name
  std::string resource_group_id;

  // ENIs.
  std::map<std::string, std::vector<std::string>> vswitches;  // by zone
  VSwitchSelection vswitch_selection = VSwitchSelection::Random;
  EniSelection eni_selection = EniSelection::MostIps;
  std::vector<std::string> security_groups;  // empty: those of the primary ENI
  model::Tags eni_tags;
  model::Tags eni_tag_filter;
  model::Tags eni_tag_block_list;
  std::vector<net::Mac> no_manage_macs;
  std::uint32_t min_eni = 0;
  std::uint32_t max_eni = 0;  // 0: what the instance type allows
  double eni_cap_ratio = 1;
  std::int32_t eni_cap_shift = 0;

  // The pool.
  Stack stack = Stack::V4;
  std::uint32_t min_pool_size = 0;
  std::uint32_t max_pool_size = 5;
  std::optional<Duration> idle_reclaim_after;
  std::uint32_t idle_reclaim_batch = 5;
  Duration idle_reclaim_interval = std::chrono::minutes(10);
  double idle_reclaim_jitter = 0.1;
  Duration pool_sync_period = std::chrono::seconds(120);
  Duration cool_down = std::chrono::seconds(60);
  Duration stick_time = std::chrono::minutes(5);
  std::vector<std::string> stateful_kinds = {"StatefulSet"};
  Duration add_timeout = std::chrono::seconds(100);

  // How long the cloud may take.
  Duration attach_timeout = std::chrono::seconds(120);      // to attach or detach an ENI
  Duration nic_timeout = std::chrono::seconds(60);          // from attached to a NIC with a gateway
  Duration vswitch_probe_after = std::chrono::minutes(10);  // an exhausted one is asked again then

  // Calls of the cloud, per minute and action; those that are absent have the built-in limits.
  std::map<std::string, std::uint32_t> rate_limits;
  std::uint32_t api_workers = 8;

  // The kernel.
  std::vector<net::Prefix> service_cidrs;
  Datapath datapath = Datapath::Auto;
  // Besides service_cidrs: what pods reach through the host's stack.
  std::vector<net::Prefix> host_stack_cidrs = {*net::Prefix::parse("169.254.20.10/32")};
  std::uint32_t pods_table = 0;  // 0 here and below: the datapath's default
  std::uint32_t mark_mask = 0;

  // The daemon itself.
  std::string journal_path = "/var/lib/cni/terway/journal.db";
  std::string plugin_socket = "/var/run/eni/eni.socket";
  std::string cli_socket = "/var/run/eni/terway-cli.sock";
  std::string tombstone_directory = "/var/lib/cni/terway/tombstones";
  std::string metrics_listen;  // "address:port"; empty: metrics on the CLI socket only
  InvalidBandwidth invalid_bandwidth = InvalidBandwidth::Refuse;
  // Whether pods may reach the instance's metadata service.
  bool pods_reach_metadata = true;
  log::Level log_level = log::Level::Info;
  log::Format log_format = log::Format::Text;

  bool operator==(const Config&) const = default;
};

// One key of the file, for people: secrets are shown as "***".
struct Shown {
  std::string key;
  std::string value;  // JSON text
  bool from_file = false;
};

struct Loaded {
  Config config;
  std::vector<std::string> warnings;  // one sentence each, naming its key
  // The keys of the file with their values as canonical JSON text, secrets included: for comparing.
  std::map<std::string, std::string> raw;
};

// Invalid: names every key whose value is not allowed, with the value and what is allowed, or whose
// feature this version does not have.
Result<Loaded> parse(std::string_view json);
Result<Loaded> load(const std::string& path);

std::vector<Shown> shown(const Loaded& loaded);

// What a reload can do.
struct Difference {
  std::vector<std::string> live;     // keys that changed and take effect at once
  std::vector<std::string> restart;  // keys that changed and need a restart
};
Difference difference(const Loaded& before, const Loaded& after);
// `before` with those keys of `after` that take effect at once.
Config merged(const Config& before, const Config& after);

}  // namespace terway::config
