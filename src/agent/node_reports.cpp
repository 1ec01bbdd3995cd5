// SPDX-License-Identifier: Apache-2.0
// What an operator is told (rpc/cli_api.h).
#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "agent/node.h"
#include "agent/settings.h"
#include "model/bandwidth.h"

namespace terway::agent {

namespace cli = rpc::cli;

std::string rfc3339(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  const std::time_t value = static_cast<std::time_t>(seconds);
  std::tm parts{};
  ::gmtime_r(&value, &parts);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, size};
}

namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string text_of(const net::Mac& mac) { return mac.is_zero() ? "" : mac.to_string(); }
std::string text_of(const net::IpAddress& address) {
  return address.is_unspecified() ? "" : address.to_string();
}

std::vector<std::string> texts_of(const std::vector<net::IpAddress>& addresses) {
  std::vector<std::string> texts;
  for (const auto& address : addresses) texts.push_back(address.to_string());
  return texts;
}

std::string name_of(const model::Pod& pod) { return pod.name.empty() ? "" : pod.to_string(); }

cli::PodEntry entry_of(const model::Attachment& a) {
  cli::PodEntry entry;
  entry.namespace_ = a.pod.namespace_;
  entry.name = a.pod.name;
  entry.uid = a.pod.uid;
  entry.owner_kind = a.pod.owner_kind;
  entry.container_id = a.key.container_id;
  entry.ifname = a.key.ifname;
  entry.state = to_string(a.state);
  entry.addresses = texts_of(a.addresses);
  entry.eni_id = a.eni_id;
  entry.host_ifname = a.host_ifname;
  entry.host_mac = text_of(a.host_mac);
  entry.pod_mac = text_of(a.pod_mac);
  entry.mtu = a.mtu;
  entry.netns = a.netns_path;
  entry.created = rfc3339(a.created);
  entry.sticky = a.sticky;
  entry.egress_limit = model::rate_text(a.bandwidth.egress);
  entry.ingress_limit = model::rate_text(a.bandwidth.ingress);
  entry.priority = to_string(a.priority);
  return entry;
}

cli::OperationEntry entry_of(const model::Operation& o) {
  cli::OperationEntry entry;
  entry.id = o.id;
  entry.kind = to_string(o.kind);
  entry.eni_id = o.eni_id;
  entry.client_token = o.client_token;
  entry.vswitch_id = o.vswitch_id;
  entry.ipv4_count = o.ipv4_count;
  entry.ipv6_count = o.ipv6_count;
  entry.addresses = texts_of(o.addresses);
  return entry;
}

const char* stack_name(config::Stack stack) {
  switch (stack) {
    case config::Stack::V4:
      return "ipv4";
    case config::Stack::V6:
      return "ipv6";
    case config::Stack::Dual:
      return "dual";
  }
  return "?";
}

}  // namespace

Result<std::string> Node::report(const Question& question) const {
  switch (question.topic) {
    case Topic::Status:
      return cli::encode(status());
    case Topic::Pods:
      return cli::encode(pods());
    case Topic::Enis:
      return cli::encode(enis());
    case Topic::Pool:
      return cli::encode(pool());
    case Topic::Journal:
      return cli::encode(TRY(journal_report()));
    case Topic::Metadata:
      return cli::encode(metadata());
    case Topic::Mapping:
      return cli::encode(mapping());
    case Topic::Config:
      return cli::encode(config_report());
    case Topic::Resources:
      return resources(question.type, question.name);
    case Topic::Ready:
      if (const std::string why = not_ready(); !why.empty()) {
        return Error(Error::Kind::Unavailable, why);
      }
      return std::string("ok");
  }
  return Error(Error::Kind::NotFound, "no such question");
}

std::vector<cli::PoolCounts> Node::pool_counts() const {
  std::vector<cli::PoolCounts> list;
  for (const net::Family family : families()) {
    const auto c = ipam_.counts(family);
    cli::PoolCounts counts;
    counts.family = family == net::Family::V4 ? "ipv4" : "ipv6";
    counts.total = c.total;
    counts.idle = c.idle;
    counts.held = c.held;
    counts.cooling = c.cooling;
    counts.releasing = c.releasing;
    counts.suspect = c.suspect;
    counts.waiting = c.waiting;
    counts.capacity = c.capacity;
    list.push_back(counts);
  }
  return list;
}

cli::Status Node::status() const {
  cli::Status s;
  s.version = names_.version;
  s.node = names_.node;
  s.instance_id = identity_.instance.id;
  s.instance_type = identity_.type.id;
  s.region = identity_.region_id;
  s.zone = identity_.instance.zone_id;
  s.daemon_mode = names_.mode == DaemonMode::Exclusive ? "exclusive" : "shared";
  s.datapath = "veth";
  s.fast_path = names_.fast_path;
  s.ip_stack = stack_name(config_.stack);
  s.reason = not_ready();
  s.ready = s.reason.empty();
  if (!cloud_fault_.empty()) {
    s.cloud = "failing: " + cloud_fault_;
  } else if (!poll_fault_.empty()) {
    s.cloud = "failing: " + poll_fault_;
  } else {
    s.cloud = listed_ ? "in-sync" : "unknown";
  }
  s.boot_id = parts_.journal.boot_id();
  s.started = rfc3339(started_wall_);
  s.uptime_s = seconds(parts_.clock.now() - started_);
  s.pods = attachments_.all().size();
  s.pools = pool_counts();
  s.drift = drift_;
  for (const auto& [key, noted] : notices_) {
    s.notices.push_back({key.first, key.second, noted.message, rfc3339(noted.last), noted.count});
  }
  return s;
}

cli::Pods Node::pods() const {
  cli::Pods list;
  for (const auto& attachment : attachments_.all())
    list.pods.push_back(agent::entry_of(attachment));
  for (const auto& waiting : attachments_.waiting()) {
    cli::PodEntry entry;
    entry.namespace_ = waiting.pod.namespace_;
    entry.name = waiting.pod.name;
    entry.uid = waiting.pod.uid;
    entry.container_id = waiting.key.container_id;
    entry.ifname = waiting.key.ifname;
    entry.state = "Waiting";
    list.pods.push_back(entry);
  }
  return list;
}

cli::EniEntry Node::entry_of(const model::EniRecord& eni,
                             const std::vector<model::AddressRecord>& addresses) const {
  const Instant now = parts_.clock.now();
  cli::EniEntry entry;
  entry.id = eni.eni_id;
  entry.key = eni.key;
  entry.state = to_string(eni.state);
  entry.mac = text_of(eni.mac);
  entry.vswitch_id = eni.vswitch_id;
  entry.primary_address = text_of(eni.primary_address);
  entry.age_s = seconds(now - eni.since);
  entry.failures = eni.failures;
  entry.last_error = eni.last_error;
  if (const auto nic = nics_.find(eni.key); nic != nics_.end()) {
    entry.ifname = nic->second.ifname;
    entry.ifindex = nic->second.ifindex;
    entry.mtu = nic->second.mtu;
    entry.table = nic->second.table;
    if (nic->second.gateway_mac_v4) entry.gateway_mac = text_of(*nic->second.gateway_mac_v4);
  }
  if (const auto plan = eni_plan(eni); plan && plan->gateway_v4) {
    entry.gateway = text_of(*plan->gateway_v4);
  }
  for (const auto& address : addresses) {
    if (address.eni_key != eni.key) continue;
    cli::AddressEntry one;
    one.address = address.address.to_string();
    one.state = to_string(address.state);
    one.pod = name_of(address.pod);
    one.container_id = address.owner.container_id;
    one.age_s = seconds(now - address.since);
    if (address.until > now) one.until_s = seconds(address.until - now);
    one.sticky = address.sticky;
    entry.addresses.push_back(one);
  }
  return entry;
}

cli::Enis Node::enis() const {
  cli::Enis list;
  const auto addresses = ipam_.addresses();
  for (const auto& eni : ipam_.enis()) list.enis.push_back(entry_of(eni, addresses));
  return list;
}

cli::Pool Node::pool() const {
  const auto& limits = ipam_.limits();
  cli::Pool p;
  p.pools = pool_counts();
  p.min_pool_size = config_.min_pool_size;
  p.max_pool_size = config_.max_pool_size;
  p.max_enis = limits.max_enis;
  p.ipv4_per_eni = limits.ipv4_per_eni;
  p.ipv6_per_eni = limits.ipv6_per_eni;
  p.cool_down_s = seconds(config_.cool_down);
  for (const auto& operation : ipam_.operations()) {
    p.operations.push_back(agent::entry_of(operation));
  }
  for (const auto& waiting : attachments_.waiting()) {
    p.waiting.push_back({waiting.pod.to_string(), waiting.key.container_id,
                         seconds(parts_.clock.now() - waiting.since)});
  }
  return p;
}

Result<cli::Journal> Node::journal_report() const {
  const auto contents = TRY(parts_.journal.read());
  cli::Journal j;
  j.path = parts_.journal.path().native();
  j.schema_version = journal::kSchemaVersion;
  j.boot_id = parts_.journal.boot_id();
  j.size_bytes = parts_.journal.size_bytes();
  for (const auto& a : contents.attachments) j.attachments.push_back(agent::entry_of(a));
  for (const auto& eni : contents.ipam.enis) {
    j.enis.push_back(entry_of(eni, contents.ipam.addresses));
  }
  for (const auto& o : contents.ipam.operations) j.operations.push_back(agent::entry_of(o));
  return j;
}

cli::Metadata Node::metadata() const {
  cli::Metadata m;
  m.instance_id = identity_.instance.id;
  m.instance_type = identity_.type.id;
  m.region_id = identity_.region_id;
  m.zone_id = identity_.instance.zone_id;
  m.vpc_id = identity_.instance.vpc_id;
  m.vswitch_id = identity_.instance.vswitch_id;
  m.mac = text_of(identity_.mac);
  for (const auto& eni : last_listing_) {
    cli::MetadataNic nic;
    nic.mac = text_of(eni.mac);
    nic.eni_id = eni.id;
    nic.primary_address = text_of(eni.primary_address);
    nic.vswitch_id = eni.vswitch_id;
    nic.addresses = texts_of(eni.ipv4);
    for (const auto& address : eni.ipv6) nic.addresses.push_back(address.to_string());
    m.nics.push_back(nic);
  }
  return m;
}

cli::Mapping Node::mapping() const {
  cli::Mapping m;
  m.consistent = true;
  std::map<std::string, std::string> eni_ids;
  for (const auto& eni : ipam_.enis()) eni_ids[eni.key] = eni.eni_id;
  std::set<net::IpAddress> ours;
  for (const auto& address : ipam_.addresses()) {
    ours.insert(address.address);
    cli::MappingEntry entry;
    entry.address = address.address.to_string();
    entry.eni_id = eni_ids[address.eni_key];
    entry.in_journal = true;
    entry.in_cloud = in_cloud_.contains(address.address);
    entry.in_kernel = in_kernel_.contains(address.address);
    const bool held =
        address.state == model::AddressState::Held || address.state == model::AddressState::Suspect;
    if (held) {
      entry.pod = name_of(address.pod);
      entry.container_id = address.owner.container_id;
    }
    if (!listed_ && !entry.in_cloud) {
      entry.status = "the cloud was not heard yet";
    } else if (!entry.in_cloud) {
      entry.status = "not in the cloud";
    } else if (held && !entry.in_kernel) {
      entry.status = "not in the kernel";
    } else if (!held && entry.in_kernel) {
      entry.status = "in the kernel, but held by no pod";
    } else {
      entry.status = "ok";
    }
    m.consistent = m.consistent && entry.status == "ok";
    m.entries.push_back(entry);
  }
  for (const auto& address : in_kernel_) {
    if (ours.contains(address)) continue;
    cli::MappingEntry entry;
    entry.address = address.to_string();
    entry.in_kernel = true;
    entry.in_cloud = in_cloud_.contains(address);
    entry.status = "not in the journal";
    m.consistent = false;
    m.entries.push_back(entry);
  }
  return m;
}

cli::Config Node::config_report() const {
  cli::Config c;
  c.path = names_.config_path;
  c.loaded = rfc3339(loaded_at_);
  for (const auto& key : config::shown(loaded_)) {
    c.entries.push_back({key.key, key.value, key.from_file ? "file" : "default"});
  }
  c.warnings = loaded_.warnings;
  c.restart_needed = restart_needed_;
  return c;
}

Result<std::string> Node::resources(const std::string& type, const std::string& name) const {
  // Upstream's names, so that its commands keep their meaning.
  constexpr const char* kService = "network_service";
  constexpr const char* kDefault = "default";
  constexpr const char* kEni = "eni";
  if (type.empty()) return cli::encode(cli::ResourceTypes{{kService, kEni}});
  if (type != kService && type != kEni) {
    return Error(Error::Kind::NotFound,
                 fmt::format("no resources of type {}; there are {} and {}", type, kService, kEni));
  }
  if (name.empty()) {
    cli::ResourceNames names{type, {}};
    if (type == kService) names.names.emplace_back(kDefault);
    for (const auto& eni : ipam_.enis()) {
      if (type == kEni) names.names.push_back(eni.eni_id.empty() ? eni.key : eni.eni_id);
    }
    return cli::encode(names);
  }
  cli::Resource resource{type, name, {}, {}};
  if (type == kService && name == kDefault) {
    for (const auto& key : config::shown(loaded_)) resource.config.push_back({key.key, key.value});
    resource.trace.push_back({"pods", fmt::format("{}", attachments_.size())});
    for (const auto& counts : pool_counts()) {
      resource.trace.push_back(
          {counts.family,
           fmt::format("total {} idle {} held {} cooling {} waiting {} capacity {}", counts.total,
                       counts.idle, counts.held, counts.cooling, counts.waiting, counts.capacity)});
    }
    return cli::encode(resource);
  }
  for (const auto& eni : ipam_.enis()) {
    if (type != kEni || (name != eni.eni_id && name != eni.key)) continue;
    resource.config = {{"mac", text_of(eni.mac)}, {"vswitch", eni.vswitch_id}};
    resource.trace.push_back({"state", std::string(to_string(eni.state))});
    for (const auto& address : ipam_.addresses()) {
      if (address.eni_key != eni.key) continue;
      resource.trace.push_back(
          {address.address.to_string(),
           fmt::format("{} {}", to_string(address.state), name_of(address.pod))});
    }
    return cli::encode(resource);
  }
  return Error(Error::Kind::NotFound, fmt::format("no {} is called {}", type, name));
}

}  // namespace terway::agent
