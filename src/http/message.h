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
  std::string path = "/";  // decoded, without the query
  std::string query;       // raw, without "?"
  Headers headers;
  std::string body;
  std::string remote_address;  // server side: the peer's address; empty for a unix socket
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

// The header's value; empty when it is not there.
std::string_view header(const Headers& headers, std::string_view name);

// application/x-www-form-urlencoded, also a URL's query. What is no valid %XX is kept as it is.
Parameters parse_parameters(std::string_view encoded);
// RFC 3986 percent-encoding of everything but unreserved characters (A-Z a-z 0-9 - _ . ~).
std::string percent_encode(std::string_view text);
// The same for a whole path: what RFC 3986 3.3 allows in a path stays readable.
std::string encode_path(std::string_view path);
std::string percent_decode(std::string_view text);

}  // namespace terway::http
