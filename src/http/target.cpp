// SPDX-License-Identifier: Apache-2.0
#include "http/target.h"

#include <algorithm>

namespace terway::http {

Result<Target> parse_target(std::string_view text) {
  if (const std::size_t scheme = text.find("://");
      scheme != std::string_view::npos && !text.starts_with('/')) {
    text.remove_prefix(std::min(text.find('/', scheme + 3), text.size()));
    if (text.empty()) text = "/";
  }
  if (text != "*" && !text.starts_with('/')) {
    return Error(Error::Kind::Invalid, "malformed HTTP: the request target");
  }
  const std::size_t question = std::min(text.find('?'), text.size());
  Target target;
  target.path = percent_decode(text.substr(0, question));
  target.query = text.substr(std::min(question + 1, text.size()));
  if (target.path.find('\0') != std::string::npos) {
    return Error(Error::Kind::Invalid, "malformed HTTP: a NUL in the path");
  }
  return target;
}

std::string target_of(const Request& request) {
  std::string text = request.path.empty() ? "/" : encode_path(request.path);
  if (!request.query.empty()) text.append("?").append(one_line(request.query));
  return text;
}

std::string one_line(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  return out;
}

}  // namespace terway::http
