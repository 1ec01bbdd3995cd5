// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/openapi.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "cloud/signature.h"
#include "cloud/wall_time.h"

using namespace terway;
using namespace terway::vpcsim;
using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

const AccessKey kKey{"LTAI5tTest", "secret"};

struct Answer {
  int status = 0;
  Json body;
  std::string code() const { return body.value("Code", ""); }
};

struct Fixture {
  Fixture() : seed(5), region("cn-test", seed), api(region) {
    tick(1h);
    region.credentials.add(kKey);
    REQUIRE(region.world.add_vpc({"vpc-1", *net::Prefix::parse("10.0.0.0/8"), std::nullopt}).ok());
    REQUIRE(region.world
                .add_vswitch({"vsw-1", "one", "vpc-1", "cn-test-a",
                              *net::Prefix::parse("10.1.0.0/24"), net::Prefix::parse("fd00::/64")})
                .ok());
    REQUIRE(region.world.add_security_group({"sg-1", "one", "vpc-1", {}}).ok());
    NewInstance wanted;
    wanted.id = "i-1";
    wanted.type = "ecs.g7.xlarge";
    wanted.vswitch_id = "vsw-1";
    REQUIRE(region.world.add_instance(wanted).ok());
  }

  void tick(Duration by) {
    now += by;
    region.advance(now, wall());
  }
  WallTime wall() const { return WallTime(now.time_since_epoch()); }

  http::Parameters signed_parameters(const std::string& action, http::Parameters parameters) {
    const std::string_view version = version_of(action);
    parameters.emplace("Version", version.empty() ? "2014-05-26" : version);
    parameters.emplace("Action", action);
    parameters.emplace("Format", "JSON");
    parameters.emplace("AccessKeyId", key.id);
    parameters.emplace("SignatureMethod", "HMAC-SHA1");
    parameters.emplace("SignatureVersion", "1.0");
    parameters.emplace("SignatureNonce", std::to_string(++nonce));
    parameters.emplace("Timestamp", cloud::format_time(wall()));
    parameters["Signature"] = cloud::sign_rpc(parameters, "GET", key.secret);
    return parameters;
  }
  Answer send(const http::Parameters& parameters) {
    http::Request request;
    request.headers["Host"] = "ecs.test";
    request.query = cloud::canonical_query(parameters);
    return run(request);
  }
  Answer run(const http::Request& request) {
    Admission admission = api.admit(request);
    waited = admission.wait;
    if (admission.refusal) return parse(*admission.refusal);
    tick(admission.wait);
    Performed performed = api.perform(std::move(admission.call));
    return parse(performed.response);
  }
  Answer call(const std::string& action, http::Parameters parameters = {}) {
    parameters.emplace("RegionId", "cn-test");
    return send(signed_parameters(action, std::move(parameters)));
  }
  Answer parse(const http::Response& response) {
    last_request_id = http::header(response.headers, "x-acs-request-id");
    return {response.status, Json::parse(response.body, nullptr, false)};
  }
  std::string create(http::Parameters more = {}) {
    more.emplace("VSwitchId", "vsw-1");
    more.emplace("SecurityGroupId", "sg-1");
    const Answer answer = call("CreateNetworkInterface", std::move(more));
    REQUIRE(answer.status == 200);
    return answer.body["NetworkInterfaceId"];
  }
  std::uint64_t add_fault(FaultKind kind, const std::string& action = {}) {
    Fault fault;
    fault.kind = kind;
    fault.action = action;
    fault.delay = 1s;
    return region.faults.add(fault).value();
  }

  Random seed;
  Region region;
  OpenApi api;
  Instant now{};
  AccessKey key = kKey;
  Duration waited{};
  std::uint64_t nonce = 0;
  std::string last_request_id;
};

}  // namespace

TEST_CASE("an error has the documented shape, status and request id") {
  Fixture f;
  const Answer answer = f.call("DeleteNetworkInterface", {{"NetworkInterfaceId", "eni-nope"}});
  CHECK(answer.status == 404);
  CHECK(answer.code() == "InvalidEniId.NotFound");
  CHECK(answer.body["RequestId"] == f.last_request_id);
  CHECK(answer.body["HostId"] == "ecs.test");
  CHECK(answer.body["Message"].get<std::string>().size() > 10);
  CHECK(answer.body["Recommend"].get<std::string>().starts_with("https://"));
  CHECK(f.last_request_id.size() == 36);
}

TEST_CASE("what is no action, no version or no signature is told apart") {
  Fixture f;
  const Answer unknown = f.call("DescribeNothing");
  CHECK(unknown.status == 404);
  CHECK(unknown.code() == "InvalidAction.NotFound");
  CHECK(f.call("DescribeInstances", {{"Version", "2000-01-01"}}).code() == "NoSuchVersion");
  CHECK(f.send({}).code() == "MissingParameter");
  CHECK(f.call("DescribeInstances", {{"RegionId", "cn-else"}}).code() ==
        "InvalidRegionId.NotFound");
  CHECK(f.send(f.signed_parameters("DescribeInstances", {})).code() == "MissingParameter");

  http::Parameters parameters = f.signed_parameters("DescribeInstances", {{"RegionId", "cn-test"}});
  parameters["PageSize"] = "1";  // changed after it was signed
  CHECK(f.send(parameters).code() == "SignatureDoesNotMatch");
  parameters.erase("Signature");
  CHECK(f.send(parameters).code() == "IncompleteSignature");
  CHECK(f.call("DescribeInstances", {{"AccessKeyId", "LTAInope"}}).code() ==
        "InvalidAccessKeyId.NotFound");
  CHECK(f.call("DescribeInstances", {{"Timestamp", "yesterday"}}).code() ==
        "InvalidTimeStamp.Format");
  CHECK(f.call("DescribeInstances", {{"Timestamp", cloud::format_time(f.wall() - 16min)}}).code() ==
        "InvalidTimeStamp.Expired");
  http::Request put;
  put.method = "PUT";
  CHECK(f.run(put).status == 405);
}

TEST_CASE("a nonce counts once") {
  Fixture f;
  const auto parameters = f.signed_parameters("DescribeInstances", {{"RegionId", "cn-test"}});
  CHECK(f.send(parameters).status == 200);
  CHECK(f.send(parameters).code() == "SignatureNonceUsed");
  Nonces nonces;
  CHECK(nonces.use("a", f.wall()));
  CHECK_FALSE(nonces.use("a", f.wall() + 30min));
  CHECK(nonces.use("a", f.wall() + 31min));
}

TEST_CASE("a V3 signature counts as well, with action and version in headers") {
  Fixture f;
  http::Request request;
  request.method = "POST";
  request.query = "RegionId=cn-test";
  request.headers = {{"host", "ecs.test"},
                     {"x-acs-action", "DescribeInstances"},
                     {"x-acs-version", "2014-05-26"},
                     {"x-acs-date", cloud::format_time(f.wall())},
                     {"x-acs-signature-nonce", "n1"},
                     {"x-acs-content-sha256", cloud::sha256_hex("")}};
  const auto sign = [&](http::Request& unsigned_) {
    const std::string names = cloud::acs3_signed_headers(unsigned_.headers);
    unsigned_.headers["Authorization"] = cloud::format_acs3_authorization(
        {kKey.id, names, cloud::sign_acs3(unsigned_, names, kKey.secret)});
  };
  sign(request);
  const Answer answer = f.run(request);
  CHECK(answer.status == 200);
  CHECK(answer.body["TotalCount"] == 1);
  CHECK(f.run(request).code() == "SignatureNonceUsed");
  request.headers["x-acs-signature-nonce"] = "n2";
  CHECK(f.run(request).code() == "SignatureDoesNotMatch");
  // A body whose digest was not the one that was signed.
  request.headers.erase("Authorization");
  request.body = "x";
  sign(request);
  CHECK(f.run(request).code() == "SignatureDoesNotMatch");
}

TEST_CASE("a role's credentials need their token and die with it") {
  Fixture f;
  const StsCredential credential = f.region.credentials.issue("i-1", "role", 1h, f.wall());
  f.key = credential.key;
  CHECK(f.call("DescribeInstances").code() == "MissingSecurityToken");
  CHECK(f.call("DescribeInstances", {{"SecurityToken", "x"}}).code() ==
        "InvalidSecurityToken.MismatchWithAccessKey");
  CHECK(f.call("DescribeInstances", {{"SecurityToken", credential.security_token}}).status == 200);
  CHECK(f.region.calls.latest().back().instance == "i-1");
  CHECK(f.region.credentials.issue("i-1", "role", 1h, f.wall() + 29min).key.id ==
        credential.key.id);
  CHECK(f.region.credentials.issue("i-1", "role", 1h, f.wall() + 30min).key.id !=
        credential.key.id);
  f.tick(59min);
  CHECK(f.call("DescribeInstances", {{"SecurityToken", credential.security_token}}).status == 200);
  f.tick(1min);
  CHECK(f.call("DescribeInstances", {{"SecurityToken", credential.security_token}}).code() ==
        "InvalidSecurityToken.Expired");
}

TEST_CASE("an ENI is created with everything that was asked for") {
  Fixture f;
  const Answer answer = f.call("CreateNetworkInterface", {{"VSwitchId", "vsw-1"},
                                                          {"SecurityGroupIds.1", "sg-1"},
                                                          {"SecondaryPrivateIpAddressCount", "2"},
                                                          {"Ipv6AddressCount", "1"},
                                                          {"NetworkInterfaceName", "name"},
                                                          {"Description", "for a test"},
                                                          {"Tag.1.Key", "creator"},
                                                          {"Tag.1.Value", "terway"}});
  REQUIRE(answer.status == 200);
  CHECK(answer.body["Status"] == "Available");
  CHECK(answer.body["Type"] == "Secondary");
  CHECK(answer.body["PrivateIpSets"]["PrivateIpSet"].size() == 3);
  CHECK(answer.body["PrivateIpSets"]["PrivateIpSet"][0]["Primary"] == true);
  CHECK(answer.body["Ipv6Sets"]["Ipv6Set"].size() == 1);
  CHECK(answer.body["Tags"]["Tag"][0]["TagKey"] == "creator");
  CHECK(answer.body["SecurityGroupIds"]["SecurityGroupId"][0] == "sg-1");
  const auto refused = [&](http::Parameters more) {
    more.emplace("VSwitchId", "vsw-1");
    more.emplace("SecurityGroupId", "sg-1");
    return f.call("CreateNetworkInterface", std::move(more)).code();
  };
  CHECK(refused({{"SecurityGroupIds.1", "sg-1"}}) == "InvalidParameter.Conflict");
  CHECK(refused({{"SecondaryPrivateIpAddressCount", "50"}}) == "InvalidParameter");
  CHECK(refused({{"SecondaryPrivateIpAddressCount", "1"}, {"PrivateIpAddress.1", "10.1.0.9"}}) ==
        "InvalidParameter.Conflict");
  CHECK(refused({{"PrimaryIpAddress", "10.1"}}) == "InvalidPrivateIpAddress.Malformed");
  CHECK(refused({{"Ipv4PrefixCount", "1"}}) == "UnsupportedParameter");
  CHECK(refused({{"Tag.1.Key", "aliyun-x"}, {"Tag.1.Value", ""}}) == "InvalidTagKey.Malformed");
  CHECK(refused({{"Tag.1.Key", "a"}, {"Tag.2.Key", "a"}}) == "Duplicate.TagKey");
  CHECK(refused({{"DeleteOnRelease", "maybe"}}) == "InvalidParameter");
}

TEST_CASE("a client token makes one ENI however often it is sent") {
  Fixture f;
  const http::Parameters asked = {{"ClientToken", "token-1"}, {"Description", "once"}};
  const std::string eni = f.create(asked);
  const std::string first_request = f.last_request_id;
  CHECK(f.create(asked) == eni);
  CHECK(f.last_request_id != first_request);
  CHECK(f.region.world.enis().size() == 2);
  CHECK(f.call("CreateNetworkInterface", {{"ClientToken", "token-1"},
                                          {"VSwitchId", "vsw-1"},
                                          {"SecurityGroupId", "sg-1"},
                                          {"Description", "another"}})
            .code() == "IdempotentParameterMismatch");
  CHECK(f.create({{"ClientToken", "token-2"}, {"Description", "once"}}) != eni);
  const Answer assigned =
      f.call("AssignPrivateIpAddresses", {{"NetworkInterfaceId", eni},
                                          {"SecondaryPrivateIpAddressCount", "2"},
                                          {"ClientToken", "token-3"}});
  CHECK(f.call("AssignPrivateIpAddresses", {{"NetworkInterfaceId", eni},
                                            {"SecondaryPrivateIpAddressCount", "2"},
                                            {"ClientToken", "token-3"}})
            .body["AssignedPrivateIpAddressesSet"] ==
        assigned.body["AssignedPrivateIpAddressesSet"]);
  CHECK(f.region.world.find_eni(eni)->eni.ipv4.size() == 3);
  CHECK(f.call("CreateNetworkInterface", {{"ClientToken", std::string(65, 'x')},
                                          {"VSwitchId", "vsw-1"},
                                          {"SecurityGroupId", "sg-1"}})
            .code() == "InvalidParameter");
  f.tick(25h);
  CHECK(f.create(asked) != eni);
}

TEST_CASE("a failed request leaves its client token unused") {
  Fixture f;
  f.region.world.settings().eni_quota = 1;
  const http::Parameters asked = {
      {"ClientToken", "t"}, {"VSwitchId", "vsw-1"}, {"SecurityGroupId", "sg-1"}};
  CHECK(f.call("CreateNetworkInterface", asked).code() == "MaxEniCountExceeded");
  f.region.world.settings().eni_quota = 2;
  CHECK(f.call("CreateNetworkInterface", asked).status == 200);
}

TEST_CASE("a list comes in pages, by token and by number, and what goes meanwhile does no harm") {
  Fixture f;
  f.region.world.settings().throttle = false;
  std::vector<std::string> enis;
  for (int i = 0; i < 24; ++i) enis.push_back(f.create());
  const auto ids = [](const Answer& answer) {
    std::vector<std::string> found;
    for (const Json& eni : answer.body["NetworkInterfaceSets"]["NetworkInterfaceSet"]) {
      found.push_back(eni["NetworkInterfaceId"]);
    }
    return found;
  };
  // A MaxResults below 10 is taken as 10.
  Answer page = f.call("DescribeNetworkInterfaces", {{"MaxResults", "3"}, {"Type", "Secondary"}});
  std::vector<std::string> seen = ids(page);
  CHECK(seen.size() == 10);
  REQUIRE(f.call("DeleteNetworkInterface", {{"NetworkInterfaceId", enis[9]}}).status == 200);
  while (!page.body["NextToken"].get<std::string>().empty()) {
    page = f.call("DescribeNetworkInterfaces",
                  {{"NextToken", page.body["NextToken"]}, {"Type", "Secondary"}});
    for (const std::string& id : ids(page)) seen.push_back(id);
  }
  CHECK(seen == enis);
  const Answer third = f.call("DescribeNetworkInterfaces", {{"PageNumber", "3"}});
  CHECK(third.body["TotalCount"] == 24);
  CHECK(third.body["PageSize"] == 10);
  CHECK(ids(third).size() == 4);
  CHECK(ids(f.call("DescribeNetworkInterfaces", {{"PageNumber", "9"}})).empty());
  CHECK(f.call("DescribeNetworkInterfaces", {{"PageSize", "101"}}).code() == "InvalidParameter");
  CHECK(f.call("DescribeNetworkInterfaces", {{"NextToken", "x"}}).code() == "InvalidParameter");
}

TEST_CASE("filters of DescribeNetworkInterfaces must all match") {
  Fixture f;
  const std::string eni = f.create({{"Tag.1.Key", "k"}, {"Tag.1.Value", "v"}});
  const auto count = [&](http::Parameters filter) {
    return f.call("DescribeNetworkInterfaces", std::move(filter)).body["TotalCount"].get<int>();
  };
  CHECK(count({}) == 2);
  CHECK(count({{"InstanceId", "i-1"}}) == 1);
  CHECK(count({{"NetworkInterfaceId.1", eni}}) == 1);
  CHECK(count({{"NetworkInterfaceId.1", eni}, {"Status", "InUse"}}) == 0);
  CHECK(count({{"Tag.1.Key", "k"}}) == 1);
  CHECK(count({{"Tag.1.Key", "k"}, {"Tag.1.Value", "other"}}) == 0);
  CHECK(count({{"PrivateIpAddress.1", "10.1.0.2"}}) == 1);
  CHECK(count({{"Type", "Primary"}}) == 1);
  CHECK(count({{"SecurityGroupId", "sg-1"}, {"VSwitchId", "vsw-1"}, {"VpcId", "vpc-1"}}) == 2);
  CHECK(count({{"SecurityGroupId", "sg-2"}}) == 0);
}

TEST_CASE("every action is there and answers in its shape") {
  Fixture f;
  const std::string eni = f.create();
  const auto ok = [&](const std::string& action, http::Parameters parameters) {
    const Answer answer = f.call(action, std::move(parameters));
    CHECK_MESSAGE(answer.status == 200, action, " ", answer.body.dump());
    return answer.body;
  };
  CHECK(ok("AttachNetworkInterface", {{"NetworkInterfaceId", eni}, {"InstanceId", "i-1"}}).size() ==
        1);
  f.tick(5s);
  const Json attribute = ok("DescribeNetworkInterfaceAttribute", {{"NetworkInterfaceId", eni}});
  CHECK(attribute["Status"] == "InUse");
  CHECK(attribute["InstanceId"] == "i-1");
  CHECK(attribute["Attachment"]["DeviceIndex"] == 1);
  const Json assigned = ok("AssignPrivateIpAddresses",
                           {{"NetworkInterfaceId", eni}, {"SecondaryPrivateIpAddressCount", "3"}});
  const Json& set = assigned["AssignedPrivateIpAddressesSet"];
  CHECK(set["NetworkInterfaceId"] == eni);
  CHECK(set["PrivateIpSet"]["PrivateIpAddress"] ==
        Json::array({"10.1.0.3", "10.1.0.4", "10.1.0.5"}));
  ok("UnassignPrivateIpAddresses",
     {{"NetworkInterfaceId", eni}, {"PrivateIpAddress.1", "10.1.0.4"}});
  const Json six =
      ok("AssignIpv6Addresses", {{"NetworkInterfaceId", eni}, {"Ipv6AddressCount", "1"}});
  CHECK(six["Ipv6Sets"]["Ipv6Address"][0] == "fd00::1");
  ok("UnassignIpv6Addresses", {{"NetworkInterfaceId", eni}, {"Ipv6Address.1", "fd00::1"}});
  ok("ModifyNetworkInterfaceAttribute",
     {{"NetworkInterfaceId", eni}, {"NetworkInterfaceName", "new"}});
  const Json types = ok("DescribeInstanceTypes", {{"InstanceTypes.1", "ecs.g7.large"}});
  CHECK(types["InstanceTypes"]["InstanceType"][0]["EniPrivateIpAddressQuantity"] == 6);
  const Json instances = ok("DescribeInstances", {{"InstanceIds", R"(["i-1","i-2"])"}});
  const Json& instance = instances["Instances"]["Instance"][0];
  CHECK(instance["NetworkInterfaces"]["NetworkInterface"].size() == 2);
  CHECK(instance["VpcAttributes"]["PrivateIpAddress"]["IpAddress"][0] == "10.1.0.1");
  const Json vswitches = ok("DescribeVSwitches", {{"VSwitchId", "vsw-1"}});
  CHECK(vswitches["VSwitches"]["VSwitch"][0]["AvailableIpAddressCount"] == 252 - 4);
  CHECK(vswitches["VSwitches"]["VSwitch"][0]["Ipv6CidrBlock"] == "fd00::/64");
  CHECK(ok("DescribeSecurityGroups", {})["SecurityGroups"]["SecurityGroup"].size() == 1);
  ok("DetachNetworkInterface", {{"NetworkInterfaceId", eni}, {"InstanceId", "i-1"}});
  f.tick(5s);
  ok("DeleteNetworkInterface", {{"NetworkInterfaceId", eni}});
  CHECK(f.call("DescribeInstances", {{"InstanceIds", "i-1"}}).code() == "InvalidParameter");
}

TEST_CASE("calls that come too fast are refused, and pass again with time") {
  Fixture f;
  f.region.world.settings().calls_per_minute["DescribeInstances"] = 60;
  for (int i = 0; i < 60; ++i) CHECK(f.call("DescribeInstances").status == 200);
  const Answer refused = f.call("DescribeInstances");
  CHECK(refused.status == 400);
  CHECK(refused.code() == "Throttling.User");
  CHECK(f.call("DescribeSecurityGroups").status == 200);  // a bucket of its own
  f.tick(1s);
  CHECK(f.call("DescribeInstances").status == 200);
  CHECK(f.call("DescribeInstances").code() == "Throttling.User");
  CHECK(default_calls_per_minute("AssignPrivateIpAddresses") == 400);
  CHECK(default_calls_per_minute("CreateNetworkInterface") == 500);
}

TEST_CASE("a throttle or error fault refuses before anything is done") {
  Fixture f;
  Fault fault;
  fault.kind = FaultKind::Error;
  fault.action = "CreateNetworkInterface";
  fault.count = 2;
  fault.status = 503;
  fault.code = "ServiceUnavailable";
  REQUIRE(f.region.faults.add(fault).ok());
  const http::Parameters asked = {{"VSwitchId", "vsw-1"}, {"SecurityGroupId", "sg-1"}};
  for (int i = 0; i < 2; ++i) {
    const Answer answer = f.call("CreateNetworkInterface", asked);
    CHECK(answer.status == 503);
    CHECK(answer.code() == "ServiceUnavailable");
  }
  CHECK(f.region.calls.latest().back().faults == "1");
  CHECK(f.region.world.enis().size() == 1);
  CHECK(f.call("CreateNetworkInterface", asked).status == 200);
  f.add_fault(FaultKind::Throttle);
  CHECK(f.call("DescribeInstances").code() == "Throttling.User");
}

TEST_CASE("a fault is about what it names") {
  Fixture f;
  Fault fault;
  fault.kind = FaultKind::Throttle;
  fault.instance_id = "i-1";
  REQUIRE(f.region.faults.add(fault).ok());
  const std::string eni = f.create();  // attached to nothing, by the account's key
  CHECK(f.call("AttachNetworkInterface", {{"NetworkInterfaceId", eni}, {"InstanceId", "i-1"}})
            .code() == "Throttling.User");
  const StsCredential credential = f.region.credentials.issue("i-1", "role", 1h, f.wall());
  f.key = credential.key;
  CHECK(f.call("DescribeVSwitches", {{"SecurityToken", credential.security_token}}).code() ==
        "Throttling.User");
}

TEST_CASE("a lost reply is one of a call that was done") {
  Fixture f;
  const std::uint64_t id = f.add_fault(FaultKind::LostReply, "CreateNetworkInterface");
  const http::Parameters asked = {
      {"VSwitchId", "vsw-1"}, {"SecurityGroupId", "sg-1"}, {"ClientToken", "t"}};
  CHECK(f.call("CreateNetworkInterface", asked).status == 0);
  CHECK(f.region.world.enis().size() == 2);
  CHECK(f.region.calls.latest().back().status == 0);
  REQUIRE(f.region.clear_fault(id));
  const Answer again = f.call("CreateNetworkInterface", asked);
  CHECK(again.status == 200);
  CHECK(again.body["NetworkInterfaceId"] == f.region.world.enis()[1]->eni.id);
  CHECK(f.region.world.enis().size() == 2);
}

TEST_CASE("faults of addresses: fewer than asked for, and none in the vSwitch") {
  Fixture f;
  const std::string eni = f.create();
  Fault partial;
  partial.kind = FaultKind::Partial;
  partial.limit = 2;
  partial.count = 1;
  REQUIRE(f.region.faults.add(partial).ok());
  const http::Parameters asked = {{"NetworkInterfaceId", eni},
                                  {"SecondaryPrivateIpAddressCount", "5"}};
  const Answer fewer = f.call("AssignPrivateIpAddresses", asked);
  CHECK(fewer.body["AssignedPrivateIpAddressesSet"]["PrivateIpSet"]["PrivateIpAddress"].size() ==
        2);
  Fault exhausted;
  exhausted.kind = FaultKind::VSwitchExhausted;
  exhausted.vswitch_id = "vsw-1";
  const std::uint64_t id = f.region.faults.add(exhausted).value();
  CHECK(f.call("AssignPrivateIpAddresses", asked).code() == "InvalidVSwitchId.IpNotEnough");
  CHECK(f.call("CreateNetworkInterface", {{"VSwitchId", "vsw-1"}, {"SecurityGroupId", "sg-1"}})
            .code() == "InvalidVSwitchId.IpNotEnough");
  const Json vswitch = f.call("DescribeVSwitches").body["VSwitches"]["VSwitch"][0];
  CHECK(vswitch["AvailableIpAddressCount"] == 0);
  REQUIRE(f.region.clear_fault(id));
  CHECK(f.call("AssignPrivateIpAddresses", asked).status == 200);
}

TEST_CASE("faults of attachments: stuck, failing, without a NIC") {
  Fixture f;
  const auto attach = [&] {
    const std::string eni = f.create();
    REQUIRE(f.call("AttachNetworkInterface", {{"NetworkInterfaceId", eni}, {"InstanceId", "i-1"}})
                .status == 200);
    f.tick(1h);
    return eni;
  };
  const std::uint64_t stuck_fault = f.add_fault(FaultKind::AttachStuck);
  const std::string stuck = attach();
  CHECK(f.region.world.find_eni(stuck)->eni.status == model::EniStatus::Attaching);
  REQUIRE(f.region.clear_fault(stuck_fault));
  f.tick(1s);
  CHECK(f.region.world.find_eni(stuck)->eni.status == model::EniStatus::InUse);
  const std::uint64_t failing = f.add_fault(FaultKind::AttachFails);
  CHECK(f.region.world.find_eni(attach())->eni.status == model::EniStatus::Available);
  REQUIRE(f.region.clear_fault(failing));
  f.add_fault(FaultKind::NicNever);
  const std::string hidden = attach();
  CHECK(f.region.world.find_eni(hidden)->eni.status == model::EniStatus::InUse);
  CHECK(f.region.world.find_eni(hidden)->nic_held_by != 0);
}

TEST_CASE("a delay fault passes before the call is done, and makes no sense without a time") {
  Fixture f;
  f.add_fault(FaultKind::Delay, "DescribeInstances");
  CHECK(f.call("DescribeInstances").status == 200);
  CHECK(f.waited == 1s);
  CHECK(f.call("DescribeSecurityGroups").status == 200);
  CHECK(f.waited == 0s);
  Fault senseless;
  senseless.kind = FaultKind::Delay;
  CHECK_FALSE(f.region.faults.add(senseless).ok());
  senseless.delay = 1s;
  senseless.probability = 1.5;
  CHECK_FALSE(f.region.faults.add(senseless).ok());
  for (const FaultKind kind : all_fault_kinds()) {
    CHECK(fault_kind_from(to_string(kind)) == kind);
  }
}

TEST_CASE("a fault of some probability strikes about that often") {
  Fixture f;
  Fault fault;
  fault.kind = FaultKind::Throttle;
  fault.probability = 0.25;
  REQUIRE(f.region.faults.add(fault).ok());
  int struck = 0;
  for (int i = 0; i < 4000; ++i)
    struck += f.region.faults.strike(FaultKind::Throttle, {}).has_value();
  CHECK(struck > 850);
  CHECK(struck < 1150);
}
