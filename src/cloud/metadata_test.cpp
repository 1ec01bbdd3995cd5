// SPDX-License-Identifier: Apache-2.0
#include "cloud/metadata.h"

#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <mutex>

#include "cloud/credentials.h"
#include "cloud/wall_time.h"
#include "http/server.h"

using namespace terway;
using namespace terway::cloud;
using namespace std::chrono_literals;

namespace {

// The metadata service in token mode.
struct FakeService {
  std::mutex mutex;  // guards what follows: the server's threads and the test's
  std::map<std::string, std::string> values;
  std::string token = "token-1";
  bool tokens_fail = false;
  int tokens_given = 0;
  std::string ttl;
  std::unique_ptr<http::Server> server;

  FakeService() {
    auto started = http::Server::start({}, [this](const http::Request& request) {
      const std::lock_guard lock(mutex);
      return answer(request);
    });
    REQUIRE(started.ok());
    server = std::move(*started);
  }
  http::Response answer(const http::Request& request) {
    if (request.path == "/latest/api/token") {
      if (request.method != "PUT") return {405, {}, ""};
      ttl = http::header(request.headers, "X-aliyun-ecs-metadata-token-ttl-seconds");
      if (tokens_fail) return {503, {}, ""};
      ++tokens_given;
      return {200, {}, token + "\n"};
    }
    if (http::header(request.headers, "X-aliyun-ecs-metadata-token") != token) return {403, {}, ""};
    const std::string_view base = "/latest/meta-data/";
    const auto found = values.find(request.path.substr(base.size()));
    if (!request.path.starts_with(base) || found == values.end()) return {404, {}, ""};
    return {200, {}, found->second};
  }
  MetadataSettings settings() const {
    MetadataSettings settings;
    settings.url = "http://127.0.0.1:" + std::to_string(server->port());
    return settings;
  }
};

}  // namespace

TEST_CASE("an instance learns about itself and its ENIs") {
  FakeService service;
  const std::string eni = "network/interfaces/macs/00:16:3e:00:00:02/";
  service.values = {{"instance-id", "i-1"},
                    {"instance/instance-type", "ecs.g7.large"},
                    {"region-id", "cn-hangzhou"},
                    {"zone-id", "cn-hangzhou-i"},
                    {"vpc-id", "vpc-1"},
                    {"vswitch-id", "vsw-1"},
                    {"mac", "00:16:3e:00:00:01"},
                    {"network/interfaces/macs/", "00:16:3e:00:00:01/\n00:16:3E:00:00:02/"},
                    {eni + "network-interface-id", "eni-2"},
                    {eni + "vswitch-id", "vsw-2"},
                    {eni + "primary-ip-address", "10.0.1.10"},
                    {eni + "netmask", "255.255.255.0"},
                    {eni + "private-ipv4s", R"(["10.0.1.10","10.0.1.11"])"},
                    {eni + "ipv6s", "[fd00:4004:400::1,fd00:4004:400::2]"},
                    {eni + "gateway", "10.0.1.253"},
                    {eni + "ipv6-gateway", "fd00:4004:400::fffd"},
                    {eni + "vswitch-cidr-block", "10.0.1.0/24"},
                    {eni + "vswitch-ipv6-cidr-block", "fd00:4004:400::/64"}};
  SystemClock clock;
  MetadataClient client(service.settings(), clock);
  CHECK(*client.instance_id() == "i-1");
  CHECK(*client.instance_type() == "ecs.g7.large");
  CHECK(*client.region_id() == "cn-hangzhou");
  CHECK(*client.zone_id() == "cn-hangzhou-i");
  CHECK(*client.vpc_id() == "vpc-1");
  CHECK(*client.vswitch_id() == "vsw-1");
  CHECK(client.mac()->to_string() == "00:16:3e:00:00:01");
  const auto macs = client.macs();
  REQUIRE(macs.ok());
  REQUIRE(macs->size() == 2);
  const net::Mac mac = macs->at(1);
  CHECK(*client.eni_id(mac) == "eni-2");
  CHECK(*client.eni_vswitch_id(mac) == "vsw-2");
  CHECK(client.primary_address(mac)->to_string() == "10.0.1.10");
  CHECK(client.netmask(mac)->to_string() == "255.255.255.0");
  CHECK(client.private_ipv4s(mac)->at(1).to_string() == "10.0.1.11");
  CHECK(client.ipv6s(mac)->size() == 2);
  CHECK(client.gateway(mac)->to_string() == "10.0.1.253");
  CHECK((*client.ipv6_gateway(mac))->to_string() == "fd00:4004:400::fffd");
  CHECK(client.vswitch_cidr(mac)->to_string() == "10.0.1.0/24");
  CHECK((*client.vswitch_ipv6_cidr(mac))->to_string() == "fd00:4004:400::/64");
  CHECK(service.tokens_given == 1);
  CHECK(service.ttl == "21600");
}

TEST_CASE(
    "what is not there is NotFound, what only some ENIs have is empty, nonsense is an error") {
  FakeService service;
  const std::string eni = "network/interfaces/macs/00:16:3e:00:00:02/";
  service.values = {{eni + "primary-ip-address", "nonsense"},
                    {eni + "private-ipv4s", "[\"10.0.0.1\",\"x\"]"},
                    {"mac", ""}};
  SystemClock clock;
  MetadataClient client(service.settings(), clock);
  const net::Mac mac = *net::Mac::parse("00:16:3e:00:00:02");
  CHECK(client.eni_id(mac).is(Error::Kind::NotFound));
  CHECK(client.ipv6s(mac)->empty());
  CHECK(!client.ipv6_gateway(mac)->has_value());
  CHECK(!client.vswitch_ipv6_cidr(mac)->has_value());
  CHECK(client.primary_address(mac).is(Error::Kind::Internal));
  CHECK(client.private_ipv4s(mac).is(Error::Kind::Internal));
  CHECK(client.mac().is(Error::Kind::Internal));
  CHECK(client.ram_role().is(Error::Kind::NotFound));
}

TEST_CASE("the token is renewed at half its life, and at once when it is refused") {
  FakeService service;
  service.values = {{"instance-id", "i-1"}};
  ManualClock clock;
  MetadataClient client(service.settings(), clock);
  CHECK(client.instance_id().ok());
  clock.advance(2h);
  CHECK(client.instance_id().ok());
  CHECK(service.tokens_given == 1);
  clock.advance(1h);
  CHECK(client.instance_id().ok());
  CHECK(service.tokens_given == 2);
  {
    const std::lock_guard lock(service.mutex);
    service.token = "token-2";
  }
  CHECK(client.instance_id().ok());
  CHECK(service.tokens_given == 3);
  {
    const std::lock_guard lock(service.mutex);
    service.tokens_fail = true;
  }
  clock.advance(4h);
  CHECK(client.instance_id().ok());  // the old one still lives
  clock.advance(3h);
  CHECK(client.instance_id().is(Error::Kind::Unavailable));
}

TEST_CASE("the observer hears of every value asked for") {
  FakeService service;
  service.values = {{"instance-id", "i-1"}};
  SystemClock clock;
  MetadataSettings settings = service.settings();
  std::vector<std::string> heard;
  settings.observer = [&](std::string_view path, std::optional<Error::Kind> failure, Duration) {
    heard.push_back(std::string(path) + (failure ? " failed" : " ok"));
  };
  MetadataClient client(settings, clock);
  CHECK(client.instance_id().ok());
  CHECK(!client.zone_id().ok());
  CHECK(heard == std::vector<std::string>{"instance-id ok", "zone-id failed"});
}

TEST_CASE("the RAM role's credentials come through the service in token mode") {
  FakeService service;
  ManualClock clock;
  clock.set_wall(*parse_time("2026-01-01T00:00:00Z"));
  const auto credentials = [](const char* id, const char* expires) {
    return std::string("{\"AccessKeyId\":\"") + id +
           "\",\"AccessKeySecret\":\"s\",\"SecurityToken\":\"t\",\"Expiration\":\"" + expires +
           "\",\"Code\":\"Success\"}";
  };
  const std::string path = "ram/security-credentials/";
  service.values = {{path, "NodeRole\n"},
                    {path + "NodeRole", credentials("A", "2026-01-01T06:00:00Z")}};
  CredentialSettings settings;
  settings.secret_directory.clear();
  settings.metadata = service.settings();
  const auto source = make_credentials(settings, clock);
  CHECK(source->current()->access_key_id == "A");
  {
    const std::lock_guard lock(service.mutex);
    service.values[path + "NodeRole"] = credentials("B", "2026-01-01T12:00:00Z");
  }
  CHECK(source->current()->access_key_id == "A");
  clock.advance(5h);
  CHECK(source->current()->access_key_id == "B");
}

TEST_CASE("lists of addresses are read in every form that occurs") {
  CHECK(parse_address_list("[]")->empty());
  CHECK(parse_address_list("")->empty());
  CHECK(parse_address_list("10.0.0.1")->size() == 1);
  CHECK(parse_address_list("[10.0.0.1, 10.0.0.2]")->size() == 2);
  CHECK(parse_address_list("[\"10.0.0.1\", \"10.0.0.2\"]\n")->size() == 2);
  CHECK(parse_address_list("10.0.0.1\n10.0.0.2\n")->size() == 2);
  CHECK(!parse_address_list("[10.0.0.1"));
}
