// SPDX-License-Identifier: Apache-2.0
#include "http/reader.h"

#include <algorithm>
#include <charconv>

namespace terway::http {
namespace {

Error malformed(std::string_view what) {
  return Error(Error::Kind::Invalid, "malformed HTTP: " + std::string(what));
}
Error too_large(std::string_view what) {
  return Error(Error::Kind::Exhausted, "HTTP " + std::string(what) + " is too large");
}
Error cut_short() {
  return Error(Error::Kind::Unavailable, "connection lost (closed inside a message)");
}

// The empty line that ends a head: where it begins, and where what follows it begins.
struct HeadEnd {
  std::size_t begin = std::string_view::npos;
  std::size_t after = 0;
};
HeadEnd find_head_end(std::string_view text) {
  for (std::size_t at = text.find('\n'); at != std::string_view::npos;
       at = text.find('\n', at + 1)) {
    if (text.substr(at + 1).starts_with("\r\n")) return {at, at + 3};
    if (text.substr(at + 1).starts_with("\n")) return {at, at + 2};
  }
  return {};
}

std::optional<std::size_t> parse_size(std::string_view text, int base) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<bool> Reader::fill(Instant deadline) {
  char chunk[16384];
  const std::size_t got = TRY(stream_.read(chunk, sizeof chunk, deadline));
  buffer_.append(chunk, got);
  started_ = started_ || got > 0;
  return got > 0;
}

Result<std::optional<std::string>> Reader::read_head(Instant deadline) {
  started_ = !buffer_.empty();
  keep_alive_ = false;
  while (true) {
    // RFC 9112 2.2: empty lines before a request line are passed over.
    while (buffer_.starts_with("\r\n") || buffer_.starts_with("\n")) {
      buffer_.erase(0, buffer_.front() == '\n' ? 1 : 2);
    }
    if (const HeadEnd end = find_head_end(buffer_); end.begin != std::string_view::npos) {
      if (end.begin > kMaxHead) return too_large("head");
      std::string head = buffer_.substr(0, end.begin);
      buffer_.erase(0, end.after);
      return std::optional(std::move(head));
    }
    if (buffer_.size() > kMaxHead) return too_large("head");
    if (TRY(fill(deadline))) continue;
    if (buffer_.empty()) return std::optional<std::string>();
    return cut_short();
  }
}

Result<std::string> Reader::read_line(Instant deadline) {
  std::size_t end = 0;
  while ((end = buffer_.find('\n')) == std::string::npos) {
    if (buffer_.size() > kMaxHead) return too_large("chunk line");
    if (!TRY(fill(deadline))) return cut_short();
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

Result<> Reader::read_exactly(std::size_t size, std::string& into, Instant deadline) {
  const std::size_t here = std::min(size, buffer_.size());
  into.append(buffer_, 0, here);
  buffer_.erase(0, here);
  std::size_t left = size - here;
  // Grows as bytes arrive: a peer that only announces a large body costs no memory.
  char chunk[65536];
  while (left > 0) {
    const std::size_t got = TRY(stream_.read(chunk, std::min(left, sizeof chunk), deadline));
    if (got == 0) return cut_short();
    into.append(chunk, got);
    left -= got;
  }
  return Ok{};
}

Result<> Reader::read_chunked(std::size_t limit, std::string& into, Instant deadline) {
  while (true) {
    std::string line = TRY(read_line(deadline));
    if (const std::size_t extension = line.find(';'); extension != std::string::npos) {
      line.resize(extension);
    }
    while (line.ends_with(' ') || line.ends_with('\t')) line.pop_back();
    const auto size = parse_size(line, 16);
    if (!size) return malformed("the size of a chunk");
    if (*size > limit - into.size()) return too_large("body");
    if (*size == 0) break;
    TRY(read_exactly(*size, into, deadline));
    if (!TRY(read_line(deadline)).empty()) return malformed("the end of a chunk");
  }
  std::size_t trailers = 0;
  while (true) {
    const std::string line = TRY(read_line(deadline));
    if (line.empty()) return Ok{};
    trailers += line.size();
    if (trailers > kMaxHead) return too_large("trailer");
  }
}

Result<> Reader::read_until_closed(std::size_t limit, std::string& into, Instant deadline) {
  while (TRY(fill(deadline))) {
    if (buffer_.size() > limit) return too_large("body");
  }
  into = std::move(buffer_);
  buffer_.clear();
  return Ok{};
}

Result<> Reader::read_body(const Headers& headers, std::size_t limit, std::string& into,
                           Instant deadline) {
  const std::string_view length = header(headers, "Content-Length");
  if (const std::string_view coding = header(headers, "Transfer-Encoding"); !coding.empty()) {
    if (coding != "chunked") return malformed("a Transfer-Encoding other than chunked");
    // RFC 9112 6.3: both at once is how requests are smuggled.
    if (!length.empty()) return malformed("Content-Length beside Transfer-Encoding");
    return read_chunked(limit, into, deadline);
  }
  const auto size = parse_size(length, 10);
  if (!size) return malformed("Content-Length is not a number");
  if (*size > limit) return too_large("body");
  return read_exactly(*size, into, deadline);
}

Result<std::optional<Request>> Reader::read_request(Instant deadline) {
  auto head = TRY(read_head(deadline));
  if (!head) return std::optional<Request>();
  RequestHead parsed = TRY(parse_request_head(*head));
  Request& request = parsed.request;
  // A request with neither header has no body (RFC 9112 6.3), whatever its method.
  if (request.headers.contains("Content-Length") || request.headers.contains("Transfer-Encoding")) {
    const std::string_view expect = header(request.headers, "Expect");
    if (expect == "100-continue" && buffer_.empty()) {
      TRY(stream_.write("HTTP/1.1 100 Continue\r\n\r\n", deadline));
    }
    TRY(read_body(request.headers, kMaxRequestBody, request.body, deadline));
  }
  keep_alive_ = parsed.keep_alive;
  started_ = false;
  return std::optional(std::move(request));
}

Result<Response> Reader::read_response(std::string_view method, Instant deadline) {
  while (true) {
    auto head = TRY(read_head(deadline));
    if (!head) return Error(Error::Kind::Unavailable, "connection lost (closed before the answer)");
    ResponseHead parsed = TRY(parse_response_head(*head));
    Response& response = parsed.response;
    if (response.status == 101) return malformed("an upgrade that nobody asked for");
    if (response.status < 200) continue;
    const bool bodiless = method == "HEAD" || response.status == 204 || response.status == 304;
    const bool framed = response.headers.contains("Content-Length") ||
                        response.headers.contains("Transfer-Encoding");
    if (!bodiless && framed) {
      TRY(read_body(response.headers, kMaxResponseBody, response.body, deadline));
    } else if (!bodiless) {
      TRY(read_until_closed(kMaxResponseBody, response.body, deadline));
    }
    keep_alive_ = parsed.keep_alive && (bodiless || framed);
    started_ = false;
    return std::move(parsed.response);
  }
}

}  // namespace terway::http
