// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

#include <doctest/doctest.h>

using namespace terway::http;

TEST_CASE("percent-encoding keeps the unreserved characters of RFC 3986 and nothing else") {
  CHECK(percent_encode("AZaz09-_.~") == "AZaz09-_.~");
  CHECK(percent_encode("a b*c/d:e+f") == "a%20b%2Ac%2Fd%3Ae%2Bf");
  CHECK(percent_encode(std::string_view("\0\xff", 2)) == "%00%FF");
}

TEST_CASE("form parameters are decoded, and of a repeated one the last counts") {
  const Parameters parameters = parse_parameters("a=1&b=x+y%20z&c&=empty&a=2&&d=%zz%4");
  CHECK(parameters.at("a") == "2");
  CHECK(parameters.at("b") == "x y z");
  CHECK(parameters.at("c").empty());
  CHECK(parameters.at("") == "empty");
  CHECK(parameters.at("d") == "%zz%4");
  CHECK(parameters.size() == 5);
}

TEST_CASE("what was percent-encoded comes back the same") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  CHECK(percent_decode(percent_encode(all)) == all);
  CHECK(parse_parameters(percent_encode(all) + "=" + percent_encode(all)).at(all) == all);
}

TEST_CASE("header names are found whatever their case") {
  const Headers headers = {{"X-Acs-Action", "RunInstances"}};
  CHECK(header(headers, "x-acs-action") == "RunInstances");
  CHECK(header(headers, "x-acs-version").empty());
}
