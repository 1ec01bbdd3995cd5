// SPDX-License-Identifier: Apache-2.0
#include "http/target.h"

#include <doctest/doctest.h>

using namespace terway;
using namespace terway::http;

TEST_CASE("a request's target is split into a decoded path and the query as it came") {
  const auto whole = parse_target("/a%20b?x=%20+1?");
  REQUIRE(whole.ok());
  CHECK(whole->path == "/a b");
  CHECK(whole->query == "x=%20+1?");
  CHECK(parse_target("http://host:1/a?b")->path == "/a");
  CHECK(parse_target("http://host")->path == "/");
  CHECK(parse_target("/http://host")->path == "/http://host");
  CHECK(parse_target("*")->path == "*");
}

TEST_CASE("a target that names no path is refused, and so is a NUL in it") {
  CHECK(parse_target("nowhere").is(Error::Kind::Invalid));
  CHECK(parse_target("").is(Error::Kind::Invalid));
  CHECK(parse_target("/%00").is(Error::Kind::Invalid));
}

TEST_CASE("a target that is sent has no line break, and comes back the same") {
  Request request;
  request.path = "/a b?c";
  request.query = "x=1\r\nForged: yes";
  CHECK(target_of(request) == "/a%20b%3Fc?x=1  Forged: yes");
  CHECK(parse_target(target_of(request))->path == request.path);
  request.path = "";
  request.query = "";
  CHECK(target_of(request) == "/");
}
