// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/metadata.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace terway;
using namespace terway::vpcsim;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  Fixture() : seed(5), region("cn-test", seed), metadata(region) {
    region.world.settings().metadata_lag = 500ms;
    tick(1h);
    REQUIRE(
        region.world
            .add_vpc({"vpc-1", *net::Prefix::parse("10.0.0.0/8"), net::Prefix::parse("fd00::/56")})
            .ok());
    REQUIRE(region.world
                .add_vswitch({"vsw-1", "one", "vpc-1", "cn-test-a",
                              *net::Prefix::parse("10.1.0.0/24"), net::Prefix::parse("fd00::/64")})
                .ok());
    REQUIRE(region.world.add_security_group({"sg-1", "one", "vpc-1", {}}).ok());
    NewInstance wanted;
    wanted.id = "i-1";
    wanted.type = "ecs.g7.xlarge";
    wanted.vswitch_id = "vsw-1";
    wanted.role_name = "NodeRole";
    REQUIRE(region.world.add_instance(wanted).ok());
    tick(1s);
  }
  void tick(Duration by) {
    now += by;
    region.advance(now, WallTime(now.time_since_epoch()));
  }
  http::Response send(http::Request request) {
    region.settle();
    return metadata.answer("i-1", request);
  }
  http::Response get(const std::string& path) {
    http::Request request;
    request.path = "/latest/meta-data/" + path;
    if (!token.empty()) request.headers["X-aliyun-ecs-metadata-token"] = token;
    return send(request);
  }
  std::string nic(const std::string& eni, const std::string& name) {
    return get("network/interfaces/macs/" + region.world.find_eni(eni)->eni.mac.to_string() + "/" +
               name)
        .body;
  }
  // An ENI of two addresses, InUse since a while.
  std::string attached() {
    NewEni wanted;
    wanted.vswitch_id = "vsw-1";
    wanted.security_group_ids = {"sg-1"};
    wanted.address_count = 1;
    const std::string eni = region.world.create_eni(wanted).value();
    REQUIRE(region.world.attach_eni(eni, "i-1", {}).ok());
    tick(0s);
    tick(10s);
    return eni;
  }
  std::size_t macs() {
    const std::string list = get("network/interfaces/macs/").body;
    return static_cast<std::size_t>(std::count(list.begin(), list.end(), '/'));
  }
  std::uint64_t add_fault(FaultKind kind, const char* address = nullptr) {
    Fault fault;
    fault.kind = kind;
    fault.delay = 1h;
    if (address != nullptr) fault.address = net::IpAddress::parse(address);
    return region.faults.add(fault).value();
  }

  Random seed;
  Region region;
  Metadata metadata;
  Instant now{};
  std::string token;
};

}  // namespace

TEST_CASE("an instance learns who and where it is") {
  Fixture f;
  CHECK(f.get("instance-id").body == "i-1");
  CHECK(f.get("instance/instance-type").body == "ecs.g7.xlarge");
  CHECK(f.get("region-id").body == "cn-test");
  CHECK(f.get("zone-id").body == "cn-test-a");
  CHECK(f.get("vpc-id").body == "vpc-1");
  CHECK(f.get("vpc-cidr-block").body == "10.0.0.0/8");
  CHECK(f.get("vswitch-id").body == "vsw-1");
  CHECK(f.get("private-ipv4").body == "10.1.0.1");
  CHECK(f.get("").body.find("instance-id\n") != std::string::npos);
  CHECK(f.get("nothing").status == 404);
  const std::string mac = f.get("mac").body;
  CHECK(f.get("network/interfaces/macs/").body == mac + "/");
  CHECK(f.get("network/interfaces/macs/00:16:3e:00:00:00/gateway").status == 404);
}

TEST_CASE("an instance learns about each of its interfaces") {
  Fixture f;
  const std::string eni = f.attached();
  REQUIRE(f.region.world.assign_addresses(eni, net::Family::V6, 2).ok());
  f.region.settle();
  f.tick(1s);
  CHECK(f.nic(eni, "network-interface-id") == eni);
  CHECK(f.nic(eni, "primary-ip-address") == "10.1.0.2");
  CHECK(f.nic(eni, "private-ipv4s") == R"(["10.1.0.2","10.1.0.3"])");
  CHECK(f.nic(eni, "ipv6s") == "[fd00::1,fd00::2]");
  CHECK(f.nic(eni, "gateway") == "10.1.0.253");
  CHECK(f.nic(eni, "ipv6-gateway") == "fd00::ffff:ffff:ffff:fffd");
  CHECK(f.nic(eni, "netmask") == "255.255.255.0");
  CHECK(f.nic(eni, "vswitch-cidr-block") == "10.1.0.0/24");
  CHECK(f.nic(eni, "vswitch-ipv6-cidr-block") == "fd00::/64");
  CHECK(f.nic(eni, "").find("private-ipv4s") != std::string::npos);
}

TEST_CASE("metadata tells of the world as it was a while ago") {
  Fixture f;
  const std::string eni = f.attached();
  REQUIRE(f.region.world.assign_addresses(eni, net::Family::V4, 1).ok());
  f.region.settle();
  CHECK(f.nic(eni, "private-ipv4s") == R"(["10.1.0.2","10.1.0.3"])");
  f.tick(499ms);
  CHECK(f.nic(eni, "private-ipv4s") == R"(["10.1.0.2","10.1.0.3"])");
  f.tick(1ms);
  CHECK(f.nic(eni, "private-ipv4s") == R"(["10.1.0.2","10.1.0.3","10.1.0.4"])");
  CHECK(f.macs() == 2);
  REQUIRE(f.region.world.detach_eni(eni, "i-1").ok());
  f.region.settle();
  CHECK(f.macs() == 2);
  f.tick(500ms);
  CHECK(f.macs() == 1);
}

TEST_CASE("with tokens required nothing is told without a good one") {
  Fixture f;
  f.region.world.settings().metadata_token_required = true;
  CHECK(f.get("instance-id").status == 401);
  http::Request put;
  put.method = "PUT";
  put.path = "/latest/api/token";
  CHECK(f.send(put).status == 400);
  put.headers["X-aliyun-ecs-metadata-token-ttl-seconds"] = "21601";
  CHECK(f.send(put).status == 400);
  put.headers["X-aliyun-ecs-metadata-token-ttl-seconds"] = "60";
  const http::Response given = f.send(put);
  REQUIRE(given.status == 200);
  f.token = given.body;
  CHECK(f.get("instance-id").body == "i-1");
  f.tick(59s);
  CHECK(f.get("instance-id").status == 200);
  f.tick(1s);
  CHECK(f.get("instance-id").status == 401);
  f.token = "made up";
  f.region.world.settings().metadata_token_required = false;
  CHECK(f.get("instance-id").status == 401);
  put.headers["X-Forwarded-For"] = "10.9.9.9";
  CHECK(f.send(put).status == 403);
}

TEST_CASE("the role's credentials are there, and are exchanged at half of their life") {
  Fixture f;
  CHECK(f.get("ram/security-credentials/").body == "NodeRole");
  CHECK(f.get("ram/security-credentials/Other").status == 404);
  const std::string first = f.get("ram/security-credentials/NodeRole").body;
  for (const char* member : {"AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration",
                             "\"Code\" : \"Success\""}) {
    CHECK(first.find(member) != std::string::npos);
  }
  f.tick(2h);
  CHECK(f.get("ram/security-credentials/NodeRole").body == first);
  f.tick(1h);
  CHECK(f.get("ram/security-credentials/NodeRole").body != first);
}

TEST_CASE("metadata can be made to lie") {
  Fixture f;
  const std::string eni = f.attached();
  std::uint64_t id = f.add_fault(FaultKind::MetadataMissingAddress);
  CHECK(f.nic(eni, "private-ipv4s") == R"(["10.1.0.2"])");
  REQUIRE(f.region.clear_fault(id));
  id = f.add_fault(FaultKind::MetadataExtraAddress, "10.1.0.77");
  CHECK(f.nic(eni, "private-ipv4s") == R"(["10.1.0.2","10.1.0.3","10.1.0.77"])");
  CHECK(f.nic(f.region.world.find_instance("i-1")->info.primary_eni_id, "private-ipv4s") ==
        R"(["10.1.0.1"])");
  REQUIRE(f.region.clear_fault(id));
  id = f.add_fault(FaultKind::MetadataMissingEni);
  CHECK(f.macs() == 1);
  REQUIRE(f.region.clear_fault(id));
  id = f.add_fault(FaultKind::MetadataExtraEni);
  CHECK(f.macs() == 3);
  REQUIRE(f.region.clear_fault(id));
  id = f.add_fault(FaultKind::MetadataStale);
  CHECK(f.macs() == 1);
  REQUIRE(f.region.clear_fault(id));
  id = f.add_fault(FaultKind::MetadataError);
  CHECK(f.get("instance-id").status == 500);
  REQUIRE(f.region.clear_fault(id));
  CHECK(f.macs() == 2);
}
