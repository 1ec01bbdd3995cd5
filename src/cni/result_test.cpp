// SPDX-License-Identifier: Apache-2.0
#include "cni/result.h"

#include <doctest/doctest.h>

#include "cni/failure.h"
#include "cni/json.h"
#include "cni/request.h"

using namespace terway;
using namespace terway::cni;

namespace {

// The specification's "Add example": what the bridge plugin answers.
AddResult spec_result() {
  AddResult result;
  result.interfaces = {
      {"cni0", "00:11:22:33:44:55", 0, "", "", ""},
      {"veth3243", "55:44:33:22:11:11", 0, "", "", ""},
      {"eth0", "99:88:77:66:55:44", 0, "/var/run/netns/blue", "", ""},
  };
  result.ips = {{*net::Prefix::parse("10.1.0.5/16"), net::IpAddress::parse("10.1.0.1"), 2}};
  result.routes = {{*net::Prefix::parse("0.0.0.0/0"), {}, 0, 0, 0, {}, {}}};
  result.dns.nameservers = {"10.1.0.1"};
  return result;
}

AddResult dual_stack_result() {
  AddResult result;
  result.interfaces = {{"cali0123456789a", "ee:ee:ee:ee:ee:ee", 1500, "", "", ""},
                       {"eth0", "02:00:00:00:00:01", 1500, "/proc/7/ns/net", "", ""}};
  result.ips = {{*net::Prefix::parse("10.0.0.9/32"), net::IpAddress::parse("169.254.1.1"), 1},
                {*net::Prefix::parse("fd00::9/128"), net::IpAddress::parse("fe80::1"), 1}};
  RouteConfig link{*net::Prefix::parse("169.254.1.1/32"), {}, 0, 0, 0, {}, 253};
  RouteConfig other{*net::Prefix::parse("0.0.0.0/0"),
                    net::IpAddress::parse("169.254.1.1"),
                    1400,
                    1360,
                    5,
                    100,
                    {}};
  result.routes = {link, other};
  return result;
}

// What the runtime does with it: hands it back as prevResult.
AddResult given_back(const std::string& json, Version version) {
  const std::string config = R"({"cniVersion":")" + std::string(to_string(version)) +
                             R"(","name":"n","prevResult":)" + json + "}";
  Call call;
  call.container_id = "c";
  call.ifname = "eth0";
  call.netns_path = "/n";
  call.config = config;
  auto parsed = parse_request(call);
  REQUIRE(std::holds_alternative<Request>(parsed));
  return *std::get<Request>(parsed).previous;
}

}  // namespace

TEST_CASE("the specification's example result is written as it is published") {
  CHECK(to_json(spec_result(), Version::V110) ==
        R"({"cniVersion":"1.1.0","interfaces":[{"name":"cni0","mac":"00:11:22:33:44:55"},)"
        R"({"name":"veth3243","mac":"55:44:33:22:11:11"},)"
        R"({"name":"eth0","mac":"99:88:77:66:55:44","sandbox":"/var/run/netns/blue"}],)"
        R"("ips":[{"interface":2,"address":"10.1.0.5/16","gateway":"10.1.0.1"}],)"
        R"("routes":[{"dst":"0.0.0.0/0"}],"dns":{"nameservers":["10.1.0.1"]}})");
}

TEST_CASE("each version has its own shape") {
  const std::string newest = to_json(dual_stack_result(), Version::V110);
  CHECK(newest.find(R"("mtu":1500)") != std::string::npos);
  CHECK(newest.find(R"({"dst":"169.254.1.1/32","scope":253})") != std::string::npos);
  CHECK(newest.find(R"("mtu":1400,"advmss":1360,"priority":5,"table":100)") != std::string::npos);
  CHECK(newest.find(R"("version")") == std::string::npos);
  const std::string first = to_json(dual_stack_result(), Version::V100);
  CHECK(first.find("mtu") == std::string::npos);
  CHECK(first.find("scope") == std::string::npos);
  CHECK(first.find(R"("version")") == std::string::npos);
  for (const Version version : {Version::V030, Version::V031, Version::V040}) {
    const std::string old = to_json(dual_stack_result(), version);
    CHECK(old.find("mtu") == std::string::npos);
    CHECK(old.find(R"({"version":"4","interface":1,"address":"10.0.0.9/32")") != std::string::npos);
    CHECK(old.find(R"({"version":"6","interface":1,"address":"fd00::9/128")") != std::string::npos);
  }
}

TEST_CASE("what is written is read back as it was") {
  CHECK(given_back(to_json(spec_result(), Version::V110), Version::V110) == spec_result());
  CHECK(given_back(to_json(dual_stack_result(), Version::V110), Version::V110) ==
        dual_stack_result());
  for (const Version version : {Version::V031, Version::V040, Version::V100}) {
    CHECK(given_back(to_json(spec_result(), version), version) == spec_result());
  }
}

TEST_CASE("a plugin in the middle of a chain passes on what came before") {
  AddResult ours = dual_stack_result();
  ours.dns.nameservers = {"10.0.0.2"};
  const AddResult both = appended(spec_result(), ours);
  REQUIRE(both.interfaces.size() == 5);
  CHECK(both.interfaces[4].name == "eth0");
  REQUIRE(both.ips.size() == 3);
  CHECK(both.ips[0].interface == 2U);
  CHECK(both.ips[1].interface == 4U);
  CHECK(both.routes.size() == 3);
  CHECK(both.dns == ours.dns);
}

TEST_CASE("the specification's example error is written as it is published") {
  const Failure failure{"1.1.0", Code::InvalidConfig, "Invalid Configuration",
                        "Network 192.168.0.0/31 too small to allocate from."};
  CHECK(to_json(failure) == R"({"cniVersion":"1.1.0","code":7,"msg":"Invalid Configuration",)"
                            R"("details":"Network 192.168.0.0/31 too small to allocate from."})");
}

TEST_CASE("a failure tells the layer, the cloud's code and request, and when it is tried again") {
  const Error error = Error(Error::Kind::Exhausted, "vSwitch vsw-1 has no address left")
                          .with_code("InvalidVSwitchId.IpNotEnough", "473469C7-AA6F");
  const Failure failure =
      failure_from(Command::Add, "0.4.0", "cloud", error, std::chrono::seconds(30));
  CHECK(failure.version == "0.4.0");
  CHECK(failure.code == Code::TryAgainLater);
  CHECK(failure.details ==
        "cloud: vSwitch vsw-1 has no address left (code InvalidVSwitchId.IpNotEnough, request "
        "473469C7-AA6F); the daemon tries again in 30.0 s");
  CHECK(failure_from(Command::Add, "", "ipam", error).version == "1.1.0");
}

TEST_CASE("kinds of errors have their CNI codes") {
  using Kind = Error::Kind;
  CHECK(code_of(Command::Add, Kind::Throttled) == Code::TryAgainLater);
  CHECK(code_of(Command::Add, Kind::Unavailable) == Code::TryAgainLater);
  CHECK(code_of(Command::Add, Kind::Invalid) == Code::InvalidConfig);
  CHECK(code_of(Command::Add, Kind::NotFound) == Code::Internal);
  CHECK(code_of(Command::Add, Kind::Denied) == Code::Internal);
  CHECK(code_of(Command::Check, Kind::NotFound) == Code::UnknownContainer);
  for (const Kind kind : {Kind::NotFound, Kind::Denied, Kind::Exhausted, Kind::Internal}) {
    CHECK(code_of(Command::Status, kind) == Code::NotAvailable);
  }
}

TEST_CASE("any bytes become JSON that parses") {
  CHECK(json_quoted("a\"b\\c\n\t\r\x01") == R"("a\"b\\c\n\t\r\u0001")");
  CHECK(json_quoted("é€😀") == "\"é€😀\"");
  for (const char* broken : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    CHECK(json_quoted(broken).find("\xef\xbf\xbd") != std::string::npos);
  }
}
