// SPDX-License-Identifier: Apache-2.0
// The simulated region: VPCs, vSwitches, security groups, instances and ENIs, and what the ECS and
// VPC APIs may do to them. No I/O, no threads, no clock: time is told with advance().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "model/eni.h"
#include "vpcsim/address_space.h"
#include "vpcsim/plugger.h"
#include "vpcsim/settings.h"

namespace terway::vpcsim {

struct Vpc {
  std::string id;
  net::Prefix cidr;
  std::optional<net::Prefix> ipv6_cidr;
};

struct SecurityGroup {
  std::string id;
  std::string name;
  std::string vpc_id;
  std::string creation_time;
};

// A vSwitch and its space.
struct Switch {
  model::VSwitch info;  // available_addresses is filled in by World::vswitch_info
  std::string name;
  std::string creation_time;
  AddressSpace v4;
  std::optional<AddressSpace> v6;
};

// An instance: an ECS server, always Running.
struct Server {
  model::Instance info;
  const model::InstanceType* type = nullptr;
  std::string name;
  std::string netns_path;
  std::string role_name;
  std::string creation_time;
  std::string resource_group_id;
};

// An ENI with what the model has no field for.
struct EniRecord {
  model::Eni eni;
  std::uint64_t sequence = 0;  // order of creation
  std::string name;
  std::string resource_group_id;
  std::uint32_t device_index = 0;  // 0 is the primary one
  bool delete_on_release = true;
  bool source_dest_check = false;
  bool plugged = false;
  Duration nic_delay{};  // of the attachment under way
  // A new operation makes the timers of an older one void.
  std::uint64_t operation = 0;
  // Waiting until release_held() names this number; 0: not held.
  std::uint64_t attach_held_by = 0;
  std::uint64_t nic_held_by = 0;
};

// What must be done to the packet fabric, in this order.
struct PlugEffect {
  Nic nic;
};
struct UnplugEffect {
  std::string eni_id;
};
struct AddressesEffect {
  std::string eni_id;
  std::vector<net::IpAddress> addresses;
};
using Effect = std::variant<PlugEffect, UnplugEffect, AddressesEffect>;

struct NewVSwitch {
  std::string id;  // empty: one is made up; so in all of these
  std::string name;
  std::string vpc_id;  // empty: the first VPC
  std::string zone_id;
  net::Prefix cidr;
  std::optional<net::Prefix> ipv6_cidr;
};

struct NewInstance {
  std::string id;
  std::string name;
  std::string type;
  std::string vswitch_id;
  std::vector<std::string> security_group_ids;  // empty: the VPC's first one
  std::optional<net::IpAddress> address;
  std::uint32_t ipv6_count = 0;
  std::string netns_path;
  std::string role_name;
};

struct NewEni {
  std::string vswitch_id;
  std::vector<std::string> security_group_ids;
  model::EniType type = model::EniType::Secondary;
  std::optional<net::IpAddress> primary_address;
  std::vector<net::IpAddress> addresses;  // secondary ones, by name…
  std::uint32_t address_count = 0;        // …or by number
  std::vector<net::IpAddress> ipv6;
  std::uint32_t ipv6_count = 0;
  std::string name;
  std::string description;
  std::string resource_group_id;
  model::Tags tags;
  bool delete_on_release = true;
  bool source_dest_check = false;
};

// How one attachment goes. Held: until release_held() with that number.
struct AttachCourse {
  Duration attach{};
  Duration nic{};
  bool fails = false;  // back to Available when the time is up
  std::uint64_t attach_held_by = 0;
  std::uint64_t nic_held_by = 0;
};

struct EniChange {
  std::optional<std::string> name;
  std::optional<std::string> description;
  std::optional<std::vector<std::string>> security_group_ids;
  std::optional<bool> delete_on_release;
};

// For one thread. Every refusal is an api_error() with the documented code; then nothing has
// changed.
class World {
 public:
  World(std::string region_id, Random random);

  // Tells the time and lets everything happen that is due. Time never goes back.
  void advance(Instant now, WallTime wall);
  // When advance() has something to do next.
  std::optional<Instant> next_due() const;
  // What has happened since the last call that the fabric must follow.
  std::vector<Effect> take_effects();
  // Its NIC is gone without an unplug. False: it has none (any more).
  bool plug_again(const std::string& eni_id);
  // Instances whose ENIs or addresses changed since the last call.
  std::set<std::string> take_changed_instances();

  Settings& settings() { return settings_; }
  const Settings& settings() const { return settings_; }
  const std::string& region_id() const { return region_id_; }

  // --- set up (admin)
  Result<std::string> add_vpc(Vpc vpc);
  Result<std::string> add_vswitch(const NewVSwitch& wanted);
  Result<> remove_vswitch(const std::string& id);
  Result<std::string> add_security_group(SecurityGroup group);
  Result<std::string> add_instance(const NewInstance& wanted);
  // The node was switched on again, in a network namespace of its own (or the same): its ENIs
  // appear there. Empty: it is switched off, they are gone from where they were.
  Result<> boot_instance(const std::string& id, const std::string& netns_path);
  // ENIs with delete_on_release go with it, the others become Available.
  Result<> remove_instance(const std::string& id);

  // --- ENIs (API)
  Result<std::string> create_eni(const NewEni& wanted);
  Result<> attach_eni(const std::string& eni_id, const std::string& instance_id,
                      const AttachCourse& course);
  Result<> detach_eni(const std::string& eni_id, const std::string& instance_id);
  Result<> delete_eni(const std::string& eni_id);
  Result<> modify_eni(const std::string& eni_id, const EniChange& change);

  // --- addresses (API). Answers what was assigned.
  Result<std::vector<net::IpAddress>> assign_addresses(const std::string& eni_id,
                                                       net::Family family, std::uint32_t count);
  Result<std::vector<net::IpAddress>> assign_addresses(const std::string& eni_id,
                                                       net::Family family,
                                                       const std::vector<net::IpAddress>& wanted);
  Result<> unassign_addresses(const std::string& eni_id, net::Family family,
                              const std::vector<net::IpAddress>& addresses);

  // What a fault held goes on from now.
  void release_held(std::uint64_t held_by);

  // --- what there is
  const std::map<std::string, Vpc>& vpcs() const { return vpcs_; }
  const std::map<std::string, Switch>& vswitches() const { return vswitches_; }
  const std::map<std::string, SecurityGroup>& security_groups() const { return groups_; }
  const std::map<std::string, Server>& instances() const { return instances_; }
  // In order of creation.
  std::vector<const EniRecord*> enis() const;
  const EniRecord* find_eni(std::string_view id) const;
  const Server* find_instance(std::string_view id) const;
  const Switch* find_vswitch(std::string_view id) const;
  // Whose attached ENI has this address; null: nobody's.
  const Server* find_instance_at(const net::IpAddress& address) const;
  // With the number of free addresses.
  static model::VSwitch vswitch_info(const Switch& vswitch);
  // Of this instance, attached or on their way, by device index.
  std::vector<const EniRecord*> enis_of(std::string_view instance_id) const;

 private:
  enum class Step : std::uint8_t { AttachDone, AttachFails, NicAppears, DetachDone };
  struct Event {
    Step step;
    std::string eni_id;
    std::uint64_t operation;
  };

  std::string new_id(std::string_view prefix);
  net::Mac new_mac();
  std::string now_text() const;
  void schedule(Duration delay, Step step, const EniRecord& record);
  void run(const Event& event);

  Result<> check_groups(const std::vector<std::string>& ids, const std::string& vpc_id) const;
  Result<> check_new_eni(const NewEni& wanted, const Switch& vswitch) const;
  EniRecord& insert_eni(const NewEni& wanted, Switch& vswitch,
                        const std::vector<net::IpAddress>& ipv4,
                        const std::vector<net::IpAddress>& ipv6);
  void finish_attach(EniRecord& record);
  void plug(EniRecord& record);
  void unplug(EniRecord& record);
  void erase_eni(const std::string& id);
  std::uint32_t free_device_index(std::string_view instance_id) const;
  void changed(const EniRecord& record);

  Result<EniRecord*> eni_for_addresses(const std::string& eni_id);
  Result<> check_room(const EniRecord& record, net::Family family, std::size_t more) const;
  // All or nothing.
  static Result<std::vector<net::IpAddress>> take(AddressSpace& space, std::uint32_t count);
  static Result<> take_these(AddressSpace& space, const std::vector<net::IpAddress>& wanted);
  void give_back_all(const EniRecord& record);

  std::string region_id_;
  Random random_;
  Settings settings_;
  Instant now_{};
  WallTime wall_{};
  std::uint64_t last_sequence_ = 0;

  std::map<std::string, Vpc> vpcs_;
  std::map<std::string, Switch> vswitches_;
  std::map<std::string, SecurityGroup> groups_;
  std::map<std::string, Server> instances_;
  std::map<std::string, EniRecord, std::less<>> enis_;
  std::set<net::Mac> macs_;

  std::multimap<Instant, Event> events_;
  std::vector<Effect> effects_;
  std::set<std::string> changed_instances_;
};

}  // namespace terway::vpcsim
