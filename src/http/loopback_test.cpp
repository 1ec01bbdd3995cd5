// SPDX-License-Identifier: Apache-2.0
// Client against server, over real sockets.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "http/client.h"
#include "http/raw_peer.h"
#include "http/server.h"

using namespace terway;
using namespace terway::http;

namespace {

struct ScratchDirectory {
  std::filesystem::path path;
  ScratchDirectory() {
    char name[] = "/tmp/http_test.XXXXXX";
    path = ::mkdtemp(name);
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string file(const char* name) const { return (path / name).string(); }
};

// A CA and a server certificate for localhost and 127.0.0.1, by the openssl command.
struct Certificates {
  ScratchDirectory directory;
  std::string ca = directory.file("ca.pem");
  std::string certificate = directory.file("server.pem");
  std::string key = directory.file("server.key");
  bool made = false;

  Certificates() {
    const std::string command =
        "cd " + directory.path.string() +
        " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        " -subj '/CN=test CA' -keyout ca.key -out ca.pem"
        " && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server"
        " -keyout server.key -out server.csr"
        " && printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > extensions"
        " && openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
        " -extfile extensions -out server.pem";
    // NOLINTNEXTLINE(cert-env33-c): nothing in it comes from outside.
    made = std::system(("{ " + command + "; } >/dev/null 2>&1").c_str()) == 0;
  }
};

Response echo(const Request& request) {
  if (request.path == "/throw") throw std::runtime_error("the handler failed");
  if (request.path == "/throw-int") throw 7;
  Response response;
  response.headers["Content-Type"] = "text/plain";
  response.headers["X-Query"] = request.query;
  response.headers["X-Peer"] = request.remote_address;
  response.body = request.method + " " + request.path + " " + request.body;
  return response;
}

std::unique_ptr<Server> started(const Listen& listen, Handler handler = echo) {
  auto server = Server::start(listen, std::move(handler));
  REQUIRE_MESSAGE(server.ok(), (server.ok() ? "" : server.error().to_string()));
  return std::move(server).value();
}

Client client_of(const Server& server, const char* scheme = "http", std::string ca = "") {
  Endpoint endpoint;
  endpoint.url = std::string(scheme) + "://127.0.0.1:" + std::to_string(server.port());
  endpoint.ca_path = std::move(ca);
  return Client(endpoint);
}

}  // namespace

TEST_CASE("method, path, raw query, body and peer arrive") {
  const auto server = started({});
  Client client = client_of(*server);
  Request request;
  request.method = "POST";
  request.path = "/a b";
  request.query = "Signature=a%2Bb%3D&x=1+2";
  request.body = "hello";
  const auto response = client.send(request);
  REQUIRE(response.ok());
  CHECK(response->status == 200);
  CHECK(response->body == "POST /a b hello");
  CHECK(response->headers.at("x-query") == "Signature=a%2Bb%3D&x=1+2");
  CHECK(response->headers.at("X-Peer") == "127.0.0.1");
}

TEST_CASE("one connection carries many requests, and is made anew after the server restarted") {
  Listen listen;
  auto server = started(listen);
  listen.port = server->port();
  Client client = client_of(*server);
  for (int i = 0; i < 100; ++i) REQUIRE(client.send({}).ok());
  server.reset();
  server = started(listen);
  Request post;
  post.method = "POST";
  CHECK(client.send(post).ok());
  CHECK(client.send({}).ok());
}

TEST_CASE("an exception in the handler answers 500 and the connection goes on") {
  const auto server = started({});
  Client client = client_of(*server);
  Request request;
  request.path = "/throw";
  auto response = client.send(request);
  REQUIRE(response.ok());
  CHECK(response->status == 500);
  CHECK(response->body == "the handler failed\n");
  request.path = "/throw-int";
  CHECK(client.send(request)->status == 500);
  CHECK(client.send({})->status == 200);
}

TEST_CASE("HEAD answers without the body that GET would have") {
  const auto server = started({});
  Client client = client_of(*server);
  Request request;
  request.method = "HEAD";
  for (int i = 0; i < 2; ++i) {
    const auto response = client.send(request);
    REQUIRE(response.ok());
    CHECK(response->body.empty());
    CHECK(response->headers.at("Content-Length") == "7");
  }
}

TEST_CASE("large bodies pass both ways, larger ones than allowed are refused") {
  const auto server =
      started({}, [](const Request& request) { return Response{200, {}, request.body}; });
  Client client = client_of(*server);
  Request request;
  request.method = "PUT";
  request.body.resize(8 << 20);
  for (std::size_t i = 0; i < request.body.size(); ++i) {
    request.body[i] = static_cast<char>(i * 31 / 7);
  }
  const auto response = client.send(request);
  REQUIRE(response.ok());
  CHECK((response->body == request.body));
  request.body.resize((16 << 20) + 1);
  const auto refused = client.send(request);
  // The server may close before all of it is sent, so the answer may be lost.
  CHECK((!refused.ok() || refused->status == 413));
  CHECK(client.send({}).ok());
}

TEST_CASE("idle connections hold no worker, concurrent clients are all answered") {
  Listen listen;
  listen.threads = 2;
  const auto server = started(listen);
  std::vector<Client> idle;
  for (int i = 0; i < 50; ++i) {
    idle.push_back(client_of(*server));
    REQUIRE(idle.back().send({}).ok());
  }
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      Client client = client_of(*server);
      Request request;
      request.method = "POST";
      request.body = std::to_string(t);
      for (int i = 0; i < 200; ++i) {
        const auto response = client.send(request);
        if (response.ok() && response->body == "POST / " + request.body) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 1600);
  for (Client& client : idle) CHECK(client.send({}).ok());
}

TEST_CASE("stopping waits for a request in progress and for nothing else") {
  std::atomic<bool> entered = false;
  std::atomic<bool> left = false;
  auto server = started({}, [&](const Request& request) {
    if (request.path == "/slow") {
      entered = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      left = true;
    }
    return Response{};
  });
  Client idle = client_of(*server);
  REQUIRE(idle.send({}).ok());
  // Half a request: nobody waits for its other half.
  const UniqueFd half = connected_to(server->port());
  const std::string_view start = "POST / HTTP/1.1\r\nContent-Le";
  REQUIRE(::send(half.get(), start.data(), start.size(), 0) == static_cast<ssize_t>(start.size()));
  std::thread slow([&, client = client_of(*server)]() mutable {
    Request request;
    request.path = "/slow";
    CHECK(client.send(request).ok());
  });
  while (!entered) std::this_thread::yield();
  server.reset();
  CHECK(left);
  slow.join();
}

TEST_CASE("TLS: a trusted certificate serves, an unknown CA or another name is denied") {
  const Certificates certificates;
  REQUIRE(certificates.made);
  Listen listen;
  listen.certificate_path = certificates.certificate;
  listen.key_path = certificates.key;
  const auto server = started(listen);

  Client trusted = client_of(*server, "https", certificates.ca);
  Request request;
  request.method = "POST";
  request.body.assign(1 << 20, 'x');
  for (int i = 0; i < 3; ++i) {
    const auto response = trusted.send(request);
    REQUIRE_MESSAGE(response.ok(), (response.ok() ? "" : response.error().to_string()));
    CHECK(response->body.size() == request.body.size() + 7);
  }

  Client unknown_ca = client_of(*server, "https");
  CHECK(unknown_ca.send({}).is(Error::Kind::Denied));

  Endpoint other;
  other.url = "https://127.0.0.2:" + std::to_string(server->port());
  other.ca_path = certificates.ca;
  Listen elsewhere = listen;
  elsewhere.address = "127.0.0.2";
  elsewhere.port = server->port();
  const auto second = started(elsewhere);
  CHECK(Client(other).send({}).is(Error::Kind::Denied));

  CHECK(client_of(*server, "https", "/nonexistent.pem").send({}).is(Error::Kind::Invalid));
  CHECK(client_of(*server, "http").send({}).is(Error::Kind::Unavailable));
  Listen broken = listen;
  broken.key_path = certificates.ca;
  CHECK(Server::start(broken, echo).is(Error::Kind::Invalid));
}

TEST_CASE("a unix socket has its mode from birth, replaces a stale one and spares a live one") {
  const ScratchDirectory directory;
  Listen listen;
  listen.unix_path = directory.file("socket");
  {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    listen.unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
    const UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
    REQUIRE(::bind(stale.get(), generic, sizeof address) == 0);
  }
  struct stat file{};
  const ::mode_t before = ::umask(0);
  {
    const auto server = started(listen);
    REQUIRE(::stat(listen.unix_path.c_str(), &file) == 0);
    CHECK((file.st_mode & 07777) == 0600);
  }
  ::umask(077);
  listen.unix_mode = 0660;
  {
    const auto server = started(listen);
    ::umask(before);
    REQUIRE(::stat(listen.unix_path.c_str(), &file) == 0);
    CHECK((file.st_mode & 07777) == 0660);
    CHECK(server->port() == 0);
    Endpoint endpoint;
    endpoint.unix_path = listen.unix_path;
    Client client(endpoint);
    const auto response = client.send({});
    REQUIRE(response.ok());
    CHECK(response->headers.at("X-Peer").empty());
    CHECK(Server::start(listen, echo).is(Error::Kind::Exists));
    CHECK(client.send({}).ok());
  }
  CHECK(!std::filesystem::exists(listen.unix_path));
  CHECK(::close(::open(listen.unix_path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) == 0);
  CHECK(Server::start(listen, echo).is(Error::Kind::Exists));
  listen.unix_path.assign(200, 'x');
  CHECK(Server::start(listen, echo).is(Error::Kind::Invalid));
}

TEST_CASE("errors say what was wrong") {
  CHECK(
      Client({.url = "ftp://x", .unix_path = "", .ca_path = ""}).send({}).is(Error::Kind::Invalid));
  CHECK(Client({.url = "http://x:1:2", .unix_path = "", .ca_path = ""})
            .send({})
            .is(Error::Kind::Invalid));
  Listen listen;
  listen.address = "somewhere";
  CHECK(Server::start(listen, echo).is(Error::Kind::Invalid));
  const auto server = started({});
  listen.address = "127.0.0.1";
  listen.port = server->port();
  CHECK(!Server::start(listen, echo).ok());

  // A port on which nobody listens any more.
  auto gone = started({});
  Client client = client_of(*gone);
  gone.reset();
  const auto refused = client.send({});
  REQUIRE(!refused.ok());
  CHECK(refused.error().kind() == Error::Kind::Unavailable);
  CHECK(refused.error().message().find("127.0.0.1") != std::string::npos);
}
