// SPDX-License-Identifier: Apache-2.0
// What the world is made of; an ENI's life is in world_eni.cpp, its addresses in world_address.cpp.
#include "vpcsim/world.h"

#include <algorithm>

#include "cloud/wall_time.h"
#include "vpcsim/api_error.h"
#include "vpcsim/instance_types.h"

namespace terway::vpcsim {

World::World(std::string region_id, Random random)
    : region_id_(std::move(region_id)), random_(std::move(random)) {}

std::string World::new_id(std::string_view prefix) {
  // The real ones: prefix, three letters of the region ("bp1" is cn-hangzhou), 17 of 0-9a-z.
  constexpr std::string_view kAlphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string id = std::string(prefix) + "-bp1";
  for (int i = 0; i < 17; ++i) id += kAlphabet[random_.below(kAlphabet.size())];
  return id;
}

net::Mac World::new_mac() {
  while (true) {
    const std::uint64_t low = random_.below(1U << 24);
    const net::Mac mac{{0x00, 0x16, 0x3e, static_cast<std::uint8_t>(low >> 16),
                        static_cast<std::uint8_t>(low >> 8), static_cast<std::uint8_t>(low)}};
    if (macs_.insert(mac).second) return mac;
  }
}

std::string World::now_text() const { return cloud::format_time(wall_); }

std::vector<Effect> World::take_effects() { return std::exchange(effects_, {}); }

std::set<std::string> World::take_changed_instances() {
  return std::exchange(changed_instances_, {});
}

void World::changed(const EniRecord& record) {
  if (!record.eni.instance_id.empty()) changed_instances_.insert(record.eni.instance_id);
}

Result<std::string> World::add_vpc(Vpc vpc) {
  if (vpc.id.empty()) vpc.id = new_id("vpc");
  if (vpcs_.contains(vpc.id)) {
    return Error(Error::Kind::Exists, "a VPC with id " + vpc.id + " exists");
  }
  const std::string id = vpc.id;
  vpcs_.emplace(id, std::move(vpc));
  return id;
}

Result<std::string> World::add_vswitch(const NewVSwitch& wanted) {
  const auto vpc =
      wanted.vpc_id.empty() && !vpcs_.empty() ? vpcs_.begin() : vpcs_.find(wanted.vpc_id);
  if (vpc == vpcs_.end()) return api_error("InvalidVpcId.NotFound");
  const auto refuse = [](std::string why) -> Error {
    return Error(Error::Kind::Invalid, std::move(why));
  };
  if (wanted.zone_id.empty()) return refuse("zone: missing");
  const net::Prefix cidr = wanted.cidr.network();
  if (cidr.family() != net::Family::V4 || cidr.length < 16 || cidr.length > 29) {
    return refuse("cidr " + cidr.to_string() + ": a vSwitch is an IPv4 prefix of /16 to /29");
  }
  if (!vpc->second.cidr.contains(cidr)) {
    return refuse("cidr " + cidr.to_string() + " is not within the VPC's " +
                  vpc->second.cidr.to_string());
  }
  if (wanted.ipv6_cidr &&
      (wanted.ipv6_cidr->family() != net::Family::V6 || wanted.ipv6_cidr->length != 64)) {
    return refuse("ipv6_cidr " + wanted.ipv6_cidr->to_string() + ": must be an IPv6 /64");
  }
  for (const auto& [id, other] : vswitches_) {
    if (other.info.vpc_id == vpc->first && other.info.cidr.overlaps(cidr)) {
      return refuse("cidr " + cidr.to_string() + " overlaps that of " + id);
    }
    if (wanted.ipv6_cidr && other.info.ipv6_cidr &&
        other.info.ipv6_cidr->overlaps(*wanted.ipv6_cidr)) {
      return refuse("ipv6_cidr " + wanted.ipv6_cidr->to_string() + " overlaps that of " + id);
    }
  }
  const std::string id = wanted.id.empty() ? new_id("vsw") : wanted.id;
  if (vswitches_.contains(id)) {
    return Error(Error::Kind::Exists, "a vSwitch with id " + id + " exists");
  }
  Switch vswitch{.info = {},
                 .name = wanted.name,
                 .creation_time = now_text(),
                 .v4 = AddressSpace(cidr),
                 .v6 = std::nullopt};
  vswitch.info.id = id;
  vswitch.info.vpc_id = vpc->first;
  vswitch.info.zone_id = wanted.zone_id;
  vswitch.info.cidr = cidr;
  if (wanted.ipv6_cidr) {
    vswitch.info.ipv6_cidr = wanted.ipv6_cidr->network();
    vswitch.v6.emplace(*wanted.ipv6_cidr);
  }
  vswitches_.emplace(id, std::move(vswitch));
  return id;
}

Result<> World::remove_vswitch(const std::string& id) {
  if (!vswitches_.contains(id)) {
    return Error(Error::Kind::NotFound, "there is no vSwitch " + id);
  }
  for (const auto& [eni_id, record] : enis_) {
    if (record.eni.vswitch_id == id) {
      return Error(Error::Kind::Invalid, "vSwitch " + id + " is used by " + eni_id);
    }
  }
  vswitches_.erase(id);
  return Ok{};
}

Result<std::string> World::add_security_group(SecurityGroup group) {
  if (group.vpc_id.empty() && !vpcs_.empty()) group.vpc_id = vpcs_.begin()->first;
  if (!vpcs_.contains(group.vpc_id)) return api_error("InvalidVpcId.NotFound");
  if (group.id.empty()) group.id = new_id("sg");
  if (groups_.contains(group.id)) {
    return Error(Error::Kind::Exists, "a security group with id " + group.id + " exists");
  }
  group.creation_time = now_text();
  const std::string id = group.id;
  groups_.emplace(id, std::move(group));
  return id;
}

Result<std::string> World::add_instance(const NewInstance& wanted) {
  const model::InstanceType* type = find_instance_type(wanted.type);
  if (type == nullptr) {
    return Error(Error::Kind::Invalid, "type " + wanted.type + " is not sold here");
  }
  const auto vswitch = vswitches_.find(wanted.vswitch_id);
  if (vswitch == vswitches_.end()) {
    return api_error("InvalidVSwitchId.NotFound", "there is no vSwitch " + wanted.vswitch_id);
  }
  const std::string id = wanted.id.empty() ? new_id("i") : wanted.id;
  if (instances_.contains(id)) {
    return Error(Error::Kind::Exists, "an instance with id " + id + " exists");
  }
  NewEni primary;
  primary.vswitch_id = wanted.vswitch_id;
  primary.type = model::EniType::Primary;
  primary.security_group_ids = wanted.security_group_ids;
  if (primary.security_group_ids.empty()) {
    for (const auto& [group_id, group] : groups_) {
      if (group.vpc_id != vswitch->second.info.vpc_id) continue;
      primary.security_group_ids.push_back(group_id);
      break;
    }
  }
  primary.primary_address = wanted.address;
  primary.ipv6_count = wanted.ipv6_count;
  if (wanted.ipv6_count > type->ipv6_per_eni) {
    return api_error("InvalidOperation.Ipv6CountExceeded");
  }
  const std::string eni_id = TRY(create_eni(primary));

  Server server;
  EniRecord& record = enis_.find(eni_id)->second;
  server.type = type;
  server.name = wanted.name.empty() ? id : wanted.name;
  server.netns_path = wanted.netns_path;
  server.role_name = wanted.role_name;
  server.creation_time = now_text();
  server.info.id = id;
  server.info.type = wanted.type;
  server.info.zone_id = vswitch->second.info.zone_id;
  server.info.vpc_id = vswitch->second.info.vpc_id;
  server.info.vswitch_id = wanted.vswitch_id;
  server.info.primary_eni_id = eni_id;
  server.info.primary_address = record.eni.primary_address;
  server.info.security_group_ids = record.eni.security_group_ids;
  instances_.emplace(id, std::move(server));

  record.eni.status = model::EniStatus::InUse;
  record.eni.instance_id = id;
  changed(record);
  plug(record);
  return id;
}

Result<> World::boot_instance(const std::string& id, const std::string& netns_path) {
  const auto server = instances_.find(id);
  if (server == instances_.end()) {
    return Error(Error::Kind::NotFound, "there is no instance " + id);
  }
  server->second.netns_path = netns_path;
  for (const EniRecord* found : enis_of(id)) {
    EniRecord& record = enis_.find(found->eni.id)->second;
    unplug(record);
    // One whose NIC is still to appear does so in its own time.
    const bool appears = std::ranges::any_of(events_, [&](const auto& event) {
      return event.second.eni_id == record.eni.id && event.second.operation == record.operation;
    });
    if (record.eni.status == model::EniStatus::InUse && record.nic_held_by == 0 && !appears) {
      plug(record);
    }
  }
  return Ok{};
}

Result<> World::remove_instance(const std::string& id) {
  if (!instances_.contains(id)) {
    return Error(Error::Kind::NotFound, "there is no instance " + id);
  }
  for (const EniRecord* found : enis_of(id)) {
    EniRecord& record = enis_.find(found->eni.id)->second;
    unplug(record);
    if (record.delete_on_release || record.eni.type == model::EniType::Primary) {
      erase_eni(found->eni.id);
      continue;
    }
    ++record.operation;
    record.attach_held_by = record.nic_held_by = 0;
    record.eni.status = model::EniStatus::Available;
    record.eni.instance_id.clear();
  }
  instances_.erase(id);
  changed_instances_.insert(id);
  return Ok{};
}

std::vector<const EniRecord*> World::enis() const {
  std::vector<const EniRecord*> all;
  all.reserve(enis_.size());
  for (const auto& [id, record] : enis_) all.push_back(&record);
  std::ranges::sort(all, {}, &EniRecord::sequence);
  return all;
}

std::vector<const EniRecord*> World::enis_of(std::string_view instance_id) const {
  std::vector<const EniRecord*> theirs;
  for (const auto& [id, record] : enis_) {
    if (!instance_id.empty() && record.eni.instance_id == instance_id) theirs.push_back(&record);
  }
  std::ranges::sort(theirs, {}, &EniRecord::device_index);
  return theirs;
}

const EniRecord* World::find_eni(std::string_view id) const {
  const auto found = enis_.find(id);
  return found == enis_.end() ? nullptr : &found->second;
}

const Server* World::find_instance(std::string_view id) const {
  const auto found = instances_.find(std::string(id));
  return found == instances_.end() ? nullptr : &found->second;
}

const Server* World::find_instance_at(const net::IpAddress& address) const {
  for (const auto& [id, record] : enis_) {
    const auto& addresses = address.is_v4() ? record.eni.ipv4 : record.eni.ipv6;
    if (std::find(addresses.begin(), addresses.end(), address) != addresses.end()) {
      return find_instance(record.eni.instance_id);
    }
  }
  return nullptr;
}

const Switch* World::find_vswitch(std::string_view id) const {
  const auto found = vswitches_.find(std::string(id));
  return found == vswitches_.end() ? nullptr : &found->second;
}

model::VSwitch World::vswitch_info(const Switch& vswitch) {
  model::VSwitch info = vswitch.info;
  info.available_addresses = vswitch.v4.available();
  return info;
}

}  // namespace terway::vpcsim
