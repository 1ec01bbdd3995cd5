// SPDX-License-Identifier: Apache-2.0
// The whole of it on loopback, with our own cloud client on the other side.
#include "vpcsim/vpcsim.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/channel.h"
#include "cloud/client.h"
#include "cloud/metadata.h"
#include "vpcsim/admin_client.h"
#include "vpcsim/certificates.h"

using namespace terway;
using namespace terway::vpcsim;
using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

// Writes down what it is told; every call takes a while, as with real links.
class SlowPlugger final : public Plugger {
 public:
  Result<> plug(const Nic& nic) override { return told("plug " + nic.eni_id); }
  Result<> update_addresses(const std::string& eni_id,
                            const std::vector<net::IpAddress>& addresses) override {
    return told("addresses " + eni_id + " " + std::to_string(addresses.size()));
  }
  Result<> unplug(const std::string& eni_id) override { return told("unplug " + eni_id); }
  void set_path_mtu(std::uint32_t bytes) override {
    static_cast<void>(told("path MTU " + std::to_string(bytes)));
  }
  Result<std::vector<NicCounters>> counters() override {
    return std::vector<NicCounters>{{"eni-x", {{"forwarded", 7}}}};
  }

  // What was told since the last call.
  std::vector<std::string> take() {
    std::vector<std::string> all;
    while (auto one = told_.try_receive()) all.push_back(std::move(*one));
    return all;
  }

 private:
  Result<> told(std::string what) {
    std::this_thread::sleep_for(20ms);
    told_.send(std::move(what));
    return Ok{};
  }
  Channel<std::string> told_;
};

struct Fixture {
  Fixture() {
    char name[] = "/tmp/vpcsim-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    directory = name;
    Config config = default_config();
    config.vswitches[1].ipv6_cidr = net::Prefix::parse("fd00::/64");
    config.settings.attach_delay = 30ms;
    config.settings.detach_delay = 10ms;
    config.settings.nic_delay = 0ms;
    config.settings.metadata_lag = 0ms;
    ServeOptions options;
    options.http = ListenAt{"127.0.0.1", 0};
    options.https = ListenAt{"127.0.0.1", 0};
    options.tls_directory = directory / "tls";
    options.admin_path = directory / "admin.sock";
    auto started = VpcSim::start(config, options, clock, plugger, Random(1));
    REQUIRE_MESSAGE(started.ok(), (started.ok() ? "" : started.error().to_string()));
    sim = std::move(*started);
    admin.emplace(options.admin_path);
  }
  ~Fixture() {
    sim.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }

  Json ask_admin(Result<std::string> answer) {
    REQUIRE_MESSAGE(answer.ok(), (answer.ok() ? "" : answer.error().to_string()));
    return Json::parse(*answer, nullptr, false);
  }
  Json add_instance() {
    return ask_admin(admin->post(
        "/instances",
        R"({"type":"ecs.g7.xlarge","vswitch":"vsw-bp1node","netns":"/run/netns/none","role":"R",
            "metadata":{"address":"127.0.0.1","port":0}})"));
  }
  std::string metadata_url(const Json& instance) {
    return "http://127.0.0.1:" + std::to_string(instance["metadata_port"].get<int>());
  }
  cloud::Client client(const std::string& url, cloud::SignatureMethod method,
                       cloud::CredentialsSource& credentials) {
    cloud::ClientSettings settings;
    settings.ecs_url = settings.vpc_url = url;
    settings.region_id = "cn-hangzhou";
    settings.ca_path = sim->endpoints().ca_path;
    settings.signature = method;
    return cloud::Client(settings, credentials, limiter, clock,
                         Random(100 + clients++));  // nonces of their own
  }
  bool becomes(cloud::Client& api, const std::string& eni, model::EniStatus status) {
    cloud::EniFilter filter;
    filter.ids = {eni};
    for (int i = 0; i < 1000; ++i) {
      const auto found = api.describe_network_interfaces(filter);
      if (found.ok() && found->size() == 1 && found->front().status == status) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  std::atomic<std::uint64_t> clients = 0;
  SystemClock clock;
  SlowPlugger plugger;
  cloud::RateLimiter limiter{clock};
  std::filesystem::path directory;
  std::unique_ptr<VpcSim> sim;
  std::optional<AdminClient> admin;
};

}  // namespace

TEST_CASE("an ENI's whole life through our own client, by either signature, over HTTP and HTTPS") {
  Fixture f;
  const Json instance = f.add_instance();
  const std::string instance_id = instance["id"];
  cloud::MetadataSettings where;
  where.url = f.metadata_url(instance);
  cloud::RefreshedCredentials role(cloud::from_ram_role(where, f.clock), f.clock, 1h);
  cloud::FixedCredentials fixed(
      {"LTAI5tVpcsimVpcsimVpcsim", "vpcsimvpcsimvpcsimvpcsimvpcsim", "", std::nullopt});
  const auto live = [&](cloud::Client api) {
    cloud::CreateEni wanted;
    wanted.vswitch_id = "vsw-bp1pods";
    wanted.security_group_ids = {"sg-bp1lab"};
    wanted.secondary_ipv4_count = 2;
    wanted.client_token = "token-" + std::to_string(f.clock.now().time_since_epoch().count());
    const auto created = api.create_network_interface(wanted);
    REQUIRE_MESSAGE(created.ok(), (created.ok() ? "" : created.error().to_string()));
    CHECK(api.create_network_interface(wanted)->id == created->id);
    CHECK(created->ipv4.size() == 3);
    REQUIRE(api.attach_network_interface(created->id, instance_id).ok());
    CHECK(f.becomes(api, created->id, model::EniStatus::InUse));
    const auto assigned = api.assign_private_ip_addresses(created->id, 10, "");
    REQUIRE(assigned.ok());
    CHECK(assigned->size() == 10);
    const auto refused = api.assign_private_ip_addresses(created->id, 3, "");
    CHECK(refused.is(Error::Kind::Exhausted));
    CHECK(refused.error().code() == "InvalidOperation.Ipv4CountExceeded");
    CHECK(api.assign_ipv6_addresses(created->id, 2, "")->size() == 2);
    CHECK(api.unassign_private_ip_addresses(created->id, *assigned).ok());
    CHECK(api.unassign_private_ip_addresses(created->id, *assigned).ok());  // already so
    CHECK(api.describe_instances({instance_id})->size() == 1);
    CHECK(api.describe_instance_types({"ecs.g7.xlarge"})->front().ipv4_per_eni == 15);
    CHECK(api.describe_vswitches({})->size() == 2);
    REQUIRE(api.detach_network_interface(created->id, instance_id).ok());
    CHECK(f.becomes(api, created->id, model::EniStatus::Available));
    CHECK(api.delete_network_interface(created->id).ok());
  };
  const Endpoints& at = f.sim->endpoints();
  live(f.client(at.http, cloud::SignatureMethod::Acs3, fixed));
  live(f.client(at.http, cloud::SignatureMethod::Classic, fixed));
  live(f.client(at.https, cloud::SignatureMethod::Acs3, role));
  live(f.client(at.https, cloud::SignatureMethod::Classic, role));
  CHECK(f.ask_admin(f.admin->get("/enis")).size() == 1);
}

TEST_CASE("our metadata client reads what the service tells") {
  Fixture f;
  const Json instance = f.add_instance();
  cloud::MetadataSettings where;
  where.url = f.metadata_url(instance);
  cloud::MetadataClient metadata(where, f.clock);
  CHECK(*metadata.instance_id() == instance["id"].get<std::string>());
  CHECK(*metadata.ram_role() == "R");
  const auto mac = metadata.mac();
  REQUIRE(mac.ok());
  CHECK(mac->to_string() == instance["eni"]["mac"].get<std::string>());
  CHECK(*metadata.macs() == std::vector{*mac});
  CHECK(metadata.gateway(*mac)->to_string() == "10.10.0.253");
  CHECK(metadata.private_ipv4s(*mac)->size() == 1);
  CHECK(metadata.ipv6s(*mac)->empty());
}

TEST_CASE("an answer comes only when the fabric has followed") {
  Fixture f;
  const Json instance = f.add_instance();
  const std::string primary = instance["primary_eni"];
  CHECK(f.plugger.take() == std::vector<std::string>{"plug " + primary});
  cloud::FixedCredentials fixed(
      {"LTAI5tVpcsimVpcsimVpcsim", "vpcsimvpcsimvpcsimvpcsimvpcsim", "", std::nullopt});
  cloud::Client api = f.client(f.sim->endpoints().http, cloud::SignatureMethod::Acs3, fixed);
  const auto assigned = api.assign_private_ip_addresses(primary, 3, "");
  REQUIRE(assigned.ok());
  CHECK(f.plugger.take() == std::vector<std::string>{"addresses " + primary + " 4"});
  REQUIRE(api.unassign_private_ip_addresses(primary, *assigned).ok());
  CHECK(f.plugger.take() == std::vector<std::string>{"addresses " + primary + " 1"});
  f.ask_admin(f.admin->remove("/instances/" + instance["id"].get<std::string>()));
  CHECK(f.plugger.take() == std::vector<std::string>{"unplug " + primary});
}

TEST_CASE("many callers at once get addresses of their own") {
  Fixture f;
  f.ask_admin(f.admin->post("/settings", R"({"throttle":false})"));
  cloud::FixedCredentials fixed(
      {"LTAI5tVpcsimVpcsimVpcsim", "vpcsimvpcsimvpcsimvpcsimvpcsim", "", std::nullopt});
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      cloud::Client api = f.client(f.sim->endpoints().http, cloud::SignatureMethod::Acs3, fixed);
      cloud::CreateEni wanted;
      wanted.vswitch_id = "vsw-bp1pods";
      wanted.security_group_ids = {"sg-bp1lab"};
      wanted.secondary_ipv4_count = 4;
      for (int n = 0; n < 5; ++n) std::ignore = api.create_network_interface(wanted).ok();
    });
  }
  for (std::thread& caller : callers) caller.join();
  std::set<std::string> seen;
  for (const Json& eni : f.ask_admin(f.admin->get("/enis"))) {
    for (const Json& address : eni["ipv4"]) CHECK(seen.insert(address.get<std::string>()).second);
  }
  CHECK(seen.size() == 8 * 5 * 5);
}

TEST_CASE("a reply that is lost is an Unavailable of our client, and the work is done") {
  Fixture f;
  f.ask_admin(f.admin->post(
      "/faults", R"({"kind":"lost_reply","action":"CreateNetworkInterface","count":1})"));
  cloud::FixedCredentials fixed(
      {"LTAI5tVpcsimVpcsimVpcsim", "vpcsimvpcsimvpcsimvpcsimvpcsim", "", std::nullopt});
  cloud::Client api = f.client(f.sim->endpoints().https, cloud::SignatureMethod::Acs3, fixed);
  cloud::CreateEni wanted;
  wanted.vswitch_id = "vsw-bp1pods";
  wanted.security_group_ids = {"sg-bp1lab"};
  wanted.client_token = "one";
  CHECK(api.create_network_interface(wanted).is(Error::Kind::Unavailable));
  const auto again = api.create_network_interface(wanted);
  REQUIRE(again.ok());
  const Json enis = f.ask_admin(f.admin->get("/enis"));
  REQUIRE(enis.size() == 1);
  CHECK(enis[0]["id"] == again->id);
}

TEST_CASE("the admin API says what is wrong with a request") {
  Fixture f;
  const auto refusal = [](const Result<std::string>& answer) {
    REQUIRE_FALSE(answer.ok());
    return answer.error();
  };
  CHECK(refusal(f.admin->get("/nothing")).kind() == Error::Kind::NotFound);
  CHECK(refusal(f.admin->post("/faults", "{")).kind() == Error::Kind::Invalid);
  CHECK(refusal(f.admin->post("/faults", "[]")).kind() == Error::Kind::Invalid);
  CHECK(refusal(f.admin->post("/faults", R"({"kind":"boom"})")).message().find("lost_reply") !=
        std::string::npos);
  CHECK(
      refusal(f.admin->post("/faults", R"({"kind":"error","cuont":1})")).message().find("cuont") !=
      std::string::npos);
  CHECK(refusal(f.admin->remove("/faults/9")).kind() == Error::Kind::NotFound);
  CHECK(refusal(f.admin->remove("/faults/x")).kind() == Error::Kind::Invalid);
  CHECK(refusal(f.admin->post("/settings", R"({"mtu":1})")).kind() == Error::Kind::Invalid);
  CHECK(refusal(f.admin->post("/instances", R"({"type":"ecs.nope","vswitch":"vsw-bp1node"})"))
            .message()
            .find("ecs.nope") != std::string::npos);
  const Error bad_listener = refusal(f.admin->post(
      "/instances",
      R"({"type":"ecs.g7.large","vswitch":"vsw-bp1node","metadata":{"address":"192.0.2.1"}})"));
  CHECK(bad_listener.message().find("192.0.2.1") != std::string::npos);
  CHECK(f.ask_admin(f.admin->get("/enis")).empty());  // nothing of it stays
  CHECK(refusal(f.admin->remove("/instances/i-nope")).kind() == Error::Kind::NotFound);
  CHECK(refusal(f.admin->post("/vswitches", R"({"zone":"z","cidr":"10.10.0.0/25"})"))
            .message()
            .find("overlaps") != std::string::npos);
}

TEST_CASE("the admin API sets up, shows and counts") {
  Fixture f;
  CHECK(f.ask_admin(f.admin->post(
            "/vswitches", R"({"id":"vsw-2","zone":"z","cidr":"10.30.0.0/24"})"))["available"] ==
        252);
  f.ask_admin(f.admin->post("/security-groups", R"({"id":"sg-2","name":"two"})"));
  f.ask_admin(f.admin->remove("/vswitches/vsw-2"));
  const Json world = f.ask_admin(f.admin->get("/world"));
  CHECK(world["vswitches"].size() == 2);
  CHECK(world["security_groups"].size() == 2);
  CHECK(f.ask_admin(f.admin->post(
            "/settings",
            R"({"calls_per_minute":{"DescribeInstances":60}})"))["calls_per_minute"]
                                                                ["DescribeInstances"] == 60);
  CHECK(f.ask_admin(f.admin->get("/settings"))["attach_delay_ms"] == 30);
  CHECK(f.ask_admin(f.admin->get("/counters"))["eni-x"]["forwarded"] == 7);
  f.ask_admin(f.admin->post("/access-keys", R"({"id":"LTAInew","secret":"new"})"));
  cloud::FixedCredentials fixed({"LTAInew", "new", "", std::nullopt});
  cloud::Client api = f.client(f.sim->endpoints().http, cloud::SignatureMethod::Acs3, fixed);
  CHECK(api.describe_instances({}).ok());
  CHECK(f.ask_admin(f.admin->get("/calls"))["counts"]["DescribeInstances"]["total"] == 1);
  f.ask_admin(f.admin->remove("/calls"));
  CHECK(f.ask_admin(f.admin->get("/calls?since=0"))["calls"].empty());
  CHECK(f.ask_admin(f.admin->get("/endpoints"))["https"] == f.sim->endpoints().https);
}

TEST_CASE("a CA that is there is kept") {
  Fixture f;
  const auto files = prepare_certificates(f.directory / "tls", {"localhost"});
  REQUIRE(files.ok());
  cloud::FixedCredentials fixed(
      {"LTAI5tVpcsimVpcsimVpcsim", "vpcsimvpcsimvpcsimvpcsimvpcsim", "", std::nullopt});
  // The running server's certificate is from before, its CA is the same.
  cloud::Client api = f.client(f.sim->endpoints().https, cloud::SignatureMethod::Acs3, fixed);
  CHECK(api.describe_vswitches({}).ok());
  // Another CA does not vouch for it.
  REQUIRE(prepare_certificates(f.directory / "other", {"localhost"}).ok());
  cloud::ClientSettings settings;
  settings.ecs_url = settings.vpc_url = f.sim->endpoints().https;
  settings.region_id = "cn-hangzhou";
  settings.ca_path = f.directory / "other" / "ca.pem";
  cloud::Client stranger(settings, fixed, f.limiter, f.clock, Random(3));
  CHECK_FALSE(stranger.describe_vswitches({}).ok());
}
