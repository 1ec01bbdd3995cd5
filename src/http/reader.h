// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 messages from and to bytes (RFC 9112).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"
#include "http/stream.h"

namespace terway::http {

inline constexpr std::size_t kMaxHead = 64 << 10;
inline constexpr std::size_t kMaxRequestBody = 16 << 20;
inline constexpr std::size_t kMaxResponseBody = 256 << 20;

// Reads the messages of one connection. Errors: Invalid (not HTTP), Exhausted (larger than the
// bounds above), Unavailable (from the stream). After an error the connection is of no more use.
class Reader {
 public:
  explicit Reader(Stream& stream) : stream_(stream) {}

  // nullopt when the peer closed instead of sending another one.
  Result<std::optional<Request>> read_request(Instant deadline);
  // The final response to a request of this method; interim (1xx) ones are passed over.
  Result<Response> read_response(std::string_view method, Instant deadline);

  // The last message allows another one on this connection.
  bool keep_alive() const { return keep_alive_; }
  // Bytes of a next message are here already.
  bool buffered() const { return !buffer_.empty() || stream_.buffered(); }
  // Anything has been received of the message that is being read.
  bool started() const { return started_; }

 private:
  Result<bool> fill(Instant deadline);  // false: closed
  Result<std::optional<std::string>> read_head(Instant deadline);
  Result<std::string> read_line(Instant deadline);
  Result<> read_exactly(std::size_t size, std::string& into, Instant deadline);
  Result<> read_chunked(std::size_t limit, std::string& into, Instant deadline);
  Result<> read_body(const Headers& headers, std::size_t limit, std::string& into,
                     Instant deadline);
  Result<> read_until_closed(std::size_t limit, std::string& into, Instant deadline);

  Stream& stream_;
  std::string buffer_;
  bool keep_alive_ = false;
  bool started_ = false;
};

// Heads are given without the empty line that ends them.
struct RequestHead {
  Request request;
  bool keep_alive = true;
};
Result<RequestHead> parse_request_head(std::string_view head);
struct ResponseHead {
  Response response;
  bool keep_alive = true;
};
Result<ResponseHead> parse_response_head(std::string_view head);

// Line breaks inside names and values become spaces: a value cannot forge a header.
std::string serialize(const Request& request);
// `keep_alive` false says "Connection: close". The body of an answer to HEAD is left out.
std::string serialize(const Response& response, std::string_view method, bool keep_alive);

}  // namespace terway::http
