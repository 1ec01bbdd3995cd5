// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>

#include "http/reader.h"

namespace terway::http {
namespace {

Error malformed(std::string_view what) {
  return Error(Error::Kind::Invalid, "malformed HTTP: " + std::string(what));
}

bool is_token(std::string_view text) {
  static constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           kOther.find(c) != std::string_view::npos;
  });
}

// One line without its end; moves `text` behind it.
std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view stripped(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

Result<Headers> parse_headers(std::string_view text) {
  Headers headers;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return malformed("a header line without a name");
    }
    const std::string_view value = stripped(line.substr(colon + 1));
    if (value.find('\0') != std::string_view::npos || value.find('\r') != std::string_view::npos) {
      return malformed("a control character in a header");
    }
    auto [at, fresh] = headers.try_emplace(std::string(line.substr(0, colon)), value);
    if (!fresh) at->second.append(", ").append(value);
  }
  return headers;
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    const std::string_view item = stripped(list.substr(0, end));
    if (!CaseLess()(item, word) && !CaseLess()(word, item)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

bool stays_open(std::string_view version, const Headers& headers) {
  const std::string_view connection = header(headers, "Connection");
  if (version == "HTTP/1.0") return has_word(connection, "keep-alive");
  return !has_word(connection, "close");
}

std::string one_line(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  return out;
}

void append_headers(std::string& out, const Headers& headers) {
  for (const auto& [name, value] : headers) {
    out.append(one_line(name)).append(": ").append(one_line(value)).append("\r\n");
  }
}

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Content Too Large";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

}  // namespace

Result<RequestHead> parse_request_head(std::string_view head) {
  const std::string_view line = next_line(head);
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return malformed("the request line");
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return malformed("a version other than HTTP/1.0 and HTTP/1.1");
  }
  RequestHead parsed;
  Request& request = parsed.request;
  request.method = line.substr(0, first);
  if (!is_token(request.method)) return malformed("the method");
  std::string_view target = line.substr(first + 1, last - first - 1);
  if (const std::size_t scheme = target.find("://");
      scheme != std::string_view::npos && !target.starts_with('/')) {
    target.remove_prefix(std::min(target.find('/', scheme + 3), target.size()));
    if (target.empty()) target = "/";
  }
  if (target != "*" && !target.starts_with('/')) return malformed("the request target");
  if (std::any_of(target.begin(), target.end(), [](char c) { return c >= 0 && c <= ' '; })) {
    return malformed("a space or control character in the request target");
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  request.query = target.substr(std::min(question + 1, target.size()));
  request.path = percent_decode(target.substr(0, question));
  if (request.path.find('\0') != std::string::npos) return malformed("a NUL in the path");
  request.headers = TRY(parse_headers(head));
  parsed.keep_alive = stays_open(version, request.headers);
  return parsed;
}

Result<ResponseHead> parse_response_head(std::string_view head) {
  const std::string_view line = next_line(head);
  const auto digit = [&](std::size_t at) { return line[at] >= '0' && line[at] <= '9'; };
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ' || !digit(9) ||
      !digit(10) || !digit(11) || (line.size() > 12 && line[12] != ' ')) {
    return malformed("the status line");
  }
  ResponseHead parsed;
  parsed.response.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  parsed.response.headers = TRY(parse_headers(head));
  parsed.keep_alive = stays_open(line.substr(0, 8), parsed.response.headers);
  return parsed;
}

std::string serialize(const Request& request) {
  std::string out =
      one_line(request.method) + " " + (request.path.empty() ? "/" : encode_path(request.path));
  if (!request.query.empty()) out.append("?").append(one_line(request.query));
  out.append(" HTTP/1.1\r\n");
  Headers headers = request.headers;
  headers.erase("Transfer-Encoding");
  headers.erase("Content-Length");
  const bool may_have_body =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (may_have_body || !request.body.empty()) {
    headers["Content-Length"] = std::to_string(request.body.size());
  }
  append_headers(out, headers);
  out.append("\r\n").append(request.body);
  return out;
}

std::string serialize(const Response& response, std::string_view method, bool keep_alive) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_of(response.status));
  Headers headers = response.headers;
  headers.erase("Transfer-Encoding");
  headers.erase("Content-Length");
  const bool bodiless = response.status == 204 || response.status == 304 || response.status < 200;
  if (!bodiless) headers["Content-Length"] = std::to_string(response.body.size());
  if (!keep_alive) headers["Connection"] = "close";
  append_headers(out, headers);
  out.append("\r\n");
  if (!bodiless && method != "HEAD") out.append(response.body);
  return out;
}

}  // namespace terway::http
