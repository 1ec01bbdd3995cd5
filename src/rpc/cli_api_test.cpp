// SPDX-License-Identifier: Apache-2.0
#include "rpc/cli_api.h"

#include <doctest/doctest.h>

namespace terway::rpc::cli {

TEST_CASE("a CLI answer survives the way through JSON") {
  Status status;
  status.node = "node-1";
  status.ready = true;
  status.uptime_s = 1.5;
  status.pools.push_back({.family = "ipv4", .total = 20, .idle = 3, .capacity = 40});
  status.drift["rules"] = 2;
  NoticeEntry& notice = status.notices.emplace_back();
  notice.kind = "EniFailed";
  notice.subject = "eni-1";
  notice.count = 7;
  const std::string text = encode(status);
  const auto back = decode<Status>(text);
  REQUIRE(back.ok());
  CHECK(back->node == "node-1");
  CHECK(back->ready);
  CHECK(back->uptime_s == 1.5);
  REQUIRE(back->pools.size() == 1);
  CHECK(back->pools[0].capacity == 40);
  CHECK(back->drift.at("rules") == 2);
  CHECK(back->notices.at(0).count == 7);
  CHECK(encode(*back) == text);
}

TEST_CASE("a CLI answer with bytes that are no UTF-8 is still JSON") {
  Pods pods;
  pods.pods.emplace_back().name = "a\xff";
  CHECK(decode<Pods>(encode(pods)).ok());
}

TEST_CASE("keys that a neighbouring version lacks or adds do not matter") {
  const auto pods = decode<Pods>(R"({"later":1,"pods":[{"namespace":"n","shape":"round"}]})");
  REQUIRE(pods.ok());
  REQUIRE(pods->pods.size() == 1);
  CHECK(pods->pods[0].namespace_ == "n");
  CHECK(pods->pods[0].mtu == 0);
}

TEST_CASE("what is no such answer is refused, by name where a key is wrong") {
  CHECK(decode<Pods>("<html>").is(Error::Kind::Invalid));
  CHECK(decode<Pods>("[]").is(Error::Kind::Invalid));
  const auto wrong = decode<Status>(R"({"ready":"yes"})");
  REQUIRE(wrong.is(Error::Kind::Invalid));
  CHECK(wrong.error().message().find("ready") != std::string::npos);
  CHECK(decode<Pods>(R"({"pods":[{"mtu":1e300}]})").is(Error::Kind::Invalid));
}

}  // namespace terway::rpc::cli
