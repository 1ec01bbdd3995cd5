// SPDX-License-Identifier: Apache-2.0
// The server against peers that speak bytes.
#include "http/server.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <string>

#include "http/client.h"
#include "http/raw_peer.h"

using namespace terway;
using namespace terway::http;

namespace {

Response describe(const Request& request) {
  if (request.path == "/lost") return {0, {}, ""};
  const std::string_view x = header(request.headers, "X");
  return {200,
          {},
          request.method + " " + request.path + "|" + request.query + "|" + std::string(x) + "|" +
              request.body + "\n"};
}

std::unique_ptr<Server> started(const Listen& listen = {}) {
  auto server = Server::start(listen, describe);
  REQUIRE(server.ok());
  return std::move(server).value();
}

std::string answer_of(const Server& server, std::string_view text, std::size_t piece = 100000) {
  const UniqueFd fd = connected_to(server.port());
  send_text(fd.get(), text, piece);
  ::shutdown(fd.get(), SHUT_WR);
  return read_until_closed(fd.get());
}

std::string status_of(const Server& server, std::string_view text) {
  return answer_of(server, text).substr(0, 12);
}

}  // namespace

TEST_CASE("requests are read the same however the bytes are cut") {
  const auto server = started();
  const std::string text =
      "POST /a%20b?x=%20+1 HTTP/1.1\r\nHost: h\r\nX:  1 \r\nx: 2\r\nContent-Length: 5\r\n\r\n"
      "helloPUT /token HTTP/1.1\r\n\r\n"
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
  const std::string expected =
      "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\nPOST /a b|x=%20+1|1, 2|hello\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nPUT /token|||\n"
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 23\r\n\r\n"
      "POST /|||abc0123456789\n";
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 64U, 10000U}) {
    CHECK(answer_of(*server, text, piece) == expected);
  }
}

TEST_CASE("what is not HTTP is answered 400") {
  const auto server = started();
  for (const char* text : {
           "GET /\r\n\r\n",
           "GET / HTTP/2.0\r\n\r\n",
           "SSH-2.0-OpenSSH_9.2\r\n\r\n",
           "\x16\x03\x01\r\n\r\n",
           "GET nowhere HTTP/1.1\r\n\r\n",
           "GET /%00 HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nno colon\r\n\r\n",
           "GET / HTTP/1.1\r\nSpace : b\r\n\r\n",
       }) {
    CAPTURE(text);
    CHECK(status_of(*server, text) == "HTTP/1.1 400");
  }
}

TEST_CASE("bodies whose length is in doubt are answered 400, too large ones 413") {
  const auto server = started();
  const auto post = [&](const std::string& rest) {
    CAPTURE(rest);
    return status_of(*server, "POST / HTTP/1.1\r\n" + rest);
  };
  CHECK(post("Content-Length: -1\r\n\r\n") == "HTTP/1.1 400");
  CHECK(post("Content-Length: 1\r\nContent-Length: 2\r\n\r\nab") == "HTTP/1.1 400");
  CHECK(post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") == "HTTP/1.1 400");
  CHECK(post("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n") == "HTTP/1.1 400");
  CHECK(post("Transfer-Encoding: gzip\r\n\r\n") == "HTTP/1.1 400");
  CHECK(post("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n") == "HTTP/1.1 400");
  CHECK(post("Transfer-Encoding: chunked\r\n\r\n-1\r\n") == "HTTP/1.1 400");
  CHECK(post("Content-Length: 16777217\r\n\r\n") == "HTTP/1.1 413");
  CHECK(post("Content-Length: 99999999999999999999\r\n\r\n") == "HTTP/1.1 400");
  CHECK(post("Transfer-Encoding: chunked\r\n\r\nfffffffffffffff0\r\n") == "HTTP/1.1 413");
  CHECK(post("A: " + std::string(65 << 10, 'x')) == "HTTP/1.1 431");
  // Nobody is there to be told.
  CHECK(post("Content-Length: 5\r\n\r\nabc").empty());
  CHECK(status_of(*server, "GET / HT").empty());
}

TEST_CASE("a client that waits for 100 Continue gets it") {
  const auto server = started();
  const UniqueFd fd = connected_to(server->port());
  send_text(fd.get(), "POST / HTTP/1.0\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n", 1000);
  CHECK(read_head(fd.get()) == "HTTP/1.1 100 Continue\r\n\r\n");
  send_text(fd.get(), "ok", 2);
  CHECK(read_until_closed(fd.get()).ends_with("POST /|||ok\n"));
}

TEST_CASE("status 0 closes the connection without an answer") {
  const auto server = started();
  CHECK(answer_of(*server, "GET /lost HTTP/1.1\r\n\r\n").empty());
}

TEST_CASE("a header's value cannot forge another header") {
  auto server = Server::start({}, [](const Request&) {
    return Response{200, {{"X", "a\r\nSet-Cookie: b"}, {"Content-Length", "9"}}, "body"};
  });
  REQUIRE(server.ok());
  CHECK(answer_of(**server, "GET / HTTP/1.1\r\n\r\n") ==
        "HTTP/1.1 200 OK\r\nX: a  Set-Cookie: b\r\nContent-Length: 4\r\n\r\nbody");
}

TEST_CASE("an IPv4 peer of an IPv6 socket has its IPv4 address") {
  Listen listen;
  listen.address = "::";
  auto server = Server::start(
      listen, [](const Request& request) { return Response{200, {}, request.remote_address}; });
  if (!server.ok()) {
    std::printf("SKIP: http_test: no IPv6 here: %s\n", server.error().message().c_str());
    return;
  }
  Endpoint endpoint;
  endpoint.url = "http://127.0.0.1:" + std::to_string((*server)->port());
  CHECK(Client(endpoint).send({})->body == "127.0.0.1");
  endpoint.url = "http://[::1]:" + std::to_string((*server)->port());
  CHECK(Client(endpoint).send({})->body == "::1");
}
