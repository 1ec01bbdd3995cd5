// SPDX-License-Identifier: Apache-2.0
// What a request asks for (RFC 9112 3.2), to and from its text.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace terway::http {

struct Target {
  std::string path;   // decoded
  std::string query;  // raw, without "?"
};

// "/a%20b?x=1", "http://host/a?x=1" or "*". Invalid: anything else, or a NUL in the path.
Result<Target> parse_target(std::string_view text);

// Line breaks become spaces: a path, query or header value cannot forge a header.
std::string target_of(const Request& request);
std::string one_line(std::string_view text);

}  // namespace terway::http
