// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <fmt/core.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <thread>

#include "http/listener.h"
#include "http/session.h"
#include "net/address.h"

namespace terway::http {
namespace {

constexpr std::size_t kMaxConnections = 4096;
// After a failure to accept, such as having no descriptor left, instead of spinning on it.
constexpr auto kAcceptPause = std::chrono::milliseconds(10);

std::string address_text(const Protocol::endpoint& peer) {
  if (peer.protocol().family() == AF_UNIX) return {};
  const auto address = tcp_endpoint(peer).address();
  if (address.is_v4()) return address.to_string();
  return net::IpAddress::from_v6_bytes(address.to_v6().to_bytes().data()).to_string();
}

Result<std::optional<asio::ssl::context>> tls_context(const Listen& listen) {
  if (listen.certificate_path.empty() && listen.key_path.empty()) {
    return std::optional<asio::ssl::context>();
  }
  asio::ssl::context context(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  error_code error;
  context.use_certificate_chain_file(listen.certificate_path, error);
  if (error) {
    return Error(Error::Kind::Invalid,
                 fmt::format("certificate {}: {}", listen.certificate_path, error.message()));
  }
  context.use_private_key_file(listen.key_path, asio::ssl::context::pem, error);
  if (error) {
    return Error(Error::Kind::Invalid, fmt::format("key {}: {}", listen.key_path, error.message()));
  }
  return std::optional(std::move(context));
}

}  // namespace

struct Server::State {
  State(const Listen& listen, Handler handler)
      : host(std::move(handler), std::max<std::size_t>(listen.threads, 1)) {}

  Host host;
  std::optional<asio::ssl::context> tls;
  std::optional<Acceptor> acceptor;
  asio::steady_timer pause{host.io};
  Protocol::endpoint peer;
  std::string unix_path;
  struct stat unix_file{};
  std::uint16_t port = 0;
  std::thread thread;

  void accept();
  void serve(Socket socket);
  void stop();
};

void Server::State::accept() {
  acceptor->async_accept(peer, [this](const error_code& error, Socket socket) {
    if (host.stopping) return;
    if (error) {
      pause.expires_after(kAcceptPause);
      return pause.async_wait([this](const error_code&) {
        if (!host.stopping) accept();
      });
    }
    if (host.sessions.size() < kMaxConnections) serve(std::move(socket));
    accept();
  });
}

void Server::State::serve(Socket socket) {
  close_on_exec(socket.native_handle());
  if (unix_path.empty()) {
    // Fails where the peer has gone already, and then reading says so.
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  }
  const std::string from = address_text(peer);
  if (tls) {
    std::make_shared<Connection<TlsStream>>(host, from, PlainStream(std::move(socket)), *tls)
        ->start();
  } else {
    std::make_shared<Connection<PlainStream>>(host, from, std::move(socket))->start();
  }
}

void Server::State::stop() {
  host.stopping = true;
  pause.cancel();
  acceptor->close();
  for (Session* const session : host.sessions) session->stop();
}

Result<std::unique_ptr<Server>> Server::start(const Listen& listen, Handler handler) try {
  auto state = std::make_unique<State>(listen, std::move(handler));
  state->tls = TRY(tls_context(listen));
  asio::io_context& io = state->host.io;
  if (listen.unix_path.empty()) {
    state->acceptor = TRY(listen_tcp(io, listen.address, listen.port));
    state->port = tcp_endpoint(state->acceptor->local_endpoint()).port();
  } else {
    state->acceptor = TRY(listen_unix(io, listen.unix_path, listen.unix_mode));
    state->unix_path = listen.unix_path;
    ::lstat(listen.unix_path.c_str(), &state->unix_file);
  }
  state->accept();
  state->thread = std::thread([&io] { io.run(); });
  return std::unique_ptr<Server>(new Server(std::move(state)));
} catch (const std::exception& error) {  // no descriptor left for epoll, or no thread
  return Error(Error::Kind::Unavailable, std::string("start a server: ") + error.what());
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
  State& state = *state_;
  asio::post(state.host.io, [&state] { state.stop(); });
  state.thread.join();
  state.host.workers.join();
  struct stat file{};
  const std::string& path = state.unix_path;
  // A successor may have replaced the file already.
  if (!path.empty() && ::lstat(path.c_str(), &file) == 0 && file.st_ino == state.unix_file.st_ino &&
      file.st_dev == state.unix_file.st_dev) {
    ::unlink(path.c_str());
  }
}

std::uint16_t Server::port() const { return state_->port; }

}  // namespace terway::http
