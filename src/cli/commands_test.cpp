// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "http/server.h"

namespace terway::cli {
namespace {

using Kind = Error::Kind;

// A daemon that answers what it is told to.
struct FakeDaemon {
  std::map<std::string, http::Response> answers;
  std::string socket;
  std::unique_ptr<http::Server> server;

  FakeDaemon() {
    static int count = 0;
    socket = (std::filesystem::temp_directory_path() /
              ("terway-cli-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count)))
                 .string();
    http::Listen listen;
    listen.unix_path = socket;
    listen.threads = 1;
    auto started = http::Server::start(listen, [this](const http::Request& request) {
      const auto found = answers.find(request.path);
      return found == answers.end() ? http::Response{404, {}, "nothing here"} : found->second;
    });
    REQUIRE_MESSAGE(started.ok(), started.error().to_string());
    server = std::move(started).value();
  }
  ~FakeDaemon() {
    server.reset();
    std::filesystem::remove(socket);
  }

  template <class T>
  void say(const std::string& path, const T& value, int status = 200) {
    answers[path] = {status, {}, rpc::cli::encode(value)};
  }
};

const Output kPlain;
const Output kJson = {.json = true};

std::string text(const Result<std::string>& result) {
  return result.ok() ? *result : "error: " + result.error().to_string();
}

TEST_CASE("pods are a table for people and the answer itself for programs") {
  FakeDaemon fake;
  rpc::cli::PodEntry pod;
  pod.namespace_ = "shop";
  pod.name = "web-0";
  pod.addresses = {"10.0.0.7", "fd00::7"};
  pod.state = "Wired";
  pod.eni_id = "eni-1";
  pod.host_ifname = "cali0123456789a";
  pod.container_id = "0123456789abcdef0123";
  pod.created = "2026-07-01T12:00:00Z";
  fake.say(rpc::cli::kPodsPath, rpc::cli::Pods{{pod}});
  Daemon daemon(fake.socket);
  CHECK(text(pods(daemon, kPlain)) ==
        "NAMESPACE  NAME   ADDRESSES         STATE  ENI    HOST NIC         CONTAINER     SINCE\n"
        "shop       web-0  10.0.0.7,fd00::7  Wired  eni-1  cali0123456789a  0123456789ab  "
        "2026-07-01T12:00:00Z\n");
  CHECK(text(pods(daemon, kJson)) == rpc::cli::encode(rpc::cli::Pods{{pod}}) + "\n");
}

TEST_CASE("one ENI is shown with its addresses, an unknown one is not found") {
  FakeDaemon fake;
  rpc::cli::EniEntry eni;
  eni.id = "eni-1";
  eni.state = "Ready";
  eni.addresses.resize(2);
  eni.addresses[0].address = "10.0.0.7";
  eni.addresses[0].state = "Held";
  eni.addresses[1].address = "10.0.0.8";
  eni.addresses[1].state = "Cooling";
  eni.addresses[1].until_s = 42;
  fake.say(rpc::cli::kEnisPath, rpc::cli::Enis{{eni}});
  Daemon daemon(fake.socket);
  const std::string all = text(enis(daemon, "", kPlain));
  CHECK(all.find("eni-1  Ready  0.0s       1/2") != std::string::npos);
  const std::string one = text(enis(daemon, "eni-1", kPlain));
  CHECK(one.find("10.0.0.8  Cooling  0.0s   42s") != std::string::npos);
  const auto none = enis(daemon, "eni-9", kPlain);
  CHECK(none.is(Kind::NotFound));
  CHECK(text(none) == "error: no ENI \"eni-9\"; there are: eni-1");
}

TEST_CASE("what the daemon says is passed on with its kind and code") {
  FakeDaemon fake;
  fake.say(rpc::cli::kMetadataPath,
           rpc::cli::ErrorReply{"Throttled", "metadata: asked too fast", "Throttling", "req-1"},
           503);
  Daemon daemon(fake.socket);
  const auto result = metadata(daemon, kPlain);
  CHECK(result.is(Kind::Throttled));
  CHECK(result.error().code() == "Throttling");
  CHECK(result.error().request_id() == "req-1");
}

TEST_CASE("an answer that is not ours names path and status") {
  FakeDaemon fake;
  Daemon daemon(fake.socket);
  const auto result = pool(daemon, kPlain);
  CHECK(result.is(Kind::NotFound));
  CHECK(text(result) == "error: terwayd answered /v1/pool with status 404");
  fake.answers[rpc::cli::kPoolPath] = {200, {}, "[]"};
  CHECK(pool(daemon, kPlain).is(Kind::Invalid));
}

TEST_CASE("with no daemon the error names the socket") {
  Daemon daemon("/nonexistent/terway.sock");
  const auto result = status(daemon, kPlain);
  CHECK(result.is(Kind::Unavailable));
  CHECK(text(result).find("terwayd does not answer on /nonexistent/terway.sock") !=
        std::string::npos);
}

TEST_CASE("list, show and execute know types and names, and name them when asked for others") {
  FakeDaemon fake;
  const std::string base = rpc::cli::kResourcesPath;
  fake.say(base, rpc::cli::ResourceTypes{{"network_service"}});
  fake.say(base + "/network_service", rpc::cli::ResourceNames{"network_service", {"default"}});
  fake.say(base + "/network_service/default",
           rpc::cli::Resource{"network_service", "default", {{"pool", "5"}}, {{"pods", "7"}}});
  fake.say(rpc::cli::kMappingPath, rpc::cli::Mapping{true, {}});
  rpc::cli::Journal stored;
  stored.path = "/j.db";
  fake.say(rpc::cli::kJournalPath, stored);
  Daemon daemon(fake.socket);
  CHECK(text(list(daemon, "", kPlain)) == "TYPE\nnetwork_service\n");
  CHECK(text(list(daemon, "network_service", kPlain)) ==
        "TYPE             NAME\nnetwork_service  default\n");
  const std::string named = text(show(daemon, "network_service", "default", kPlain));
  CHECK(named.find("pods  7") != std::string::npos);
  CHECK(text(show(daemon, "network_service", "", kPlain)) == named);
  CHECK(text(show(daemon, "nothing", "", kPlain)) ==
        "error: no type \"nothing\"; there are: network_service");
  CHECK(text(show(daemon, "network_service", "x", kPlain)) ==
        "error: no network_service \"x\"; there are: default");
  CHECK(text(execute(daemon, "network_service", "default", "mapping", kPlain)) ==
        text(mapping(daemon, kPlain)));
  CHECK(text(execute(daemon, "network_service", "default", "resdb", kPlain)).find("/j.db") !=
        std::string::npos);
  CHECK(text(execute(daemon, "network_service", "default", "rm", kPlain)) ==
        "error: no command \"rm\"; there are: mapping,resdb");
}

}  // namespace
}  // namespace terway::cli
