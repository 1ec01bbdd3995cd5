// SPDX-License-Identifier: Apache-2.0
// Whatever a request holds, it is answered and the world stays whole. The first byte chooses: the
// whole way in with the rest as an unsigned query or form, one action with the rest as its
// parameters, or the metadata service with the rest as path.
#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "vpcsim/metadata.h"
#include "vpcsim/openapi.h"

using namespace terway;
using namespace terway::vpcsim;

namespace {

constexpr std::array<std::string_view, 15> kActions = {
    "CreateNetworkInterface",     "AttachNetworkInterface",    "DetachNetworkInterface",
    "DeleteNetworkInterface",     "DescribeNetworkInterfaces", "DescribeNetworkInterfaceAttribute",
    "AssignPrivateIpAddresses",   "AssignIpv6Addresses",       "UnassignIpv6Addresses",
    "UnassignPrivateIpAddresses", "DescribeInstanceTypes",     "DescribeInstances",
    "DescribeVSwitches",          "DescribeSecurityGroups",    "ModifyNetworkInterfaceAttribute"};

void check_addresses(const World& world) {
  std::set<net::IpAddress> seen;
  std::size_t v4 = 0;
  for (const EniRecord* record : world.enis()) {
    for (const net::IpAddress& address : record->eni.ipv4) VERIFY(seen.insert(address).second);
    for (const net::IpAddress& address : record->eni.ipv6) VERIFY(seen.insert(address).second);
    v4 += record->eni.ipv4.size();
  }
  VERIFY(world.find_vswitch("vsw-1")->v4.available() == 252 - v4);
}

Region make_region() {
  Random seed(1);
  Region region("r", seed);
  region.advance(Instant() + std::chrono::hours(1), WallTime());
  VERIFY(region.world.add_vpc({"vpc-1", *net::Prefix::parse("10.0.0.0/8"), {}}).ok());
  VERIFY(region.world
             .add_vswitch({"vsw-1", "", "vpc-1", "a", *net::Prefix::parse("10.0.0.0/24"),
                           net::Prefix::parse("fd00::/64")})
             .ok());
  VERIFY(region.world.add_security_group({"sg-1", "", "vpc-1", {}}).ok());
  NewInstance wanted;
  wanted.id = "i-1";
  wanted.type = "ecs.g7.large";
  wanted.vswitch_id = "vsw-1";
  VERIFY(region.world.add_instance(wanted).ok());
  NewEni eni;
  eni.vswitch_id = "vsw-1";
  eni.security_group_ids = {"sg-1"};
  VERIFY(region.world.create_eni(eni).ok());
  return region;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint8_t choice = data[0];
  const std::string rest(reinterpret_cast<const char*>(data + 1), size - 1);
  Region region = make_region();
  OpenApi api(region);
  http::Request request;
  if (choice < kActions.size()) {
    ApiCall call;
    call.action = kActions[choice];
    call.parameters = http::parse_parameters(rest);
    call.parameters.insert_or_assign("RegionId", "r");
    // Names are made up anew each time: the fuzzer says "eni" and means the one that there is.
    if (call.parameters.contains("eni")) {
      call.parameters.insert_or_assign("NetworkInterfaceId", region.world.enis().back()->eni.id);
    }
    const Performed performed = api.perform(std::move(call));
    VERIFY(performed.response.body.starts_with('{'));
  } else if (choice < 200) {
    request.method = choice % 2 == 0 ? "GET" : "POST";
    request.query = rest;
    if (choice % 3 == 0) {
      request.headers["Content-Type"] = "application/x-www-form-urlencoded";
      request.body = rest;
    }
    if (choice % 5 == 0) request.headers["Authorization"] = "ACS3-HMAC-SHA256 " + rest;
    VERIFY(api.admit(request).refusal.has_value());
  } else {
    Metadata metadata(region);
    request.path = "/latest/meta-data/" + rest;
    const http::Response response = metadata.answer("i-1", request);
    VERIFY(response.status == 200 || response.status == 404);
  }
  check_addresses(region.world);
  return 0;
}
