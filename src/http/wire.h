// SPDX-License-Identifier: Apache-2.0
// Boost.Beast's streams and messages as client and server use them. Slow to compile: for client.cpp
// and server.cpp alone.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <sstream>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http/socket.h"
#include "http/target.h"

namespace terway::http {

namespace beast = boost::beast;
namespace wire = boost::beast::http;

// A connected socket on which each operation has a deadline.
using PlainStream = beast::basic_stream<Protocol, Executor>;
using TlsStream = asio::ssl::stream<PlainStream>;

inline constexpr std::uint32_t kMaxHead = 64 << 10;
inline constexpr std::uint64_t kMaxRequestBody = 16 << 20;
inline constexpr std::uint64_t kMaxResponseBody = 256 << 20;
// What is read at once; Beast would begin with 512 bytes.
inline constexpr std::size_t kReadBuffer = 16 << 10;

inline Headers headers_of(const wire::fields& fields) {
  Headers headers;
  for (const auto& field : fields) {
    const std::string_view value(field.value().data(), field.value().size());
    auto [at, fresh] = headers.try_emplace(std::string(field.name_string()), value);
    if (!fresh) at->second.append(", ").append(value);
  }
  return headers;
}

// All but those that say how long the body is: they follow from the body.
inline void set_headers(wire::fields& fields, const Headers& headers) {
  for (const auto& [name, value] : headers) fields.insert(one_line(name), one_line(value));
  fields.erase(wire::field::content_length);
  fields.erase(wire::field::transfer_encoding);
}

// The message as it is sent, in one piece: Beast's own writing would be compiled for every stream
// and every kind of buffer, which takes longer than all the rest.
template <bool kIsRequest>
std::string text_of(const wire::message<kIsRequest, wire::empty_body>& head,
                    std::string_view body) {
  std::ostringstream text;
  text << head.base();
  return std::move(text).str().append(body);
}

// The bytes are not HTTP, or larger than the bounds above: unlike a connection that is lost.
inline bool malformed(const error_code& error) {
  static const auto& category = wire::make_error_code(wire::error::bad_method).category();
  return error.category() == category && error != wire::error::end_of_stream &&
         error != wire::error::partial_message;
}

}  // namespace terway::http
