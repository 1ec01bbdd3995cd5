// SPDX-License-Identifier: Apache-2.0
// An HTTP request and its response as values (RFC 9110), the same on both sides.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace terway::http {

struct CaseLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const;
};
// Names compare without case; a repeated header's values are joined by ", ".
using Headers = std::map<std::string, std::string, CaseLess>;
// Decoded query or form parameters. Of a repeated one the last counts.
using Parameters = std::map<std::string, std::string, std::less<>>;

struct Request {
  std::string method = "GET";
  std::string path = "/";       // decoded, without the query
  std::string query;            // raw, without "?"
  Headers headers;
  std::string body;
  std::string remote_address;   // server side: the peer's address; empty for a unix socket
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

// application/x-www-form-urlencoded, also a URL's query.
Parameters parse_parameters(std::string_view encoded);
// RFC 3986 percent-encoding of everything but unreserved characters (A-Z a-z 0-9 - _ . ~).
std::string percent_encode(std::string_view text);

}  // namespace terway::http
