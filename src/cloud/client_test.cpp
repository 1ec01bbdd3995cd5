// SPDX-License-Identifier: Apache-2.0
// The client against a cloud that answers from a script and verifies every signature.
#include "cloud/client.h"

#include <doctest/doctest.h>

#include <deque>
#include <mutex>

#include "cloud/error_codes.h"
#include "cloud/signature.h"
#include "cloud/wall_time.h"
#include "http/server.h"

using namespace terway;
using namespace terway::cloud;
using namespace std::chrono_literals;

namespace {

struct Asked {
  std::string action;
  std::string version;
  http::Parameters parameters;
};

http::Response fails(int status, const char* code) {
  return {status,
          {},
          std::string(R"({"RequestId":"request-1","HostId":"h","Code":")") + code +
              R"(","Message":"m"})"};
}
http::Response succeeds(std::string body = R"({"RequestId":"request-1"})") {
  return {200, {}, std::move(body)};
}
std::string enis(const char* id, const char* next_token = "") {
  return std::string(R"({"NextToken":")") + next_token +
         R"(","NetworkInterfaceSets":{"NetworkInterfaceSet":[{"NetworkInterfaceId":")" + id +
         R"(","Status":"InUse","MacAddress":"00:16:3e:00:00:01"}]}})";
}

class FakeCloud {
 public:
  FakeCloud() {
    auto started = http::Server::start({}, [this](const http::Request& request) {
      const std::lock_guard lock(mutex_);
      return answer(request);
    });
    REQUIRE(started.ok());
    server_ = std::move(*started);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  void will_answer(http::Response response) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(response));
  }
  std::vector<Asked> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  http::Response answer(const http::Request& request) {
    http::Parameters parameters = http::parse_parameters(request.query);
    const std::string_view given = http::header(request.headers, "Authorization");
    Asked asked;
    if (const auto acs3 = parse_acs3_authorization(given)) {
      asked.action = http::header(request.headers, "x-acs-action");
      asked.version = http::header(request.headers, "x-acs-version");
      if (acs3->access_key_id != "id" ||
          acs3->signature != sign_acs3(request, acs3->signed_headers, "secret")) {
        return fails(400, "SignatureDoesNotMatch");
      }
    } else {
      asked.action = parameters["Action"];
      asked.version = parameters["Version"];
      if (parameters["AccessKeyId"] != "id" ||
          parameters["Signature"] != sign_rpc(parameters, request.method, "secret")) {
        return fails(400, "SignatureDoesNotMatch");
      }
    }
    asked.parameters = std::move(parameters);
    asked_.push_back(std::move(asked));
    if (answers_.empty()) return succeeds();
    http::Response next = std::move(answers_.front());
    answers_.pop_front();
    return next;
  }

  std::mutex mutex_;  // guards what follows
  std::deque<http::Response> answers_;
  std::vector<Asked> asked_;
  std::unique_ptr<http::Server> server_;
};

struct Fixture {
  FakeCloud cloud;
  ManualClock clock;
  FixedCredentials credentials{Credentials{"id", "secret", "", std::nullopt}};
  RateLimiter limiter{clock};
  ClientSettings settings;

  Fixture() {
    clock.set_wall(*parse_time("2026-01-01T00:00:00Z"));
    settings.ecs_url = cloud.url();
    settings.vpc_url = cloud.url();
    settings.region_id = "cn-hangzhou";
  }
  Client client() { return Client(settings, credentials, limiter, clock, Random(1)); }
};

net::IpAddress address(const char* text) { return *net::IpAddress::parse(text); }

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an ENI is created with the parameters as the vendor spells them") {
  cloud.will_answer(succeeds(R"({"NetworkInterfaceId":"eni-1","MacAddress":"00:16:3e:00:00:01"})"));
  CreateEni request;
  request.vswitch_id = "vsw-1";
  request.security_group_ids = {"sg-1", "sg-2"};
  request.secondary_ipv4_count = 9;
  request.ipv6_count = 2;
  request.tags = {{"cluster", "c 1"}, {"node", "n+1"}};
  request.resource_group_id = "rg-1";
  request.client_token = "token-1";
  const auto eni = client().create_network_interface(request);
  REQUIRE_MESSAGE(eni.ok(), (eni.ok() ? "" : eni.error().to_string()));
  CHECK(eni->id == "eni-1");
  const Asked asked = cloud.asked().at(0);
  CHECK(asked.action == "CreateNetworkInterface");
  CHECK(asked.version == "2014-05-26");
  CHECK(asked.parameters == http::Parameters{{"ClientToken", "token-1"},
                                             {"DeleteOnRelease", "true"},
                                             {"Description", "interface create by terway"},
                                             {"InstanceType", "Secondary"},
                                             {"Ipv6AddressCount", "2"},
                                             {"RegionId", "cn-hangzhou"},
                                             {"ResourceGroupId", "rg-1"},
                                             {"SecondaryPrivateIpAddressCount", "9"},
                                             {"SecurityGroupIds.1", "sg-1"},
                                             {"SecurityGroupIds.2", "sg-2"},
                                             {"Tag.1.Key", "cluster"},
                                             {"Tag.1.Value", "c 1"},
                                             {"Tag.2.Key", "node"},
                                             {"Tag.2.Value", "n+1"},
                                             {"VSwitchId", "vsw-1"}});
}

TEST_CASE_FIXTURE(Fixture, "both signatures are accepted, with a token of STS too") {
  for (const auto method : {SignatureMethod::Acs3, SignatureMethod::Classic}) {
    for (const char* token : {"", "an STS token/+="}) {
      settings.signature = method;
      FixedCredentials mine(Credentials{"id", "secret", token, std::nullopt});
      Client one(settings, mine, limiter, clock, Random(2));
      const auto attached = one.attach_network_interface("eni-1", "i-1");
      CHECK_MESSAGE(attached.ok(), (attached.ok() ? "" : attached.error().to_string()));
    }
  }
  const Asked classic = cloud.asked().at(3);
  CHECK(classic.action == "AttachNetworkInterface");
  CHECK(classic.parameters.at("SecurityToken") == "an STS token/+=");
  CHECK(classic.parameters.at("Timestamp") == "2026-01-01T00:00:00Z");
  FixedCredentials wrong(Credentials{"id", "another secret", "", std::nullopt});
  Client denied(settings, wrong, limiter, clock, Random(3));
  CHECK(denied.attach_network_interface("eni-1", "i-1").is(Error::Kind::Denied));
}

TEST_CASE_FIXTURE(Fixture, "errors have the kind of the table, the code and the request id") {
  Client one = client();
  const auto kind_of = [&](int status, const char* code) {
    cloud.will_answer(fails(status, code));
    const auto result = one.attach_network_interface("eni-1", "i-1");
    REQUIRE(!result.ok());
    CHECK(result.error().code() == code);
    CHECK(result.error().request_id() == "request-1");
    return result.error().kind();
  };
  CHECK(kind_of(403, "EniPerInstanceLimitExceeded") == Error::Kind::Exhausted);
  CHECK(kind_of(400, "InvalidParameter") == Error::Kind::Invalid);
  CHECK(kind_of(403, "Forbidden.RAM") == Error::Kind::Denied);
  CHECK(kind_of(500, "InternalError") == Error::Kind::Unavailable);
  CHECK(kind_of(403, "Operation.Conflict") == Error::Kind::Unavailable);
  CHECK(kind_of(404, "InvalidEniId.NotFound") == Error::Kind::NotFound);
  CHECK(limiter.rate("AttachNetworkInterface") == 500);
  CHECK(kind_of(400, "Throttling.User") == Error::Kind::Throttled);
  CHECK(limiter.rate("AttachNetworkInterface") == 250);
}

TEST_CASE_FIXTURE(Fixture, "undoing what is not there succeeds") {
  Client one = client();
  cloud.will_answer(fails(404, "InvalidEniId.NotFound"));
  CHECK(one.detach_network_interface("eni-1", "i-1").ok());
  cloud.will_answer(fails(404, "InvalidEcsId.NotFound"));
  CHECK(one.detach_network_interface("eni-1", "i-1").ok());
  cloud.will_answer(fails(404, "InvalidEniId.NotFound"));
  CHECK(one.delete_network_interface("eni-1").ok());
  cloud.will_answer(fails(400, "InvalidOperation.InvalidEniState"));
  CHECK(one.delete_network_interface("eni-1").is(Error::Kind::Unavailable));
  cloud.will_answer(fails(403, "InvalidIp.IpUnassigned"));
  CHECK(one.unassign_private_ip_addresses("eni-1", {address("10.0.0.1")}).ok());
  CHECK(one.unassign_private_ip_addresses("eni-1", {}).ok());
  CHECK(cloud.asked().size() == 5);
}

TEST_CASE_FIXTURE(Fixture, "one address that is gone does not keep the others assigned") {
  cloud.will_answer(fails(403, "InvalidIp.IpUnassigned"));
  cloud.will_answer(succeeds());
  cloud.will_answer(fails(403, "InvalidIp.IpUnassigned"));
  CHECK(client()
            .unassign_private_ip_addresses("eni-1", {address("10.0.0.1"), address("10.0.0.2")})
            .ok());
  const auto asked = cloud.asked();
  REQUIRE(asked.size() == 3);
  CHECK(asked[0].parameters.at("PrivateIpAddress.1") == "10.0.0.1");
  CHECK(asked[0].parameters.at("PrivateIpAddress.2") == "10.0.0.2");
  CHECK(asked[1].parameters.at("PrivateIpAddress.1") == "10.0.0.1");
  CHECK(!asked[1].parameters.contains("PrivateIpAddress.2"));
  CHECK(asked[2].parameters.at("PrivateIpAddress.1") == "10.0.0.2");
}

TEST_CASE_FIXTURE(Fixture, "addresses are assigned and unassigned in both families") {
  Client one = client();
  cloud.will_answer(succeeds(R"({"AssignedPrivateIpAddressesSet":{"NetworkInterfaceId":"eni-1",
      "PrivateIpSet":{"PrivateIpAddress":["10.0.0.5","10.0.0.6"]}}})"));
  CHECK(one.assign_private_ip_addresses("eni-1", 2, "t1")->size() == 2);
  cloud.will_answer(succeeds(R"({"Ipv6Sets":{"Ipv6Address":["2001:db8::5"]}})"));
  CHECK(one.assign_ipv6_addresses("eni-1", 1, "t2")->size() == 1);
  CHECK(one.unassign_ipv6_addresses("eni-1", {address("2001:db8::5")}).ok());
  const auto asked = cloud.asked();
  CHECK(asked[0].parameters == http::Parameters{{"ClientToken", "t1"},
                                                {"NetworkInterfaceId", "eni-1"},
                                                {"RegionId", "cn-hangzhou"},
                                                {"SecondaryPrivateIpAddressCount", "2"}});
  CHECK(asked[1].parameters.at("Ipv6AddressCount") == "1");
  CHECK(asked[2].action == "UnassignIpv6Addresses");
  CHECK(asked[2].parameters.at("Ipv6Address.1") == "2001:db8::5");
}

TEST_CASE_FIXTURE(Fixture, "ENIs are listed over all pages") {
  cloud.will_answer(succeeds(enis("eni-1", "next")));
  cloud.will_answer(succeeds(enis("eni-2")));
  EniFilter filter;
  filter.instance_id = "i-1";
  filter.tags = {{"k", "v"}};
  filter.type = model::EniType::Secondary;
  filter.status = model::EniStatus::InUse;
  const auto listed = client().describe_network_interfaces(filter);
  REQUIRE(listed.ok());
  REQUIRE(listed->size() == 2);
  CHECK(listed->at(1).id == "eni-2");
  const auto asked = cloud.asked();
  CHECK(asked[0].parameters == http::Parameters{{"InstanceId", "i-1"},
                                                {"MaxResults", "500"},
                                                {"RegionId", "cn-hangzhou"},
                                                {"Status", "InUse"},
                                                {"Tag.1.Key", "k"},
                                                {"Tag.1.Value", "v"},
                                                {"Type", "Secondary"}});
  CHECK(asked[1].parameters.at("NextToken") == "next");
}

TEST_CASE_FIXTURE(Fixture, "a page that names itself as the next one does not loop") {
  cloud.will_answer(succeeds(enis("eni-1", "same")));
  cloud.will_answer(succeeds(enis("eni-2", "same")));
  CHECK(client().describe_network_interfaces({}).is(Error::Kind::Internal));
}

TEST_CASE_FIXTURE(Fixture, "more ids than one call takes are asked in several") {
  EniFilter filter;
  for (int i = 0; i < 101; ++i) filter.ids.push_back("eni-" + std::to_string(i));
  cloud.will_answer(succeeds(enis("eni-0")));
  cloud.will_answer(succeeds(enis("eni-100")));
  CHECK(client().describe_network_interfaces(filter)->size() == 2);
  const auto asked = cloud.asked();
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].parameters.at("NetworkInterfaceId.100") == "eni-99");
  CHECK(asked[1].parameters.at("NetworkInterfaceId.1") == "eni-100");
}

TEST_CASE_FIXTURE(Fixture, "instances, types and vSwitches are described") {
  Client one = client();
  cloud.will_answer(succeeds(
      R"({"Instances":{"Instance":[{"InstanceId":"i-1","InstanceType":"ecs.g7.large"}]}})"));
  CHECK(one.describe_instances({"i-1", "i-2"})->at(0).type == "ecs.g7.large");
  cloud.will_answer(succeeds(R"({"InstanceTypes":{"InstanceType":[{"InstanceTypeId":"ecs.g7.large",
      "EniQuantity":3,"EniPrivateIpAddressQuantity":6}]}})"));
  CHECK(one.describe_instance_types({"ecs.g7.large"})->at(0).ipv4_per_eni == 6);
  const auto vswitch = [](const char* id) {
    return std::string(R"({"TotalCount":2,"VSwitches":{"VSwitch":[{"VSwitchId":")") + id +
           R"(","ZoneId":"z","CidrBlock":"10.0.0.0/24","AvailableIpAddressCount":3}]}})";
  };
  cloud.will_answer(succeeds(vswitch("vsw-1")));
  cloud.will_answer(succeeds(vswitch("vsw-2")));
  VSwitchFilter filter;
  filter.vpc_id = "vpc-1";
  CHECK(one.describe_vswitches(filter)->size() == 2);
  const auto asked = cloud.asked();
  CHECK(asked[0].parameters.at("InstanceIds") == R"(["i-1","i-2"])");
  CHECK(asked[1].parameters.at("InstanceTypes.1") == "ecs.g7.large");
  CHECK(asked[2].version == "2016-04-28");
  CHECK(asked[2].parameters.at("VpcId") == "vpc-1");
  CHECK(asked[2].parameters.at("PageSize") == "50");
  CHECK(asked[3].parameters.at("PageNumber") == "2");
}

TEST_CASE_FIXTURE(Fixture, "a call waits for its bucket, and not longer than it may") {
  RateLimiter slow(clock, {{"AttachNetworkInterface", 2}});
  settings.max_limit_wait = 30s;
  Client one(settings, credentials, slow, clock, Random(1));
  const Instant start = clock.now();
  REQUIRE(one.attach_network_interface("eni-1", "i-1").ok());
  REQUIRE(one.attach_network_interface("eni-1", "i-1").ok());
  CHECK(clock.now() == start);
  REQUIRE(one.attach_network_interface("eni-1", "i-1").ok());
  CHECK(clock.now() - start == 30s);
  settings.max_limit_wait = 29s;
  Client hasty(settings, credentials, slow, clock, Random(1));
  CHECK(hasty.attach_network_interface("eni-1", "i-1").is(Error::Kind::Throttled));
  CHECK(clock.now() - start == 30s);
  CHECK(cloud.asked().size() == 3);
}

TEST_CASE_FIXTURE(Fixture, "the observer hears of every call and how it ended") {
  std::vector<std::string> heard;
  settings.observer = [&](std::string_view action, std::optional<Error::Kind> failure, Duration) {
    heard.push_back(std::string(action) +
                    (failure ? std::string(" ") + std::string(to_string(*failure)) : ""));
  };
  Client one = client();
  CHECK(one.delete_network_interface("eni-1").ok());
  cloud.will_answer(fails(503, "ServiceUnavailable"));
  CHECK(!one.delete_network_interface("eni-1").ok());
  CHECK(heard == std::vector<std::string>{
                     "DeleteNetworkInterface",
                     "DeleteNetworkInterface " + std::string(to_string(Error::Kind::Unavailable))});
}

TEST_CASE_FIXTURE(Fixture,
                  "a cloud that is not there is Unavailable, and so is what is no answer") {
  settings.vpc_url = "http://127.0.0.1:1";
  Client one = client();
  const auto nobody = one.describe_vswitches({});
  REQUIRE(nobody.is(Error::Kind::Unavailable));
  CHECK(nobody.error().message().find("DescribeVSwitches") == 0);
  cloud.will_answer({502, {}, "<html>bad gateway</html>"});
  CHECK(one.delete_network_interface("eni-1").is(Error::Kind::Unavailable));
  cloud.will_answer({200, {}, "<html>captive portal</html>"});
  CHECK(one.describe_network_interfaces({}).is(Error::Kind::Internal));
}

TEST_CASE_FIXTURE(Fixture, "credentials that the cloud refuses are fetched anew") {
  int fetched = 0;
  RefreshedCredentials source(
      [&]() -> Result<Credentials> {
        ++fetched;
        return Credentials{"id", fetched == 1 ? "old secret" : "secret", "", std::nullopt};
      },
      clock, 1h);
  Client one(settings, source, limiter, clock, Random(1));
  CHECK(one.delete_network_interface("eni-1").is(Error::Kind::Denied));
  clock.advance(11s);
  CHECK(one.delete_network_interface("eni-1").ok());
}

TEST_CASE("each service is asked at its public endpoint, or at the one that is given") {
  const auto usual = ClientSettings::of_region("cn-hangzhou", "", "");
  CHECK(usual.ecs_url == "https://ecs.cn-hangzhou.aliyuncs.com");
  CHECK(usual.vpc_url == "https://vpc.cn-hangzhou.aliyuncs.com");
  CHECK(usual.region_id == "cn-hangzhou");
  const auto given = ClientSettings::of_region("cn-hangzhou", "", "http://127.0.0.1:80");
  CHECK(given.ecs_url == usual.ecs_url);
  CHECK(given.vpc_url == "http://127.0.0.1:80");
}
