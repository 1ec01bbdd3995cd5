// SPDX-License-Identifier: Apache-2.0
// The addresses of an ENI: taken from its vSwitch, limited by the instance's type.
#include <algorithm>
#include <set>

#include "vpcsim/api_error.h"
#include "vpcsim/world.h"

namespace terway::vpcsim {

namespace {

using model::EniStatus;

// An ENI that is attached to nothing has the limits of the API itself (CreateNetworkInterface:
// up to 49 secondary addresses, up to 10 IPv6 addresses).
constexpr std::size_t kIpv4OfAvailable = 50;
constexpr std::size_t kIpv6OfAvailable = 10;

std::vector<net::IpAddress>& list_of(model::Eni& eni, net::Family family) {
  return family == net::Family::V4 ? eni.ipv4 : eni.ipv6;
}

std::vector<net::IpAddress> all_of(const model::Eni& eni) {
  std::vector<net::IpAddress> all = eni.ipv4;
  all.insert(all.end(), eni.ipv6.begin(), eni.ipv6.end());
  return all;
}

}  // namespace

Result<std::vector<net::IpAddress>> World::take(AddressSpace& space, std::uint32_t count) {
  if (space.available() < count) {
    return api_error("InvalidVSwitchId.IpNotEnough",
                     "The VSwitch " + space.cidr().to_string() + " has " +
                         std::to_string(space.available()) + " free addresses, not " +
                         std::to_string(count) + ".");
  }
  std::vector<net::IpAddress> taken;
  taken.reserve(count);
  while (taken.size() < count) taken.push_back(*space.take_next());
  return taken;
}

Result<> World::take_these(AddressSpace& space, const std::vector<net::IpAddress>& wanted) {
  std::set<net::IpAddress> seen;
  for (const net::IpAddress& address : wanted) {
    if (!space.usable(address)) {
      return api_error(
          "InvalidVSwitchId.IpInvalid",
          "The IP " + address.to_string() + " is not usable in " + space.cidr().to_string() + ".");
    }
    if (!seen.insert(address).second) return api_error("InvalidIp.IpRepeated");
    if (space.taken(address)) {
      return api_error("InvalidIp.IpAssigned",
                       "The specified IP " + address.to_string() + " is already assigned.");
    }
  }
  for (const net::IpAddress& address : wanted) space.take(address);
  return Ok{};
}

void World::give_back_all(const EniRecord& record) {
  Switch& vswitch = vswitches_.find(record.eni.vswitch_id)->second;
  for (const net::IpAddress& address : record.eni.ipv4) vswitch.v4.give_back(address);
  if (!vswitch.v6) return;
  for (const net::IpAddress& address : record.eni.ipv6) vswitch.v6->give_back(address);
}

Result<EniRecord*> World::eni_for_addresses(const std::string& eni_id) {
  const auto found = enis_.find(eni_id);
  if (found == enis_.end()) {
    return api_error("InvalidEniId.NotFound", "The specified EniId " + eni_id + " is not found.");
  }
  const EniStatus status = found->second.eni.status;
  if (status != EniStatus::Available && status != EniStatus::InUse) {
    return api_error("InvalidOperation.InvalidEniState", "The ENI " + eni_id + " is " +
                                                             std::string(to_string(status)) +
                                                             "; it must be Available or InUse.");
  }
  return &found->second;
}

Result<> World::check_room(const EniRecord& record, net::Family family, std::size_t more) const {
  const bool v4 = family == net::Family::V4;
  const std::size_t wanted = (v4 ? record.eni.ipv4 : record.eni.ipv6).size() + more;
  const Server* server = find_instance(record.eni.instance_id);
  if (server == nullptr) {
    if (wanted <= (v4 ? kIpv4OfAvailable : kIpv6OfAvailable)) return Ok{};
    return api_error(v4 ? "MaxEniPrivateIpsCountExceeded" : "MaxEniIpv6IpsCountExceeded");
  }
  const std::size_t limit = v4 ? server->type->ipv4_per_eni : server->type->ipv6_per_eni;
  if (wanted <= limit) return Ok{};
  return api_error(v4 ? "InvalidOperation.Ipv4CountExceeded" : "InvalidOperation.Ipv6CountExceeded",
                   "The instance type " + server->type->id + " takes " + std::to_string(limit) +
                       (v4 ? " IPv4" : " IPv6") + " addresses an ENI; " + std::to_string(wanted) +
                       " would be too many.");
}

Result<std::vector<net::IpAddress>> World::assign_addresses(const std::string& eni_id,
                                                            net::Family family,
                                                            std::uint32_t count) {
  EniRecord* record = TRY(eni_for_addresses(eni_id));
  Switch& vswitch = vswitches_.find(record->eni.vswitch_id)->second;
  if (family == net::Family::V6 && !vswitch.v6) return api_error("InvalidVSwitch.Ipv6NotTurnOn");
  TRY(check_room(*record, family, count));
  AddressSpace& space = family == net::Family::V4 ? vswitch.v4 : *vswitch.v6;
  std::vector<net::IpAddress> taken = TRY(take(space, count));
  std::vector<net::IpAddress>& list = list_of(record->eni, family);
  list.insert(list.end(), taken.begin(), taken.end());
  if (record->plugged) effects_.emplace_back(AddressesEffect{eni_id, all_of(record->eni)});
  changed(*record);
  return taken;
}

Result<std::vector<net::IpAddress>> World::assign_addresses(
    const std::string& eni_id, net::Family family, const std::vector<net::IpAddress>& wanted) {
  EniRecord* record = TRY(eni_for_addresses(eni_id));
  Switch& vswitch = vswitches_.find(record->eni.vswitch_id)->second;
  if (family == net::Family::V6 && !vswitch.v6) return api_error("InvalidVSwitch.Ipv6NotTurnOn");
  TRY(check_room(*record, family, wanted.size()));
  TRY(take_these(family == net::Family::V4 ? vswitch.v4 : *vswitch.v6, wanted));
  std::vector<net::IpAddress>& list = list_of(record->eni, family);
  list.insert(list.end(), wanted.begin(), wanted.end());
  if (record->plugged) effects_.emplace_back(AddressesEffect{eni_id, all_of(record->eni)});
  changed(*record);
  return wanted;
}

Result<> World::unassign_addresses(const std::string& eni_id, net::Family family,
                                   const std::vector<net::IpAddress>& addresses) {
  EniRecord* record = TRY(eni_for_addresses(eni_id));
  std::vector<net::IpAddress>& list = list_of(record->eni, family);
  std::set<net::IpAddress> gone;
  for (const net::IpAddress& address : addresses) {
    if (family == net::Family::V4 && address == record->eni.primary_address) {
      return api_error("InvalidParameter", "The primary private IP address " + address.to_string() +
                                               " of an ENI cannot be unassigned.");
    }
    if (std::ranges::find(list, address) == list.end()) {
      return api_error("InvalidIp.IpUnassigned", "The specified IP " + address.to_string() +
                                                     " is not assigned to " + eni_id + ".");
    }
    if (!gone.insert(address).second) return api_error("InvalidIp.IpRepeated");
  }
  Switch& vswitch = vswitches_.find(record->eni.vswitch_id)->second;
  for (const net::IpAddress& address : gone) {
    (family == net::Family::V4 ? vswitch.v4 : *vswitch.v6).give_back(address);
  }
  std::erase_if(list, [&](const net::IpAddress& address) { return gone.contains(address); });
  if (record->plugged) effects_.emplace_back(AddressesEffect{eni_id, all_of(record->eni)});
  changed(*record);
  return Ok{};
}

}  // namespace terway::vpcsim
