// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/fd.h"
#include "http/reader.h"
#include "http/stream.h"

namespace terway::http {
namespace {

// Shorter than servers keep an idle connection, so that a request seldom meets its end.
constexpr Duration kMaxIdle = std::chrono::seconds(15);

struct Target {
  bool tls = false;
  std::string host;  // as connected to; brackets of IPv6 removed
  std::string port;
  std::string host_header;
};

Result<Target> parse_url(const std::string& url) {
  const Error bad(Error::Kind::Invalid,
                  fmt::format("endpoint \"{}\": not of the form http(s)://host[:port]", url));
  std::string_view rest = url;
  Target target;
  if (rest.starts_with("https://")) {
    target.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad;
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  target.host_header = rest;
  if (rest.starts_with('[')) {
    const std::size_t bracket = rest.find(']');
    if (bracket == std::string_view::npos) return bad;
    target.host = rest.substr(1, bracket - 1);
    rest.remove_prefix(bracket + 1);
  } else {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    target.host = rest.substr(0, colon);
    rest.remove_prefix(colon);
  }
  target.port = target.tls ? "443" : "80";
  if (rest.starts_with(':')) {
    target.port = rest.substr(1);
    rest = {};
  }
  const bool digits = !target.port.empty() && target.port.size() <= 5 &&
                      std::all_of(target.port.begin(), target.port.end(),
                                  [](char c) { return c >= '0' && c <= '9'; });
  if (!rest.empty() || target.host.empty() || !digits ||
      target.host.find('/') != std::string::npos) {
    return bad;
  }
  return target;
}

Result<> finish_connect(int fd, const sockaddr* address, socklen_t size, Instant deadline) {
  if (::connect(fd, address, size) == 0) return Ok{};
  if (errno != EINPROGRESS) {
    return Error(Error::Kind::Unavailable, Error::from_errno(errno, "connect").message());
  }
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now());
    if (left.count() <= 0) return Error(Error::Kind::Unavailable, "connect: timed out");
    pollfd waiting = {fd, POLLOUT, 0};
    if (::poll(&waiting, 1, static_cast<int>(left.count())) > 0) break;
  }
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error == 0) return Ok{};
  return Error(Error::Kind::Unavailable, Error::from_errno(error, "connect").message());
}

Result<UniqueFd> connect_unix(const std::string& path, Instant deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error(Error::Kind::Invalid, fmt::format("unix socket {}: the path is too long", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::from_errno(errno, "socket");
  TRY_WITHIN(path, finish_connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                                  sizeof address, deadline));
  return fd;
}

Result<UniqueFd> connect_tcp(const Target& target, Instant deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found)) {
    return Error(Error::Kind::Unavailable,
                 fmt::format("resolve {}: {}", target.host, ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, ::freeaddrinfo);
  std::optional<Error> last;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    UniqueFd fd(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
      last = Error::from_errno(errno, "socket");
      continue;
    }
    auto connected = finish_connect(fd.get(), at->ai_addr, at->ai_addrlen, deadline);
    if (connected.ok()) {
      const int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return fd;
    }
    last = connected.take_error();
  }
  if (!last) last = Error(Error::Kind::Unavailable, "no address");
  return std::move(*last).within(target.host + ":" + target.port);
}

struct Connection {
  std::unique_ptr<SocketStream> socket;
  std::unique_ptr<Stream> tls;  // null where plain; dies before the socket
  std::unique_ptr<Reader> reader;
  Instant last_use{};

  Stream& stream() { return tls ? *tls : *socket; }
};

// RFC 9110 9.2.2: may be sent again when it is unknown whether it was carried out.
bool idempotent(std::string_view method) { return method != "POST" && method != "PATCH"; }

}  // namespace

struct Client::State {
  Endpoint endpoint;
  Target target;  // valid once resolved
  bool resolved = false;
  std::shared_ptr<TlsContext> tls;
  std::unique_ptr<Connection> connection;

  Result<> resolve() {
    if (resolved) return Ok{};
    if (!endpoint.unix_path.empty()) {
      target.host_header = "localhost";
    } else {
      target = TRY(parse_url(endpoint.url));
      if (target.tls) tls = TRY(TlsContext::for_client(endpoint.ca_path));
    }
    resolved = true;
    return Ok{};
  }

  Result<> connect(Instant deadline) {
    deadline = std::min(deadline, now() + endpoint.connect_timeout);
    UniqueFd fd = endpoint.unix_path.empty() ? TRY(connect_tcp(target, deadline))
                                             : TRY(connect_unix(endpoint.unix_path, deadline));
    auto fresh = std::make_unique<Connection>();
    fresh->socket = std::make_unique<SocketStream>(std::move(fd));
    if (target.tls) {
      fresh->tls = TRY_WITHIN(endpoint.url, tls->connect(*fresh->socket, target.host, deadline));
    }
    fresh->reader = std::make_unique<Reader>(fresh->stream());
    connection = std::move(fresh);
    return Ok{};
  }

  // Anything that came unasked can only be the peer's goodbye.
  bool reusable() const {
    return connection && now() - connection->last_use <= kMaxIdle && connection->socket->idle();
  }

  Result<Response> exchange(const std::string& bytes, std::string_view method, Instant deadline) {
    TRY_WITHIN("send", connection->stream().write(bytes, deadline));
    return connection->reader->read_response(method, deadline);
  }
};

Client::Client(Endpoint endpoint) : state_(std::make_unique<State>()) {
  state_->endpoint = std::move(endpoint);
}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Response> Client::send(const Request& request) {
  State& state = *state_;
  const Instant deadline = now() + state.endpoint.total_timeout;
  TRY(state.resolve());
  Request completed = request;
  completed.headers.try_emplace("Host", state.target.host_header);
  const std::string bytes = serialize(completed);
  bool reused = state.reusable();
  while (true) {
    if (!reused) {
      state.connection.reset();
      TRY(state.connect(deadline));
    }
    auto response = state.exchange(bytes, request.method, deadline);
    if (response.ok()) {
      state.connection->last_use = now();
      if (!state.connection->reader->keep_alive()) state.connection.reset();
      return response;
    }
    // A kept connection that the server had closed meanwhile.
    const bool again = reused && idempotent(request.method) &&
                       !state.connection->reader->started() && now() < deadline;
    state.connection.reset();
    if (!again) {
      return response.take_error().within(
          state.endpoint.unix_path.empty() ? state.endpoint.url : state.endpoint.unix_path);
    }
    reused = false;
  }
}

}  // namespace terway::http
