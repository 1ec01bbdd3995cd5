// SPDX-License-Identifier: Apache-2.0
// The URL of an endpoint: where to connect, without a path.
#pragma once

#include <string>

#include "base/result.h"

namespace terway::http {

struct Url {
  bool tls = false;
  std::string host;  // as connected to; brackets of IPv6 removed
  std::string port;
  std::string host_header;

  // "http(s)://host[:port][/]"; else Invalid.
  static Result<Url> parse(const std::string& text);
};

}  // namespace terway::http
