// SPDX-License-Identifier: Apache-2.0
// The verbs that ask the cloud itself, against the simulated one.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "cli/account.h"
#include "cli/cloud_enis.h"
#include "cli/instance_limits.h"
#include "http/server.h"
#include "vpcsim/metadata.h"
#include "vpcsim/openapi.h"

namespace terway::cli {
namespace {

using namespace std::chrono_literals;
using Kind = Error::Kind;

const Output kPlain;

// A region with the instance i-1, its API and its metadata on one port. Each request takes a
// second.
struct Cloud {
  Cloud() : seed(5), region("cn-test", seed), api(region), metadata(region) {
    clock.set_wall(WallTime(1h));
    tick();
    region.credentials.add({"LTAI5tTest", "secret"});
    auto& world = region.world;
    REQUIRE(world.add_vpc({"vpc-1", *net::Prefix::parse("10.0.0.0/8"), std::nullopt}).ok());
    REQUIRE(world
                .add_vswitch({"vsw-1", "one", "vpc-1", "cn-test-a",
                              *net::Prefix::parse("10.1.0.0/24"), std::nullopt})
                .ok());
    REQUIRE(world.add_security_group({"sg-1", "one", "vpc-1", {}}).ok());
    vpcsim::NewInstance wanted;
    wanted.id = "i-1";
    wanted.type = "ecs.g7.2xlarge";
    wanted.vswitch_id = "vsw-1";
    REQUIRE(world.add_instance(wanted).ok());
    for (int i = 0; i < 5; ++i) tick();

    auto started = http::Server::start({}, [this](const http::Request& request) {
      tick();
      if (request.path.starts_with("/latest/")) return metadata.answer("i-1", request);
      vpcsim::Admission admission = api.admit(request);
      if (admission.refusal) return *admission.refusal;
      return api.perform(std::move(admission.call)).response;
    });
    REQUIRE_MESSAGE(started.ok(), started.error().to_string());
    server = std::move(started).value();

    const std::string url = "http://127.0.0.1:" + std::to_string(server->port());
    config_path = std::filesystem::temp_directory_path() /
                  ("terway-cli-cloud-" + std::to_string(::getpid()) + ".json");
    REQUIRE(replace_file(config_path, R"({"access_key":"LTAI5tTest","access_secret":"secret",)"
                                      R"("metadata_endpoint":")" +
                                          url + R"(","ecs_endpoint":")" + url +
                                          R"(","vpc_endpoint":")" + url + R"("})")
                .ok());
    auto opened = Account::open(config_path, clock);
    REQUIRE_MESSAGE(opened.ok(), opened.error().to_string());
    account = std::move(opened).value();
  }
  ~Cloud() {
    server.reset();
    std::filesystem::remove(config_path);
  }

  // The client waits for its answer meanwhile, so the clock is ours.
  void tick() {
    clock.advance(1s);
    region.advance(clock.now(), clock.wall());
  }
  std::string add_eni(const model::Tags& tags) {
    vpcsim::NewEni wanted;
    wanted.vswitch_id = "vsw-1";
    wanted.security_group_ids = {"sg-1"};
    wanted.tags = tags;
    const std::string id = region.world.create_eni(wanted).value();
    REQUIRE(region.world.attach_eni(id, "i-1", {}).ok());
    for (int i = 0; i < 5; ++i) tick();
    return id;
  }
  bool has(const std::string& eni_id) const { return region.world.find_eni(eni_id) != nullptr; }

  ManualClock clock;
  Random seed;
  vpcsim::Region region;
  vpcsim::OpenApi api;
  vpcsim::Metadata metadata;
  std::unique_ptr<http::Server> server;
  std::string config_path;
  std::unique_ptr<Account> account;
};

const model::Tags kOurs = {{"creator", "terway"}};

TEST_CASE("all ENIs of this instance are listed, the node's own included") {
  Cloud cloud;
  const std::string ours = cloud.add_eni(kOurs);
  const auto text = list_cloud_enis(*cloud.account, kPlain);
  REQUIRE_MESSAGE(text.ok(), text.error().to_string());
  CHECK(text->find(ours) != std::string::npos);
  CHECK(text->find("Primary") != std::string::npos);
  CHECK(
      list_cloud_enis(*cloud.account, {.json = true})->find("\"tags\":{\"creator\":\"terway\"}") !=
      std::string::npos);
}

TEST_CASE("an ENI of ours is detached, deleted, and gone when the verb returns") {
  Cloud cloud;
  const std::string ours = cloud.add_eni(kOurs);
  const auto done = delete_cloud_enis(*cloud.account, {ours}, {}, kPlain);
  REQUIRE_MESSAGE(done.ok(), done.error().to_string());
  CHECK(*done == "deleted " + ours + "\n");
  CHECK_FALSE(cloud.has(ours));
}

TEST_CASE("what is not ours, is managed or is unknown is refused, and then nothing is deleted") {
  Cloud cloud;
  const std::string ours = cloud.add_eni(kOurs);
  const std::string foreign = cloud.add_eni({});
  const auto refusal = [&](const std::string& id, const std::vector<std::string>& managed) {
    const auto result = delete_cloud_enis(*cloud.account, {ours, id}, managed, kPlain);
    CHECK(result.is(Kind::Invalid));
    CHECK(cloud.has(ours));
    return result.error().message();
  };
  CHECK(refusal(foreign, {}).find("has no tag creator=terway") != std::string::npos);
  CHECK(refusal("eni-nope", {}).find("is no ENI of this instance") != std::string::npos);
  CHECK(refusal(ours, {ours}).find("belongs to the running terwayd") != std::string::npos);
  cloud::EniFilter filter;
  filter.type = model::EniType::Primary;
  const auto found = cloud.account->client().describe_network_interfaces(filter);
  REQUIRE(found.ok());
  REQUIRE(found->size() == 1);
  CHECK(refusal(found->front().id, {}).find("only Secondary ones") != std::string::npos);
}

TEST_CASE("limits of an instance type are the cloud's") {
  Cloud cloud;
  const auto ask = [&](const std::string& id) -> Result<std::optional<model::InstanceType>> {
    const auto types = TRY(cloud.account->client().describe_instance_types({id}));
    if (types.empty()) return std::optional<model::InstanceType>();
    return std::optional(types.front());
  };
  const auto known = limits_of("ecs.g7.2xlarge", ask);
  REQUIRE_MESSAGE(known.ok(), known.error().to_string());
  CHECK(known->type.eni_quantity == 4);
  CHECK(known->source == "the cloud (DescribeInstanceTypes)");
  CHECK(limits_of("ecs.none.large", ask).is(Kind::NotFound));
}

TEST_CASE("a configuration that is not there names its path") {
  ManualClock clock;
  const auto account = Account::open("/nonexistent/eni.json", clock);
  REQUIRE_FALSE(account.ok());
  CHECK(account.error().message().find("/nonexistent/eni.json") != std::string::npos);
}

}  // namespace
}  // namespace terway::cli
