// SPDX-License-Identifier: Apache-2.0
// The client against servers that speak bytes.
#include "http/client.h"

#include <doctest/doctest.h>

#include <string>

#include "http/raw_peer.h"

using namespace terway;
using namespace terway::http;

namespace {

Client client_of(const RawServer& server) {
  Endpoint endpoint;
  endpoint.url = server.url();
  return Client(endpoint);
}

// What a client makes of this answer, which is followed by the end of the connection.
Result<Response> read(const std::string& text, const std::string& method = "GET") {
  RawServer server;
  server.behave({[&text](int fd) {
    read_head(fd);
    send_text(fd, text, 5);
  }});
  Request request;
  request.method = method;
  return client_of(server).send(request);
}

// Answers a request and returns its head.
std::string answer(int fd) {
  std::string head = read_head(fd);
  send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 1000);
  return head;
}

}  // namespace

TEST_CASE("responses end by length, by chunks, by closing, or have no body") {
  CHECK(
      read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhixx")->body ==
      "hi");
  CHECK(read("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")->body ==
        "hi");
  CHECK(read("HTTP/1.0 200 OK\r\n\r\nuntil the end")->body == "until the end");
  CHECK(read("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "HEAD")->body.empty());
  CHECK(read("HTTP/1.1 204 No Content\r\n\r\n")->status == 204);
  CHECK(read("HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n")->headers.at("A") ==
        "1, 2");
}

TEST_CASE("an answer that is none is told from a connection that is lost") {
  CHECK(read("").is(Error::Kind::Unavailable));
  CHECK(read("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").is(Error::Kind::Unavailable));
  CHECK(read("SMTP ready\r\n\r\n").is(Error::Kind::Invalid));
  CHECK(read("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
            .is(Error::Kind::Invalid));
}

TEST_CASE(
    "a request whose kept connection ends unanswered is sent once more, unless it is a POST") {
  const auto answer_once_then_close = [](int fd) {
    answer(fd);
    read_head(fd);
  };
  for (const std::string method : {"GET", "PUT", "DELETE", "POST", "PATCH"}) {
    CAPTURE(method);
    RawServer server;
    server.behave({answer_once_then_close, answer});
    Client client = client_of(server);
    Request request;
    REQUIRE(client.send(request).ok());
    request.method = method;
    const auto response = client.send(request);
    const bool resent = method != "POST" && method != "PATCH";
    CHECK(response.ok() == resent);
    if (!resent) {
      CHECK(response.is(Error::Kind::Unavailable));
      CHECK(client.send({}).ok());
    }
  }
}

TEST_CASE("a new connection that ends unanswered is not tried again") {
  RawServer server;
  server.behave({[](int fd) { read_head(fd); }, answer});
  Client client = client_of(server);
  const auto response = client.send({});
  REQUIRE(!response.ok());
  CHECK(response.error().kind() == Error::Kind::Unavailable);
  CHECK(response.error().message().find("closed before the answer") != std::string::npos);
  CHECK(client.send({}).ok());
}

TEST_CASE("a server that never answers ends in a timeout") {
  RawServer server;
  Endpoint endpoint;
  endpoint.url = server.url();
  endpoint.total_timeout = std::chrono::milliseconds(50);
  const auto response = Client(endpoint).send({});
  REQUIRE(!response.ok());
  CHECK(response.error().kind() == Error::Kind::Unavailable);
  CHECK(response.error().message().find("timed out") != std::string::npos);
}

TEST_CASE("a request is written with the path encoded, the query raw and the length of its body") {
  std::string seen;
  RawServer server;
  server.behave({[&seen](int fd) { seen = answer(fd); }});
  Request request;
  request.method = "PUT";
  request.path = "/a b";
  request.query = "x=%2B";
  request.headers = {{"Host", "elsewhere"}, {"X", "1\r\n2"}, {"Content-Length", "7"}};
  CHECK(client_of(server).send(request)->body == "hi");
  server.join();
  CHECK(seen ==
        "PUT /a%20b?x=%2B HTTP/1.1\r\nHost: elsewhere\r\nX: 1  2\r\nContent-Length: 0\r\n\r\n");
}
