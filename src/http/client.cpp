// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <fmt/core.h>
#include <openssl/ssl.h>
#include <sys/un.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include "http/url.h"
#include "http/wire.h"
#include "net/address.h"

namespace terway::http {
namespace {

using Steady = std::chrono::steady_clock;
using Incoming = wire::response_parser<wire::string_body>;

// Shorter than servers keep an idle connection, so that a request seldom meets its end.
constexpr auto kMaxIdle = std::chrono::seconds(15);

Error unavailable(std::string_view doing, const error_code& error) {
  std::string why = error.message();
  if (error == beast::error::timeout) why = "timed out";
  if (error == wire::error::end_of_stream) why = "connection lost (closed before the answer)";
  if (error == wire::error::partial_message) why = "connection lost (closed inside a message)";
  return {Error::Kind::Unavailable, fmt::format("{}: {}", doing, why)};
}

Result<asio::ssl::context> tls_context(const std::string& ca_path) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  context.set_verify_mode(asio::ssl::verify_peer);
  error_code error;
  if (ca_path.empty()) {
    context.set_default_verify_paths(error);
  } else {
    context.load_verify_file(ca_path, error);
  }
  if (!error) return context;
  return Error(Error::Kind::Invalid,
               fmt::format("CA certificates {}: {}", ca_path, error.message()));
}

// In the calling thread: getaddrinfo(3) has no deadline, and asks in this network namespace.
Result<std::vector<Protocol::endpoint>> resolve(asio::io_context& io, const Url& url) {
  error_code error;
  asio::ip::tcp::resolver resolver(io);
  std::vector<Protocol::endpoint> endpoints;
  for (const auto& entry :
       resolver.resolve(url.host, url.port, asio::ip::tcp::resolver::address_configured, error)) {
    endpoints.emplace_back(entry.endpoint());
  }
  if (error) return unavailable("resolve " + url.host, error);
  return endpoints;
}

struct Connection {
  std::variant<PlainStream, TlsStream> stream;
  beast::flat_buffer buffer;
  Steady::time_point last_use{};

  PlainStream& socket() {
    return std::visit([](auto& any) -> PlainStream& { return beast::get_lowest_layer(any); },
                      stream);
  }
};

// RFC 9110 9.2.2: may be sent again when it is unknown whether it was carried out.
bool idempotent(std::string_view method) { return method != "POST" && method != "PATCH"; }

std::string encode(const Request& request, const std::string& host_header) {
  wire::request<wire::empty_body> head;
  head.version(11);
  head.method_string(one_line(request.method));
  head.target(target_of(request));
  if (!request.headers.contains("Host")) head.set(wire::field::host, host_header);
  set_headers(head, request.headers);
  const std::string& method = request.method;
  if (!request.body.empty() || method == "POST" || method == "PUT" || method == "PATCH") {
    head.content_length(request.body.size());
  }
  return text_of(head, request.body);
}

}  // namespace

struct Client::State {
  explicit State(Endpoint given) : endpoint(std::move(given)) {}

  Result<Response> send(const Request& request);

  // Runs one asynchronous operation to its end, here.
  template <class Start>
  error_code finish(Start start) {
    error_code result;
    start([&result](const error_code& error, std::size_t = 0) { result = error; });
    io->restart();
    io->run();
    return result;
  }

  Result<> prepare();
  Result<PlainStream> connect_to(const Protocol::endpoint& address, Steady::time_point deadline);
  Result<PlainStream> connect_tcp(Steady::time_point deadline);
  Result<TlsStream> handshake(PlainStream socket, Steady::time_point deadline);
  Result<> connect(Steady::time_point deadline);
  bool reusable();
  // `started`: anything of an answer has come.
  Result<Response> exchange(const std::string& text, bool is_head, Steady::time_point deadline,
                            bool& started);

  const Endpoint endpoint;
  Url url;
  bool prepared = false;
  std::optional<asio::io_context> io;  // with `tls` and `url`, from prepare() on
  std::optional<asio::ssl::context> tls;
  std::optional<Connection> connection;
};

Result<> Client::State::prepare() {
  if (prepared) return Ok{};
  if (!endpoint.unix_path.empty()) {
    if (endpoint.unix_path.size() >= sizeof(sockaddr_un::sun_path)) {
      return Error(Error::Kind::Invalid,
                   fmt::format("unix socket {}: the path is too long", endpoint.unix_path));
    }
    url.host_header = "localhost";
  } else {
    url = TRY(Url::parse(endpoint.url));
    if (url.tls) tls = TRY(tls_context(endpoint.ca_path));
  }
  io.emplace(1);
  prepared = true;
  return Ok{};
}

Result<PlainStream> Client::State::connect_to(const Protocol::endpoint& address,
                                              Steady::time_point deadline) {
  PlainStream stream(*io);
  error_code error;
  stream.socket().open(address.protocol(), error);
  if (error) return Error::from_errno(error.value(), "socket");
  close_on_exec(stream.socket().native_handle());
  stream.expires_at(deadline);
  error = finish([&](auto done) { stream.async_connect(address, done); });
  if (error) return unavailable("connect", error);
  return stream;
}

Result<PlainStream> Client::State::connect_tcp(Steady::time_point deadline) {
  const auto addresses = TRY(resolve(*io, url));
  Error last(Error::Kind::Unavailable, "no address");
  for (const auto& address : addresses) {
    auto connected = connect_to(address, deadline);
    if (connected.ok()) {
      // Fails where the peer has gone already, and then writing says so.
      error_code ignored;
      connected->socket().set_option(asio::ip::tcp::no_delay(true), ignored);
      return connected;
    }
    last = connected.take_error();
  }
  return std::move(last).within(url.host + ":" + url.port);
}

Result<TlsStream> Client::State::handshake(PlainStream socket, Steady::time_point deadline) {
  TlsStream stream(std::move(socket), *tls);
  SSL* const ssl = stream.native_handle();
  if (net::IpAddress::parse(url.host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), url.host.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl, url.host.c_str());
    SSL_set1_host(ssl, url.host.c_str());
  }
  beast::get_lowest_layer(stream).expires_at(deadline);
  const error_code error =
      finish([&](auto done) { stream.async_handshake(asio::ssl::stream_base::client, done); });
  if (!error) return stream;
  if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK) {
    return Error(Error::Kind::Denied,
                 fmt::format("the certificate of {} is not trusted: {}", url.host,
                             X509_verify_cert_error_string(verdict)));
  }
  return unavailable("TLS handshake", error);
}

Result<> Client::State::connect(Steady::time_point deadline) {
  deadline = std::min(deadline, Steady::now() + endpoint.connect_timeout);
  const std::string& path = endpoint.unix_path;
  PlainStream socket =
      path.empty()
          ? TRY(connect_tcp(deadline))
          : TRY_WITHIN(path, connect_to(asio::local::stream_protocol::endpoint(path), deadline));
  if (url.tls) {
    connection.emplace(
        Connection{TRY_WITHIN(endpoint.url, handshake(std::move(socket), deadline)), {}, {}});
  } else {
    connection.emplace(Connection{std::move(socket), {}, {}});
  }
  connection->buffer.reserve(kReadBuffer);
  return Ok{};
}

// Anything that came unasked can only be the peer's goodbye.
bool Client::State::reusable() {
  if (!connection || Steady::now() - connection->last_use > kMaxIdle) return false;
  auto& socket = connection->socket().socket();
  error_code error;
  socket.non_blocking(true, error);
  char byte = 0;
  if (!error) socket.receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, error);
  return connection->buffer.size() == 0 && error == asio::error::would_block;
}

Result<Response> Client::State::exchange(const std::string& text, bool is_head,
                                         Steady::time_point deadline, bool& started) {
  connection->socket().expires_at(deadline);
  error_code error = std::visit(
      [&](auto& stream) {
        return finish([&](auto done) { asio::async_write(stream, asio::buffer(text), done); });
      },
      connection->stream);
  if (error) return unavailable("send", error);
  while (true) {
    Incoming parser;
    parser.header_limit(kMaxHead);
    parser.body_limit(kMaxResponseBody);
    parser.skip(is_head);
    error = std::visit(
        [&](auto& stream) {
          return finish(
              [&](auto done) { wire::async_read(stream, connection->buffer, parser, done); });
        },
        connection->stream);
    started = started || parser.got_some();
    if (malformed(error)) {
      return Error(Error::Kind::Invalid, "malformed HTTP: " + error.message());
    }
    if (error) return unavailable("receive", error);
    const auto status = parser.get().result_int();
    if (status == 101) return Error(Error::Kind::Invalid, "an upgrade that nobody asked for");
    if (status < 200) continue;
    const bool keep = parser.keep_alive();
    auto received = parser.release();
    Response response{static_cast<int>(status), headers_of(received), std::move(received.body())};
    connection->last_use = Steady::now();
    if (!keep) connection.reset();
    return response;
  }
}

Result<Response> Client::State::send(const Request& request) {
  const auto deadline = Steady::now() + endpoint.total_timeout;
  TRY(prepare());
  const std::string text = encode(request, url.host_header);
  bool reused = reusable();
  while (true) {
    if (!reused) {
      connection.reset();
      TRY(connect(deadline));
    }
    bool started = false;
    auto response = exchange(text, request.method == "HEAD", deadline, started);
    if (response.ok()) return response;
    connection.reset();
    // A kept connection that the server had closed meanwhile.
    if (!reused || started || !idempotent(request.method) || Steady::now() >= deadline) {
      return response.take_error().within(endpoint.unix_path.empty() ? endpoint.url
                                                                     : endpoint.unix_path);
    }
    reused = false;
  }
}

Client::Client(Endpoint endpoint) : state_(std::make_unique<State>(std::move(endpoint))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Response> Client::send(const Request& request) {
  // What Boost has no other way to tell.
  try {
    return state_->send(request);
  } catch (const std::length_error& error) {  // a header of 64 KiB
    return Error(Error::Kind::Invalid, error.what());
  } catch (const std::exception& error) {  // no descriptor left for epoll or a timer
    state_ = std::make_unique<State>(state_->endpoint);
    return Error(Error::Kind::Unavailable, error.what());
  }
}

}  // namespace terway::http
