// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/world.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "vpcsim/api_error.h"
#include "vpcsim/instance_types.h"

using namespace terway;
using namespace terway::vpcsim;
using namespace std::chrono_literals;
using model::EniStatus;
using net::Family;

namespace {

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }
net::Prefix cidr(std::string_view text) { return *net::Prefix::parse(text); }

template <class T>
std::string code_of(const Result<T>& result) {
  return result.ok() ? "ok" : result.error().code();
}

// One VPC, a vSwitch of 12 addresses and one of 4092 in zone a, one in zone b, an instance.
struct Fixture {
  Fixture() : world("cn-test", Random(7)) {
    tick({});
    REQUIRE(world.add_vpc({"vpc-1", cidr("10.0.0.0/8"), std::nullopt}).ok());
    REQUIRE(world.add_vpc({"vpc-2", cidr("172.16.0.0/12"), std::nullopt}).ok());
    add_vswitch("small", "vpc-1", "a", "10.1.0.0/28", "fd00:1::/64");
    add_vswitch("large", "vpc-1", "a", "10.2.0.0/20", "");
    add_vswitch("other-zone", "vpc-1", "b", "10.3.0.0/24", "");
    add_vswitch("other-vpc", "vpc-2", "a", "172.16.0.0/24", "");
    REQUIRE(world.add_security_group({"sg-1", "one", "vpc-1", {}}).ok());
    REQUIRE(world.add_security_group({"sg-2", "two", "vpc-2", {}}).ok());
    instance = add_instance("ecs.g7.large");  // 3 ENIs of 6 addresses
  }

  void add_vswitch(const std::string& id, const std::string& vpc, const std::string& zone,
                   const std::string& v4, const std::string& v6) {
    NewVSwitch wanted{id, id, vpc, zone, cidr(v4), std::nullopt};
    if (!v6.empty()) wanted.ipv6_cidr = cidr(v6);
    REQUIRE(world.add_vswitch(wanted).ok());
  }
  std::string add_instance(const std::string& type, const std::string& vswitch = "large") {
    NewInstance wanted;
    wanted.type = type;
    wanted.vswitch_id = vswitch;
    wanted.netns_path = "/run/netns/" + type;
    return world.add_instance(wanted).value();
  }
  Result<std::string> create(const std::string& vswitch, std::uint32_t more = 0) {
    NewEni wanted;
    wanted.vswitch_id = vswitch;
    wanted.security_group_ids = {vswitch == "other-vpc" ? "sg-2" : "sg-1"};
    wanted.address_count = more;
    return world.create_eni(wanted);
  }
  Result<> attach(const std::string& eni) {
    return world.attach_eni(eni, instance, {.attach = 2s, .nic = 200ms});
  }
  std::string create_attached(const std::string& vswitch) {
    const std::string eni = create(vswitch).value();
    REQUIRE(attach(eni).ok());
    tick(3s);
    return eni;
  }
  void tick(Duration by) {
    now += by;
    world.advance(now, WallTime(now.time_since_epoch()));
  }
  EniStatus status(const std::string& eni) { return world.find_eni(eni)->eni.status; }
  std::uint64_t free_in(const std::string& vswitch) {
    return World::vswitch_info(*world.find_vswitch(vswitch)).available_addresses;
  }

  World world;
  Instant now{};
  std::string instance;
};

}  // namespace

TEST_CASE("a vSwitch keeps its first address and its last three to itself") {
  AddressSpace space(cidr("10.0.0.0/28"));
  CHECK(space.available() == 12);
  CHECK_FALSE(space.usable(ip("10.0.0.0")));
  CHECK(space.usable(ip("10.0.0.1")));
  CHECK(space.usable(ip("10.0.0.12")));
  for (const char* reserved : {"10.0.0.13", "10.0.0.14", "10.0.0.15", "10.0.0.16"}) {
    CHECK_FALSE(space.usable(ip(reserved)));
  }
  CHECK(model::gateway_of(space.cidr()) == ip("10.0.0.13"));
  for (int i = 1; i <= 12; ++i) CHECK(space.take_next() == ip("10.0.0." + std::to_string(i)));
  CHECK_FALSE(space.take_next());
  space.give_back(ip("10.0.0.5"));
  CHECK(space.take_next() == ip("10.0.0.5"));
}

TEST_CASE("an address space agrees with a bitmap on random input") {
  Random random(3);
  AddressSpace space(cidr("10.0.0.0/26"));
  std::set<std::uint32_t> taken;
  for (int step = 0; step < 20000; ++step) {
    const auto offset = static_cast<std::uint32_t>(random.below(64));
    const net::IpAddress address = space.cidr().first().plus(offset);
    const bool usable = offset >= 1 && offset <= 60;
    switch (random.below(3)) {
      case 0:
        CHECK(space.take(address) == (usable && taken.insert(offset).second));
        break;
      case 1:
        space.give_back(address);
        taken.erase(offset);
        break;
      default: {
        std::uint32_t lowest = 1;
        while (taken.contains(lowest)) ++lowest;
        const auto next = space.take_next();
        CHECK(next.has_value() == (lowest <= 60));
        if (next) {
          CHECK(*next == space.cidr().first().plus(lowest));
          taken.insert(lowest);
        }
      }
    }
    REQUIRE(space.available() == 60 - taken.size());
  }
}

TEST_CASE("instance types have the documented limits") {
  const model::InstanceType* large = find_instance_type("ecs.g7.large");
  REQUIRE(large != nullptr);
  CHECK(large->eni_quantity == 3);
  CHECK(large->ipv4_per_eni == 6);
  CHECK(std::ranges::any_of(instance_types(), [](const model::InstanceType& type) {
    return (type.eni_quantity - 1) * type.ipv4_per_eni >= 250;
  }));
  for (const model::InstanceType& type : instance_types()) {
    CHECK(type.eni_total_quantity >= type.eni_quantity);
    CHECK(find_instance_type(type.id) == &type);
  }
  CHECK(family_of("ecs.g7.large") == "ecs.g7");
}

TEST_CASE("an instance comes with a primary ENI that is plugged at once and never detached") {
  Fixture f;
  const Server& server = *f.world.find_instance(f.instance);
  const std::string eni = server.info.primary_eni_id;
  CHECK(f.status(eni) == EniStatus::InUse);
  CHECK(f.world.find_eni(eni)->eni.type == model::EniType::Primary);
  const auto effects = f.world.take_effects();
  REQUIRE(effects.size() == 1);
  const Nic& nic = std::get<PlugEffect>(effects[0]).nic;
  CHECK(nic.ifname == "eth0");
  CHECK(nic.gateway == ip("10.2.15.253"));
  CHECK(nic.addresses == std::vector{ip("10.2.0.1")});
  CHECK(nic.mac.to_string().starts_with("00:16:3e:"));
  CHECK(code_of(f.world.detach_eni(eni, f.instance)) ==
        "InvalidOperation.DetachPrimaryEniNotAllowed");
  CHECK(code_of(f.world.delete_eni(eni)) == "InvalidOperation.InvalidEniType");
  CHECK(code_of(f.attach(eni)) == "InvalidOperation.InvalidEniType");
}

TEST_CASE("an ENI goes from Available over Attaching and InUse to Detaching and back") {
  Fixture f;
  f.world.take_effects();
  const std::string eni = f.create("small").value();
  CHECK(eni.starts_with("eni-"));
  CHECK(f.status(eni) == EniStatus::Available);
  CHECK(code_of(f.world.detach_eni(eni, f.instance)) == "InvalidOperation.InvalidEniState");
  REQUIRE(f.attach(eni).ok());
  CHECK(f.status(eni) == EniStatus::Attaching);
  CHECK(code_of(f.attach(eni)) == "InvalidOperation.InvalidEniState");
  CHECK(code_of(f.world.detach_eni(eni, f.instance)) == "InvalidOperation.InvalidEniState");
  CHECK(code_of(f.world.delete_eni(eni)) == "InvalidOperation.InvalidEniState");
  CHECK(code_of(f.world.assign_addresses(eni, Family::V4, 1)) ==
        "InvalidOperation.InvalidEniState");
  f.tick(1999ms);
  CHECK(f.status(eni) == EniStatus::Attaching);
  CHECK(f.world.next_due() == f.now + 1ms);
  f.tick(1ms);
  CHECK(f.status(eni) == EniStatus::InUse);
  CHECK(f.world.take_effects().empty());  // the NIC is late
  f.tick(200ms);
  const auto effects = f.world.take_effects();
  REQUIRE(effects.size() == 1);
  CHECK(std::get<PlugEffect>(effects[0]).nic.ifname == "eth1");
  CHECK(code_of(f.world.delete_eni(eni)) == "InvalidOperation.InvalidEniState");

  REQUIRE(f.world.detach_eni(eni, f.instance).ok());
  CHECK(f.status(eni) == EniStatus::Detaching);
  CHECK(std::holds_alternative<UnplugEffect>(f.world.take_effects().at(0)));
  f.tick(1s);
  CHECK(f.status(eni) == EniStatus::Available);
  CHECK(f.world.find_eni(eni)->eni.instance_id.empty());
  REQUIRE(f.world.delete_eni(eni).ok());
  CHECK(code_of(f.world.delete_eni(eni)) == "InvalidEniId.NotFound");
}

TEST_CASE("an ENI that is detached before its NIC came is never plugged") {
  Fixture f;
  const std::string eni = f.create("small").value();
  REQUIRE(f.attach(eni).ok());
  f.tick(2s);
  f.world.take_effects();
  REQUIRE(f.world.detach_eni(eni, f.instance).ok());
  f.tick(10s);
  CHECK(f.world.take_effects().empty());
  CHECK(f.status(eni) == EniStatus::Available);
}

TEST_CASE("what is due is done in order, each from the moment when it was due") {
  Fixture f;
  f.world.take_effects();
  const std::string eni = f.create("small").value();
  REQUIRE(f.attach(eni).ok());
  f.tick(1h);  // over both steps in one
  CHECK(f.world.take_effects().size() == 1);
  CHECK_FALSE(f.world.next_due());
}

TEST_CASE("an instance takes as many ENIs as its type says, those on their way included") {
  Fixture f;
  const std::string first = f.create("small").value();
  const std::string second = f.create("small").value();
  const std::string third = f.create("small").value();
  REQUIRE(f.attach(first).ok());
  REQUIRE(f.attach(second).ok());
  const auto refused = f.attach(third);
  CHECK(code_of(refused) == "EniPerInstanceLimitExceeded");
  CHECK(http_status_of(refused.error()) == 403);
  CHECK(refused.is(Error::Kind::Exhausted));
  f.tick(3s);
  REQUIRE(f.world.detach_eni(first, f.instance).ok());
  CHECK(code_of(f.attach(third)) == "EniPerInstanceLimitExceeded");  // still Detaching
  f.tick(1s);
  CHECK(f.attach(third).ok());
  CHECK(f.world.find_eni(third)->device_index == 1);
}

TEST_CASE("ENI and instance must be in one zone and one VPC, and exist") {
  Fixture f;
  CHECK(code_of(f.attach(f.create("other-zone").value())) ==
        "InvalidOperation.AvailabilityZoneMismatch");
  CHECK(code_of(f.attach(f.create("other-vpc").value())) == "InvalidOperation.VpcMismatch");
  const std::string eni = f.create("small").value();
  CHECK(code_of(f.world.attach_eni(eni, "i-nope", {})) == "InvalidEcsId.NotFound");
  CHECK(code_of(f.attach("eni-nope")) == "InvalidEniId.NotFound");
  CHECK(code_of(f.world.detach_eni("eni-nope", f.instance)) == "InvalidEniId.NotFound");
  CHECK(code_of(f.create("nope")) == "InvalidVSwitchId.NotFound");
  NewEni wanted;
  wanted.vswitch_id = "small";
  wanted.security_group_ids = {"sg-nope"};
  CHECK(code_of(f.world.create_eni(wanted)) == "InvalidSecurityGroupId.NotFound");
  wanted.security_group_ids = {"sg-2"};
  CHECK(code_of(f.world.create_eni(wanted)) == "InvalidOperation.VpcMismatch");
  wanted.security_group_ids = {};
  CHECK(code_of(f.world.create_eni(wanted)) == "MissingParameter");
}

TEST_CASE("an ENI in use takes as many addresses as its instance's type says") {
  Fixture f;
  const std::string eni = f.create_attached("large");
  f.world.take_effects();
  const auto five = f.world.assign_addresses(eni, Family::V4, 5);
  REQUIRE(five.ok());
  CHECK(five->size() == 5);
  const auto effects = f.world.take_effects();
  REQUIRE(effects.size() == 1);
  CHECK(std::get<AddressesEffect>(effects[0]).addresses.size() == 6);
  const auto refused = f.world.assign_addresses(eni, Family::V4, 1);
  CHECK(code_of(refused) == "InvalidOperation.Ipv4CountExceeded");
  CHECK(http_status_of(refused.error()) == 403);
  CHECK(f.world.find_eni(eni)->eni.ipv4.size() == 6);
}

TEST_CASE("an Available ENI takes 50 addresses, and cannot be attached where fewer fit") {
  Fixture f;
  const std::string eni = f.create("large", 5).value();
  REQUIRE(f.world.assign_addresses(eni, Family::V4, 44).ok());
  CHECK(code_of(f.world.assign_addresses(eni, Family::V4, 1)) == "MaxEniPrivateIpsCountExceeded");
  CHECK(code_of(f.attach(eni)) == "InvalidOperation.Ipv4CountExceeded");
}

TEST_CASE("a vSwitch that runs out refuses as a whole and gives nothing away") {
  Fixture f;
  CHECK(f.free_in("small") == 12);
  const std::string eni = f.create("small", 9).value();
  CHECK(f.free_in("small") == 2);
  const auto refused = f.world.assign_addresses(eni, Family::V4, 3);
  CHECK(code_of(refused) == "InvalidVSwitchId.IpNotEnough");
  CHECK(http_status_of(refused.error()) == 403);
  CHECK(code_of(f.create("small", 2)) == "InvalidVSwitchId.IpNotEnough");
  CHECK(f.free_in("small") == 2);
  CHECK(f.create("small", 1).ok());
  CHECK(code_of(f.create("small")) == "InvalidVSwitchId.IpNotEnough");
  REQUIRE(f.world.delete_eni(eni).ok());
  CHECK(f.free_in("small") == 10);
}

TEST_CASE("addresses can be asked for by name") {
  Fixture f;
  const std::string eni = f.create("small").value();  // 10.1.0.1
  const auto assign = [&](std::vector<net::IpAddress> wanted) {
    return code_of(f.world.assign_addresses(eni, Family::V4, wanted));
  };
  CHECK(assign({ip("10.1.0.7"), ip("10.1.0.3")}) == "ok");
  CHECK(f.world.find_eni(eni)->eni.ipv4 ==
        std::vector{ip("10.1.0.1"), ip("10.1.0.7"), ip("10.1.0.3")});
  CHECK(assign({ip("10.1.0.4"), ip("10.1.0.7")}) == "InvalidIp.IpAssigned");
  CHECK(assign({ip("10.1.0.4"), ip("10.1.0.4")}) == "InvalidIp.IpRepeated");
  CHECK(assign({ip("10.1.0.13")}) == "InvalidVSwitchId.IpInvalid");
  CHECK(assign({ip("10.2.0.1")}) == "InvalidVSwitchId.IpInvalid");
  CHECK(f.free_in("small") == 9);
  NewEni wanted;
  wanted.vswitch_id = "small";
  wanted.security_group_ids = {"sg-1"};
  wanted.primary_address = ip("10.1.0.9");
  wanted.address_count = 2;
  const auto named = f.world.create_eni(wanted);
  REQUIRE(named.ok());
  CHECK(f.world.find_eni(*named)->eni.ipv4 ==
        std::vector{ip("10.1.0.9"), ip("10.1.0.2"), ip("10.1.0.4")});
}

TEST_CASE("unassigning is all or nothing, and never the primary address") {
  Fixture f;
  const std::string eni = f.create("small", 3).value();
  const auto unassign = [&](std::vector<net::IpAddress> addresses) {
    return code_of(f.world.unassign_addresses(eni, Family::V4, addresses));
  };
  CHECK(unassign({ip("10.1.0.2"), ip("10.1.0.9")}) == "InvalidIp.IpUnassigned");
  CHECK(unassign({ip("10.1.0.1")}) == "InvalidParameter");
  CHECK(unassign({ip("10.1.0.2"), ip("10.1.0.2")}) == "InvalidIp.IpRepeated");
  CHECK(f.free_in("small") == 8);
  CHECK(unassign({ip("10.1.0.2"), ip("10.1.0.4")}) == "ok");
  CHECK(f.free_in("small") == 10);
  CHECK(f.world.find_eni(eni)->eni.ipv4 == std::vector{ip("10.1.0.1"), ip("10.1.0.3")});
  CHECK(unassign({ip("10.1.0.2")}) == "InvalidIp.IpUnassigned");
}

TEST_CASE("IPv6 addresses have a limit of their own and need a vSwitch that has them") {
  Fixture f;
  const std::string eni = f.create_attached("small");
  const auto six = f.world.assign_addresses(eni, Family::V6, 6);
  REQUIRE(six.ok());
  CHECK(six->front() == ip("fd00:1::1"));
  CHECK(code_of(f.world.assign_addresses(eni, Family::V6, 1)) ==
        "InvalidOperation.Ipv6CountExceeded");
  REQUIRE(f.world.unassign_addresses(eni, Family::V6, {six->front()}).ok());
  CHECK(f.world.assign_addresses(eni, Family::V6, {ip("fd00:1::abcd")}).ok());
  const std::string plain = f.create("large").value();
  CHECK(code_of(f.world.assign_addresses(plain, Family::V6, 1)) == "InvalidVSwitch.Ipv6NotTurnOn");
  const std::string available = f.create("small").value();
  CHECK(f.world.assign_addresses(available, Family::V6, 10).ok());
  CHECK(code_of(f.world.assign_addresses(available, Family::V6, 1)) ==
        "MaxEniIpv6IpsCountExceeded");
}

TEST_CASE("the region's quota of ENIs holds") {
  Fixture f;
  f.world.settings().eni_quota = 2;
  CHECK(f.create("large").ok());
  CHECK(code_of(f.create("large")) == "MaxEniCountExceeded");
}

TEST_CASE("an attachment that is held goes on when the hold is released") {
  Fixture f;
  f.world.take_effects();
  const std::string stuck = f.create("small").value();
  REQUIRE(f.world.attach_eni(stuck, f.instance, {.attach = 1s, .attach_held_by = 5}).ok());
  const std::string hidden = f.create("small").value();
  REQUIRE(f.world.attach_eni(hidden, f.instance, {.attach = 1s, .nic_held_by = 6}).ok());
  f.tick(1h);
  CHECK(f.status(stuck) == EniStatus::Attaching);
  CHECK(f.status(hidden) == EniStatus::InUse);
  CHECK(f.world.take_effects().empty());
  f.world.release_held(5);
  f.world.release_held(6);
  f.tick(1s);
  CHECK(f.status(stuck) == EniStatus::InUse);
  CHECK(f.world.take_effects().size() == 2);
}

TEST_CASE("an attachment that fails leaves the ENI Available") {
  Fixture f;
  f.world.take_effects();
  const std::string eni = f.create("small").value();
  REQUIRE(f.world.attach_eni(eni, f.instance, {.attach = 1s, .fails = true}).ok());
  f.tick(1s);
  CHECK(f.status(eni) == EniStatus::Available);
  CHECK(f.world.take_effects().empty());
  CHECK(f.attach(eni).ok());
}

TEST_CASE("an instance that goes takes its ENIs along, or leaves them") {
  Fixture f;
  const std::string gone = f.create_attached("small");
  const std::string kept = f.create_attached("small");
  EniChange keep;
  keep.delete_on_release = false;
  REQUIRE(f.world.modify_eni(kept, keep).ok());
  f.world.take_effects();
  REQUIRE(f.world.remove_instance(f.instance).ok());
  CHECK(f.world.take_effects().size() == 3);
  CHECK(f.world.find_eni(gone) == nullptr);
  CHECK(f.status(kept) == EniStatus::Available);
  CHECK(f.world.enis().size() == 1);
  CHECK(f.free_in("large") == 4092);
}

TEST_CASE("a node that boots again finds its NICs in its new namespace") {
  Fixture f;
  CHECK_FALSE(f.create_attached("small").empty());
  f.world.take_effects();
  REQUIRE(f.world.boot_instance(f.instance, "").ok());
  CHECK(f.world.take_effects().size() == 2);  // both unplugged
  REQUIRE(f.world.boot_instance(f.instance, "/run/netns/again").ok());
  const auto effects = f.world.take_effects();
  REQUIRE(effects.size() == 2);
  for (const Effect& effect : effects) {
    CHECK(std::get<PlugEffect>(effect).nic.netns_path == "/run/netns/again");
  }
}

TEST_CASE("random operations never give an address to two ENIs nor lose one") {
  Fixture f;
  Random random(11);
  std::vector<std::string> known;
  for (int step = 0; step < 5000; ++step) {
    const std::string eni = known.empty() ? "eni-none" : known[random.below(known.size())];
    switch (random.below(8)) {
      case 0: {
        const auto created = f.create("small", static_cast<std::uint32_t>(random.below(4)));
        if (created.ok()) known.push_back(*created);
        break;
      }
      case 1:
        std::ignore = f.attach(eni).ok();
        break;
      case 2:
        std::ignore = f.world.detach_eni(eni, f.instance).ok();
        break;
      case 3:
        if (f.world.delete_eni(eni).ok()) std::erase(known, eni);
        break;
      case 4:
        std::ignore =
            f.world
                .assign_addresses(eni, Family::V4, static_cast<std::uint32_t>(1 + random.below(3)))
                .ok();
        break;
      case 5:
        std::ignore =
            f.world
                .unassign_addresses(eni, Family::V4,
                                    {ip("10.1.0." + std::to_string(1 + random.below(12)))})
                .ok();
        break;
      default:
        f.tick(std::chrono::milliseconds(random.below(1500)));
    }
    std::set<net::IpAddress> seen;
    std::size_t in_small = 0;
    for (const EniRecord* record : f.world.enis()) {
      for (const net::IpAddress& address : record->eni.ipv4) {
        REQUIRE(seen.insert(address).second);
        in_small += record->eni.vswitch_id == "small";
      }
    }
    REQUIRE(f.free_in("small") == 12 - in_small);
    REQUIRE(f.world.enis_of(f.instance).size() <= 3);
  }
}
