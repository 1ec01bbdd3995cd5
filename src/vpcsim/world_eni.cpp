// SPDX-License-Identifier: Apache-2.0
// The life of an ENI: Available → Attaching → InUse → Detaching → Available → gone.
#include <algorithm>

#include "vpcsim/api_error.h"
#include "vpcsim/world.h"

namespace terway::vpcsim {

namespace {

using model::EniStatus;
using model::EniType;

constexpr std::size_t kGroupsPerEni = 10;
constexpr std::size_t kTagsPerEni = 20;

Error wrong_state(const model::Eni& eni, std::string_view wanted) {
  return api_error("InvalidOperation.InvalidEniState",
                   "The ENI " + eni.id + " is " + std::string(to_string(eni.status)) +
                       "; it must be " + std::string(wanted) + ".");
}

Error no_such_eni(const std::string& id) {
  return api_error("InvalidEniId.NotFound", "The specified EniId " + id + " is not found.");
}

Result<> check_tags(const model::Tags& tags) {
  if (tags.size() > kTagsPerEni) return api_error("QuotaExceed.Tags");
  for (const auto& [key, value] : tags) {
    if (key.empty() || key.size() > 128 || key.starts_with("aliyun") || key.starts_with("acs:") ||
        key.find("http://") != std::string::npos || key.find("https://") != std::string::npos) {
      return api_error("InvalidTagKey.Malformed");
    }
    if (value.size() > 128 || value.starts_with("acs:")) {
      return api_error("InvalidTagValue.Malformed");
    }
  }
  return Ok{};
}

}  // namespace

void World::schedule(Duration delay, Step step, const EniRecord& record) {
  events_.emplace(now_ + delay, Event{step, record.eni.id, record.operation});
}

std::optional<Instant> World::next_due() const {
  if (events_.empty()) return std::nullopt;
  return events_.begin()->first;
}

void World::advance(Instant now, WallTime wall) {
  // An event's followers count from the moment when it was due, not from when it was noticed.
  while (!events_.empty() && events_.begin()->first <= now) {
    const auto node = events_.extract(events_.begin());
    now_ = std::max(now_, node.key());
    run(node.mapped());
  }
  now_ = std::max(now_, now);
  wall_ = std::max(wall_, wall);
}

void World::run(const Event& event) {
  const auto found = enis_.find(event.eni_id);
  if (found == enis_.end() || found->second.operation != event.operation) return;
  EniRecord& record = found->second;
  switch (event.step) {
    case Step::AttachDone:
      finish_attach(record);
      break;
    case Step::AttachFails:
    case Step::DetachDone:
      changed(record);
      record.eni.status = EniStatus::Available;
      record.eni.instance_id.clear();
      record.device_index = 0;
      break;
    case Step::NicAppears:
      plug(record);
      break;
  }
}

Result<> World::check_groups(const std::vector<std::string>& ids, const std::string& vpc_id) const {
  if (ids.size() > kGroupsPerEni) return api_error("JoinedGroupLimitExceed");
  for (const std::string& id : ids) {
    const auto group = groups_.find(id);
    if (group == groups_.end()) {
      return api_error("InvalidSecurityGroupId.NotFound",
                       "The specified SecurityGroupId " + id + " is not found.");
    }
    if (group->second.vpc_id != vpc_id) {
      return api_error("InvalidOperation.VpcMismatch",
                       "The security group " + id + " and the ENI are not in the same VPC.");
    }
  }
  return Ok{};
}

Result<> World::check_new_eni(const NewEni& wanted, const Switch& vswitch) const {
  if (wanted.security_group_ids.empty()) {
    return api_error("MissingParameter",
                     "The input parameter \"SecurityGroupId\" that is mandatory for processing "
                     "this request is not supplied.");
  }
  TRY(check_groups(wanted.security_group_ids, vswitch.info.vpc_id));
  TRY(check_tags(wanted.tags));
  if (enis_.size() >= settings_.eni_quota) return api_error("MaxEniCountExceeded");
  if ((wanted.ipv6_count > 0 || !wanted.ipv6.empty()) && !vswitch.v6) {
    return api_error("InvalidVSwitch.Ipv6NotTurnOn");
  }
  return Ok{};
}

Result<std::string> World::create_eni(const NewEni& wanted) {
  const auto found = vswitches_.find(wanted.vswitch_id);
  if (found == vswitches_.end()) {
    return api_error("InvalidVSwitchId.NotFound",
                     "The specified VSwitchId " + wanted.vswitch_id + " is not found.");
  }
  Switch& vswitch = found->second;
  TRY(check_new_eni(wanted, vswitch));

  // Addresses are taken in a copy of the spaces' state, so that a refusal leaves nothing behind.
  AddressSpace v4 = vswitch.v4;
  std::optional<AddressSpace> v6 = vswitch.v6;
  std::vector<net::IpAddress> named = wanted.addresses;
  if (wanted.primary_address) named.insert(named.begin(), *wanted.primary_address);
  TRY(take_these(v4, named));
  std::vector<net::IpAddress> ipv4;
  if (!wanted.primary_address) ipv4 = TRY(take(v4, 1));
  ipv4.insert(ipv4.end(), named.begin(), named.end());
  const std::vector<net::IpAddress> more = TRY(take(v4, wanted.address_count));
  ipv4.insert(ipv4.end(), more.begin(), more.end());
  std::vector<net::IpAddress> ipv6 = wanted.ipv6;
  if (v6) {
    TRY(take_these(*v6, wanted.ipv6));
    const std::vector<net::IpAddress> more6 = TRY(take(*v6, wanted.ipv6_count));
    ipv6.insert(ipv6.end(), more6.begin(), more6.end());
  }
  vswitch.v4 = std::move(v4);
  vswitch.v6 = std::move(v6);
  return insert_eni(wanted, vswitch, ipv4, ipv6).eni.id;
}

EniRecord& World::insert_eni(const NewEni& wanted, Switch& vswitch,
                             const std::vector<net::IpAddress>& ipv4,
                             const std::vector<net::IpAddress>& ipv6) {
  EniRecord record;
  record.sequence = ++last_sequence_;
  record.name = wanted.name;
  record.resource_group_id = wanted.resource_group_id;
  record.delete_on_release = wanted.delete_on_release;
  record.source_dest_check = wanted.source_dest_check;
  model::Eni& eni = record.eni;
  eni.id = new_id("eni");
  eni.type = wanted.type;
  eni.status = EniStatus::Available;
  eni.mac = new_mac();
  eni.vswitch_id = vswitch.info.id;
  eni.vpc_id = vswitch.info.vpc_id;
  eni.zone_id = vswitch.info.zone_id;
  eni.security_group_ids = wanted.security_group_ids;
  eni.primary_address = ipv4.front();
  eni.ipv4 = ipv4;
  eni.ipv6 = ipv6;
  eni.tags = wanted.tags;
  eni.description = wanted.description;
  eni.creation_time = now_text();
  return enis_.emplace(eni.id, std::move(record)).first->second;
}

std::uint32_t World::free_device_index(std::string_view instance_id) const {
  std::uint32_t index = 0;
  for (const EniRecord* record : enis_of(instance_id)) {
    if (record->device_index == index) ++index;
  }
  return index;
}

Result<> World::attach_eni(const std::string& eni_id, const std::string& instance_id,
                           const AttachCourse& course) {
  const auto found = enis_.find(eni_id);
  if (found == enis_.end()) return no_such_eni(eni_id);
  EniRecord& record = found->second;
  const Server* server = find_instance(instance_id);
  if (server == nullptr) return api_error("InvalidEcsId.NotFound");
  if (record.eni.type == EniType::Primary) return api_error("InvalidOperation.InvalidEniType");
  if (record.eni.status != EniStatus::Available) return wrong_state(record.eni, "Available");
  if (record.eni.vpc_id != server->info.vpc_id) return api_error("InvalidOperation.VpcMismatch");
  if (record.eni.zone_id != server->info.zone_id) {
    return api_error("InvalidOperation.AvailabilityZoneMismatch");
  }
  if (record.eni.type == EniType::Trunk && !server->type->trunk_supported) {
    return api_error("InvalidOperation.InvalidEniType",
                     "The instance type " + server->type->id + " does not support trunk ENIs.");
  }
  if (enis_of(instance_id).size() >= server->type->eni_quantity) {
    return api_error("EniPerInstanceLimitExceeded", "The instance type " + server->type->id +
                                                        " takes " +
                                                        std::to_string(server->type->eni_quantity) +
                                                        " ENIs, the primary one included.");
  }
  if (record.eni.ipv4.size() > server->type->ipv4_per_eni) {
    return api_error("InvalidOperation.Ipv4CountExceeded");
  }
  if (record.eni.ipv6.size() > server->type->ipv6_per_eni) {
    return api_error("InvalidOperation.Ipv6CountExceeded");
  }
  record.device_index = free_device_index(instance_id);
  record.eni.status = EniStatus::Attaching;
  record.eni.instance_id = instance_id;
  record.attach_held_by = course.attach_held_by;
  record.nic_held_by = course.nic_held_by;
  record.nic_delay = course.nic;
  ++record.operation;
  changed(record);
  if (course.attach_held_by == 0) {
    schedule(course.attach, course.fails ? Step::AttachFails : Step::AttachDone, record);
  }
  return Ok{};
}

void World::finish_attach(EniRecord& record) {
  record.attach_held_by = 0;
  record.eni.status = EniStatus::InUse;
  changed(record);
  if (record.nic_held_by == 0) schedule(record.nic_delay, Step::NicAppears, record);
}

void World::release_held(std::uint64_t held_by) {
  if (held_by == 0) return;
  for (auto& [id, record] : enis_) {
    if (record.nic_held_by == held_by) {
      record.nic_held_by = 0;
      if (record.eni.status == EniStatus::InUse) schedule({}, Step::NicAppears, record);
    }
    if (record.attach_held_by == held_by) {
      record.attach_held_by = 0;
      schedule({}, Step::AttachDone, record);
    }
  }
}

Result<> World::detach_eni(const std::string& eni_id, const std::string& instance_id) {
  const auto found = enis_.find(eni_id);
  if (found == enis_.end()) return no_such_eni(eni_id);
  EniRecord& record = found->second;
  if (find_instance(instance_id) == nullptr) return api_error("InvalidEcsId.NotFound");
  if (record.eni.type == EniType::Primary) {
    return api_error("InvalidOperation.DetachPrimaryEniNotAllowed");
  }
  if (record.eni.status != EniStatus::InUse) return wrong_state(record.eni, "InUse");
  if (record.eni.instance_id != instance_id) {
    return api_error("InvalidOperation.InvalidEniState",
                     "The ENI " + eni_id + " is not attached to " + instance_id + ".");
  }
  unplug(record);
  record.nic_held_by = 0;
  record.eni.status = EniStatus::Detaching;
  ++record.operation;
  changed(record);
  schedule(settings_.detach_delay, Step::DetachDone, record);
  return Ok{};
}

Result<> World::delete_eni(const std::string& eni_id) {
  const EniRecord* record = find_eni(eni_id);
  if (record == nullptr) return no_such_eni(eni_id);
  if (record->eni.type == EniType::Primary) return api_error("InvalidOperation.InvalidEniType");
  if (record->eni.status != EniStatus::Available) return wrong_state(record->eni, "Available");
  erase_eni(eni_id);
  return Ok{};
}

Result<> World::modify_eni(const std::string& eni_id, const EniChange& change) {
  const auto found = enis_.find(eni_id);
  if (found == enis_.end()) return no_such_eni(eni_id);
  EniRecord& record = found->second;
  if (change.security_group_ids) {
    TRY(check_groups(*change.security_group_ids, record.eni.vpc_id));
    record.eni.security_group_ids = *change.security_group_ids;
  }
  if (change.name) record.name = *change.name;
  if (change.description) record.eni.description = *change.description;
  if (change.delete_on_release) record.delete_on_release = *change.delete_on_release;
  changed(record);
  return Ok{};
}

void World::plug(EniRecord& record) {
  const Server* server = find_instance(record.eni.instance_id);
  const Switch* vswitch = find_vswitch(record.eni.vswitch_id);
  VERIFY(server != nullptr && vswitch != nullptr);
  // An instance without a namespace has no place for a NIC.
  if (server->netns_path.empty()) return;
  record.plugged = true;
  Nic nic;
  nic.eni_id = record.eni.id;
  nic.mac = record.eni.mac;
  nic.mtu = settings_.mtu;
  nic.netns_path = server->netns_path;
  nic.ifname = "eth" + std::to_string(record.device_index);
  nic.vpc_id = record.eni.vpc_id;
  nic.vswitch_cidr = vswitch->info.cidr;
  nic.vswitch_ipv6_cidr = vswitch->info.ipv6_cidr;
  nic.gateway = model::gateway_of(vswitch->info.cidr);
  if (vswitch->info.ipv6_cidr) nic.gateway_ipv6 = model::gateway_of(*vswitch->info.ipv6_cidr);
  nic.addresses = record.eni.ipv4;
  nic.addresses.insert(nic.addresses.end(), record.eni.ipv6.begin(), record.eni.ipv6.end());
  effects_.emplace_back(PlugEffect{std::move(nic)});
}

bool World::plug_again(const std::string& eni_id) {
  const auto found = enis_.find(eni_id);
  if (found == enis_.end() || !found->second.plugged) return false;
  plug(found->second);
  return true;
}

void World::unplug(EniRecord& record) {
  if (!std::exchange(record.plugged, false)) return;
  effects_.emplace_back(UnplugEffect{record.eni.id});
}

void World::erase_eni(const std::string& id) {
  const auto found = enis_.find(id);
  give_back_all(found->second);
  macs_.erase(found->second.eni.mac);
  enis_.erase(found);
}

}  // namespace terway::vpcsim
