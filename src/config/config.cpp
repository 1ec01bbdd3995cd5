// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>

#include "base/file.h"
#include "config/reader.h"

namespace terway::config {

namespace {

using std::chrono::hours;
using std::chrono::seconds;

using Read = void (*)(Reader&, Config&);
// For keys that take effect at once: copies this key's member.
using Take = void (*)(Config& into, const Config& from);

struct Key {
  const char* name;
  const char* by_default;  // JSON text, for people
  Read read;
  Take take = nullptr;  // null: needs a restart
  bool secret = false;
};

#define TERWAY_TAKE(member) [](Config& into, const Config& from) { into.member = from.member; }

constexpr std::uint32_t kMostPods = 4096;

const Key kKeys[] = {
    // Upstream's, in the order of its documentation.
    {"version", "\"\"", [](Reader&, Config&) {}},
    {"region_id", "\"\"", [](Reader&, Config&) {}},
    {"prefix", "\"\"", [](Reader&, Config&) {}},
    {"extra_routes", "[]", [](Reader&, Config&) {}},
    {"access_key", "\"\"", [](Reader& r, Config& c) { r.text(c.access_key); }, nullptr, true},
    {"access_secret", "\"\"", [](Reader& r, Config& c) { r.text(c.access_secret); }, nullptr, true},
    {"credential_path", "\"\"", [](Reader& r, Config& c) { r.text(c.credential_path); }},
    {"service_cidr", "\"\"", [](Reader& r, Config& c) { r.prefixes(c.service_cidrs); }},
    {"vswitches", "{}", [](Reader& r, Config& c) { r.vswitches(c.vswitches); },
     TERWAY_TAKE(vswitches)},
    {"vswitch_selection_policy", "\"random\"",
     [](Reader& r, Config& c) {
       r.word(c.vswitch_selection, {{"random", VSwitchSelection::Random},
                                    {"most", VSwitchSelection::Most},
                                    {"ordered", VSwitchSelection::Most}});
     },
     TERWAY_TAKE(vswitch_selection)},
    {"eni_selection_policy", "\"most_ips\"",
     [](Reader& r, Config& c) {
       r.word(c.eni_selection,
              {{"most_ips", EniSelection::MostIps}, {"least_ips", EniSelection::LeastIps}});
     },
     TERWAY_TAKE(eni_selection)},
    {"security_group", "\"\"",
     [](Reader& r, Config& c) {
       std::string one;
       r.text(one);
       if (!one.empty()) c.security_groups.push_back(one);
     },
     TERWAY_TAKE(security_groups)},
    {"security_groups", "[]",
     [](Reader& r, Config& c) {
       std::vector<std::string> more;
       r.texts(more, 10);
       c.security_groups.insert(c.security_groups.end(), more.begin(), more.end());
     },
     TERWAY_TAKE(security_groups)},
    {"eni_tags", "{}", [](Reader& r, Config& c) { r.tags(c.eni_tags); }, TERWAY_TAKE(eni_tags)},
    {"eni_tag_filter", "{}", [](Reader& r, Config& c) { r.tags(c.eni_tag_filter); },
     TERWAY_TAKE(eni_tag_filter)},
    {"eni_tag_block_list", "{}", [](Reader& r, Config& c) { r.tags(c.eni_tag_block_list); },
     TERWAY_TAKE(eni_tag_block_list)},
    {"max_pool_size", "5", [](Reader& r, Config& c) { r.number(c.max_pool_size, 0, kMostPods); },
     TERWAY_TAKE(max_pool_size)},
    {"min_pool_size", "0", [](Reader& r, Config& c) { r.number(c.min_pool_size, 0, kMostPods); },
     TERWAY_TAKE(min_pool_size)},
    {"ip_warm_up_size", "0",
     [](Reader& r, Config&) { r.absent_feature("the one-time warm-up of the pool"); }},
    {"idle_ip_reclaim_after", "null",
     [](Reader& r, Config& c) {
       Duration after{};
       r.duration(after, seconds(0), hours(24 * 30));
       c.idle_reclaim_after = after > Duration::zero() ? std::optional(after) : std::nullopt;
     },
     TERWAY_TAKE(idle_reclaim_after)},
    {"idle_ip_reclaim_batch_size", "5",
     [](Reader& r, Config& c) { r.number(c.idle_reclaim_batch, 1, kMostPods); },
     TERWAY_TAKE(idle_reclaim_batch)},
    {"idle_ip_reclaim_interval", "\"10m\"",
     [](Reader& r, Config& c) { r.duration(c.idle_reclaim_interval, seconds(1), hours(24 * 30)); },
     TERWAY_TAKE(idle_reclaim_interval)},
    {"idle_ip_reclaim_jitter_factor", "\"0.1\"",
     [](Reader& r, Config& c) { r.real(c.idle_reclaim_jitter, 0, 1); },
     TERWAY_TAKE(idle_reclaim_jitter)},
    {"ip_pool_sync_period", "\"120s\"",
     [](Reader& r, Config& c) { r.duration(c.pool_sync_period, seconds(1), hours(24)); },
     TERWAY_TAKE(pool_sync_period)},
    {"min_eni", "0", [](Reader& r, Config& c) { r.number(c.min_eni, 0, 1000); },
     TERWAY_TAKE(min_eni)},
    {"max_eni", "0", [](Reader& r, Config& c) { r.number(c.max_eni, 0, 1000); },
     TERWAY_TAKE(max_eni)},
    {"eni_cap_ratio", "1", [](Reader& r, Config& c) { r.real(c.eni_cap_ratio, 0, 1); },
     TERWAY_TAKE(eni_cap_ratio)},
    {"eni_cap_shift", "0", [](Reader& r, Config& c) { r.number(c.eni_cap_shift, -1000, 1000); },
     TERWAY_TAKE(eni_cap_shift)},
    {"ip_stack", "\"ipv4\"",
     [](Reader& r, Config& c) {
       r.word(c.stack, {{"ipv4", Stack::V4}, {"ipv6", Stack::V6}, {"dual", Stack::Dual}});
     }},
    {"enable_eni_trunking", "false", [](Reader& r, Config&) { r.absent_feature("ENI trunking"); }},
    {"enable_erdma", "false", [](Reader& r, Config&) { r.absent_feature("ERDMA"); }},
    {"disable_device_plugin", "false",
     [](Reader& r, Config&) {
       bool unused = false;
       r.flag(unused);
     }},
    {"ipam_type", "\"\"",
     [](Reader& r, Config&) { r.absent_feature("IPAM by custom resources (ipam_type crd)"); }},
    {"enable_ip_prefix", "false",
     [](Reader& r, Config&) { r.absent_feature("allocation by prefixes"); }},
    {"ipv4_prefix_count", "0",
     [](Reader& r, Config&) { r.absent_feature("allocation by prefixes"); }},
    {"ipv6_prefix_count", "0",
     [](Reader& r, Config&) { r.absent_feature("allocation by prefixes"); }},
    {"custom_stateful_workload_kinds", "[]",
     [](Reader& r, Config& c) {
       std::vector<std::string> more;
       r.texts(more, 100);
       c.stateful_kinds.insert(c.stateful_kinds.end(), more.begin(), more.end());
     },
     TERWAY_TAKE(stateful_kinds)},
    {"backoff_override", "{}",
     [](Reader& r, Config&) {
       r.no_effect("nothing here waits in fixed steps; retries have full jitter");
     }},
    {"rate_limit", "{}", [](Reader& r, Config& c) { r.limits(c.rate_limits); },
     TERWAY_TAKE(rate_limits)},
    {"kube_client_qps", "0",
     [](Reader& r, Config&) { r.no_effect("this version asks no Kubernetes API server"); }},
    {"kube_client_burst", "0",
     [](Reader& r, Config&) { r.no_effect("this version asks no Kubernetes API server"); }},
    {"resource_group_id", "\"\"", [](Reader& r, Config& c) { r.text(c.resource_group_id); },
     TERWAY_TAKE(resource_group_id)},
    {"enable_patch_pod_ips", "true",
     [](Reader& r, Config&) {
       bool on = true;
       r.flag(on);
       if (on) r.no_effect("this version asks no Kubernetes API server");
     }},
    // Ours.
    {"invalid_bandwidth", "\"refuse\"",
     [](Reader& r, Config& c) {
       r.word(c.invalid_bandwidth,
              {{"refuse", InvalidBandwidth::Refuse}, {"unlimited", InvalidBandwidth::Unlimited}});
     },
     TERWAY_TAKE(invalid_bandwidth)},
    {"pods_reach_metadata", "true", [](Reader& r, Config& c) { r.flag(c.pods_reach_metadata); }},
    {"cluster_id", "\"\"", [](Reader& r, Config& c) { r.text(c.cluster_id); }},
    {"node_name", "\"\"", [](Reader& r, Config& c) { r.text(c.node_name); }},
    {"ecs_endpoint", "\"\"", [](Reader& r, Config& c) { r.url(c.ecs_endpoint); }},
    {"vpc_endpoint", "\"\"", [](Reader& r, Config& c) { r.url(c.vpc_endpoint); }},
    {"metadata_endpoint", "\"\"", [](Reader& r, Config& c) { r.url(c.metadata_endpoint); }},
    {"ca_file", "\"\"", [](Reader& r, Config& c) { r.path(c.ca_file); }},
    {"cool_down", "\"60s\"",
     [](Reader& r, Config& c) { r.duration(c.cool_down, seconds(0), hours(24)); },
     TERWAY_TAKE(cool_down)},
    {"stick_time", "\"5m\"",
     [](Reader& r, Config& c) { r.duration(c.stick_time, seconds(0), hours(24 * 30)); },
     TERWAY_TAKE(stick_time)},
    {"add_timeout", "\"100s\"",
     [](Reader& r, Config& c) { r.duration(c.add_timeout, seconds(1), seconds(105)); },
     TERWAY_TAKE(add_timeout)},
    {"attach_timeout", "\"120s\"",
     [](Reader& r, Config& c) { r.duration(c.attach_timeout, seconds(1), hours(1)); },
     TERWAY_TAKE(attach_timeout)},
    {"nic_timeout", "\"60s\"",
     [](Reader& r, Config& c) { r.duration(c.nic_timeout, seconds(1), hours(1)); },
     TERWAY_TAKE(nic_timeout)},
    {"vswitch_probe_after", "\"10m\"",
     [](Reader& r, Config& c) { r.duration(c.vswitch_probe_after, seconds(1), hours(24)); },
     TERWAY_TAKE(vswitch_probe_after)},
    {"no_manage_macs", "[]", [](Reader& r, Config& c) { r.macs(c.no_manage_macs); }},
    {"api_workers", "8", [](Reader& r, Config& c) { r.number(c.api_workers, 1, 64); }},
    {"datapath", "\"auto\"",
     [](Reader& r, Config& c) {
       r.word(c.datapath,
              {{"auto", Datapath::Auto}, {"bpf", Datapath::Bpf}, {"stack", Datapath::Stack}});
     }},
    {"host_stack_cidrs", "\"169.254.20.10/32\"",
     [](Reader& r, Config& c) { r.prefixes(c.host_stack_cidrs); }},
    {"pods_table", "0", [](Reader& r, Config& c) { r.number(c.pods_table, 0, 999); }},
    {"mark_mask", "0", [](Reader& r, Config& c) { r.number(c.mark_mask, 0, 0xffffffff); }},
    {"journal_path", "\"/var/lib/cni/terway/journal.db\"",
     [](Reader& r, Config& c) { r.path(c.journal_path); }},
    {"plugin_socket", "\"/var/run/eni/eni.socket\"",
     [](Reader& r, Config& c) { r.path(c.plugin_socket); }},
    {"cli_socket", "\"/var/run/eni/terway-cli.sock\"",
     [](Reader& r, Config& c) { r.path(c.cli_socket); }},
    {"tombstone_directory", "\"/var/lib/cni/terway/tombstones\"",
     [](Reader& r, Config& c) { r.path(c.tombstone_directory); }},
    {"metrics_listen", "\"\"", [](Reader& r, Config& c) { r.text(c.metrics_listen); }},
    {"log_level", "\"info\"",
     [](Reader& r, Config& c) {
       r.word(c.log_level, {{"debug", log::Level::Debug},
                            {"info", log::Level::Info},
                            {"warning", log::Level::Warning},
                            {"error", log::Level::Error}});
     },
     TERWAY_TAKE(log_level)},
    {"log_format", "\"text\"",
     [](Reader& r, Config& c) {
       r.word(c.log_format, {{"text", log::Format::Text}, {"json", log::Format::Json}});
     }},
};

const Key* find_key(std::string_view name) {
  for (const Key& key : kKeys) {
    if (name == key.name) return &key;
  }
  return nullptr;
}

// Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({row[j - 1] + 1, above + 1, replaced});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string unknown_key(std::string_view name) {
  const Key* nearest = nullptr;
  std::size_t least = name.size() / 3 + 1;  // further away it is no typing error
  if (name.size() <= 64) {
    for (const Key& key : kKeys) {
      const std::size_t away = distance(name, key.name);
      if (away < least) {
        least = away;
        nearest = &key;
      }
    }
  }
  std::string message = fmt::format("{}: unknown key, ignoring it",
                                    name.substr(0, std::min<std::size_t>(64, name.size())));
  if (nearest != nullptr) message += fmt::format("; is {} meant?", nearest->name);
  return message;
}

// What no key can check alone.
void check_together(Loaded& loaded, std::vector<std::string>& problems) {
  Config& c = loaded.config;
  if (c.min_pool_size > c.max_pool_size) {
    if (loaded.raw.contains("max_pool_size")) {
      problems.push_back(fmt::format("min_pool_size: {} is not allowed: at most max_pool_size, {}",
                                     c.min_pool_size, c.max_pool_size));
    } else {
      c.max_pool_size = c.min_pool_size;
    }
  }
  auto& groups = c.security_groups;
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  if (groups.size() > 10) {
    problems.push_back(fmt::format(
        "security_group, security_groups: {} groups are not allowed: at most 10", groups.size()));
  }
  if (c.access_key.empty() != c.access_secret.empty()) {
    problems.push_back("access_key, access_secret: one without the other is not allowed");
  }
  if ((c.mark_mask & 0xc000) != 0) {
    problems.push_back(fmt::format(
        "mark_mask: {:#x} is not allowed: 0x4000 and 0x8000 are kube-proxy's", c.mark_mask));
  }
  if (c.mark_mask != 0 && std::popcount(c.mark_mask) < 3) {
    problems.push_back(
        fmt::format("mark_mask: {:#x} is not allowed: at least 3 bits", c.mark_mask));
  }
}

}  // namespace

Result<Loaded> parse(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false, true);
  if (json.is_discarded()) return Error(Error::Kind::Invalid, "it is not JSON");
  if (!json.is_object()) return Error(Error::Kind::Invalid, "it is not a JSON object");
  Loaded loaded;
  std::vector<std::string> problems;
  for (const auto& [name, value] : json.items()) {
    const Key* key = find_key(name);
    if (key == nullptr) {
      loaded.warnings.push_back(unknown_key(name));
      continue;
    }
    if (value.is_null()) continue;  // as if it were absent
    loaded.raw[name] = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    Reader reader(name, value, key->secret, problems, loaded.warnings);
    key->read(reader, loaded.config);
  }
  check_together(loaded, problems);
  if (problems.empty()) return loaded;
  std::string message;
  for (const auto& problem : problems) message += (message.empty() ? "" : "; ") + problem;
  return Error(Error::Kind::Invalid, message);
}

Result<Loaded> load(const std::string& path) {
  const std::string text = TRY_WITHIN("configuration", read_file(path));
  return TRY_WITHIN(fmt::format("configuration {}", path), parse(text));
}

std::vector<Shown> shown(const Loaded& loaded) {
  std::vector<Shown> list;
  for (const Key& key : kKeys) {
    const auto found = loaded.raw.find(key.name);
    if (found == loaded.raw.end()) {
      list.push_back({key.name, key.by_default, false});
    } else {
      list.push_back({key.name, key.secret ? "\"***\"" : found->second, true});
    }
  }
  return list;
}

Difference difference(const Loaded& before, const Loaded& after) {
  Difference result;
  for (const Key& key : kKeys) {
    const auto old_value = before.raw.find(key.name);
    const auto new_value = after.raw.find(key.name);
    const bool was = old_value != before.raw.end();
    const bool is = new_value != after.raw.end();
    if (was == is && (!was || old_value->second == new_value->second)) continue;
    (key.take != nullptr ? result.live : result.restart).push_back(key.name);
  }
  return result;
}

Config merged(const Config& before, const Config& after) {
  Config result = before;
  for (const Key& key : kKeys) {
    if (key.take != nullptr) key.take(result, after);
  }
  return result;
}

}  // namespace terway::config
