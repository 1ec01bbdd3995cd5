// SPDX-License-Identifier: Apache-2.0
#include "http/url.h"

#include <fmt/core.h>

#include <algorithm>

namespace terway::http {

Result<Url> Url::parse(const std::string& text) {
  const Error bad(Error::Kind::Invalid,
                  fmt::format("endpoint \"{}\": not of the form http(s)://host[:port]", text));
  std::string_view rest = text;
  Url url;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad;
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  url.host_header = rest;
  if (rest.starts_with('[')) {
    const std::size_t bracket = rest.find(']');
    if (bracket == std::string_view::npos) return bad;
    url.host = rest.substr(1, bracket - 1);
    rest.remove_prefix(bracket + 1);
  } else {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    url.host = rest.substr(0, colon);
    rest.remove_prefix(colon);
  }
  url.port = url.tls ? "443" : "80";
  if (rest.starts_with(':')) {
    url.port = rest.substr(1);
    rest = {};
  }
  const bool digits =
      !url.port.empty() && url.port.size() <= 5 &&
      std::all_of(url.port.begin(), url.port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!rest.empty() || url.host.empty() || !digits || url.host.find('/') != std::string::npos) {
    return bad;
  }
  return url;
}

}  // namespace terway::http
