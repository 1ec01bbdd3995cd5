// SPDX-License-Identifier: Apache-2.0
#include "http/reader.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace terway;
using namespace terway::http;

namespace {

// Hands out a text in pieces of a given size, then says that the peer has closed.
class TextStream final : public Stream {
 public:
  TextStream(std::string text, std::size_t piece) : text_(std::move(text)), piece_(piece) {}
  Result<std::size_t> read(char* into, std::size_t size, Instant) override {
    const std::size_t count = std::min({size, piece_, text_.size() - at_});
    text_.copy(into, count, at_);
    at_ += count;
    return count;
  }
  Result<> write(std::string_view data, Instant) override {
    written += data;
    return Ok{};
  }
  bool buffered() const override { return false; }
  std::string written;

 private:
  std::string text_;
  std::size_t piece_;
  std::size_t at_ = 0;
};

Error::Kind refusal(std::string text) {
  TextStream stream(std::move(text), 1000);
  auto request = Reader(stream).read_request(now());
  REQUIRE(!request.ok());
  return request.error().kind();
}

}  // namespace

TEST_CASE("requests are read the same however the bytes are cut") {
  const std::string text =
      "\r\nPOST /a%20b?x=%20+1 HTTP/1.1\r\nHost: h\r\nX:  1 \r\nx: 2\r\nContent-Length: 5\r\n\r\n"
      "helloPUT /token HTTP/1.1\r\n\r\n"
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 64U, 10000U}) {
    TextStream stream(text, piece);
    Reader reader(stream);
    auto first = reader.read_request(now());
    REQUIRE(first.ok());
    REQUIRE(first->has_value());
    CHECK((**first).method == "POST");
    CHECK((**first).path == "/a b");
    CHECK((**first).query == "x=%20+1");
    CHECK((**first).headers.at("X") == "1, 2");
    CHECK((**first).body == "hello");
    CHECK(reader.keep_alive());
    auto second = reader.read_request(now());
    REQUIRE(second.ok());
    CHECK((**second).method == "PUT");
    CHECK((**second).body.empty());
    auto third = reader.read_request(now());
    REQUIRE(third.ok());
    CHECK((**third).body == "abc0123456789");
    CHECK(!reader.keep_alive());
    auto none = reader.read_request(now());
    REQUIRE(none.ok());
    CHECK(!none->has_value());
  }
}

TEST_CASE("what is not HTTP is refused") {
  CHECK(refusal("GET /\r\n\r\n") == Error::Kind::Invalid);
  CHECK(refusal("GET / HTTP/2.0\r\n\r\n") == Error::Kind::Invalid);
  CHECK(refusal("GET nowhere HTTP/1.1\r\n\r\n") == Error::Kind::Invalid);
  CHECK(refusal("GET /%00 HTTP/1.1\r\n\r\n") == Error::Kind::Invalid);
  CHECK(refusal("GET / HTTP/1.1\r\nno colon\r\n\r\n") == Error::Kind::Invalid);
  CHECK(refusal("GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n") == Error::Kind::Invalid);
  CHECK(refusal("GET / HTTP/1.1\r\nSpace : b\r\n\r\n") == Error::Kind::Invalid);
}

TEST_CASE("bodies whose length is in doubt are refused") {
  CHECK(refusal("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n") == Error::Kind::Invalid);
  CHECK(refusal("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab") ==
        Error::Kind::Invalid);
  CHECK(refusal("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        Error::Kind::Invalid);
  CHECK(refusal("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n") == Error::Kind::Invalid);
  CHECK(refusal("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n") ==
        Error::Kind::Invalid);
  CHECK(refusal("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n") ==
        Error::Kind::Exhausted);
  CHECK(refusal("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff0\r\n") ==
        Error::Kind::Exhausted);
  CHECK(refusal("GET / HTTP/1.1\r\nA: " + std::string(kMaxHead + 1, 'x')) ==
        Error::Kind::Exhausted);
  CHECK(refusal("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc") == Error::Kind::Unavailable);
}

TEST_CASE("a client that waits for 100 Continue gets it") {
  TextStream stream("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok", 60);
  auto request = Reader(stream).read_request(now());
  REQUIRE(request.ok());
  CHECK(stream.written == "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST_CASE("responses end by length, by chunks, by closing, or have no body") {
  const auto read = [](std::string text, std::string_view method) {
    TextStream stream(std::move(text), 5);
    return Reader(stream).read_response(method, now());
  };
  CHECK(read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhixx", "GET")
            ->body == "hi");
  CHECK(
      read("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "GET")->body ==
      "hi");
  CHECK(read("HTTP/1.0 200 OK\r\n\r\nuntil the end", "GET")->body == "until the end");
  CHECK(read("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "HEAD")->body.empty());
  CHECK(read("HTTP/1.1 204 No Content\r\n\r\n", "GET")->status == 204);
  CHECK(read("", "GET").is(Error::Kind::Unavailable));
  CHECK(read("SMTP ready\r\n\r\n", "GET").is(Error::Kind::Invalid));
}

TEST_CASE("a header's value cannot forge another header") {
  const Response response{200, {{"X", "a\r\nSet-Cookie: b"}}, "body"};
  const std::string text = serialize(response, "GET", true);
  TextStream stream(text, 1000);
  auto read = Reader(stream).read_response("GET", now());
  REQUIRE(read.ok());
  CHECK(read->headers.at("X") == "a  Set-Cookie: b");
  CHECK(read->headers.size() == 2);
}
