// SPDX-License-Identifier: Apache-2.0
// One thread waits on the listening socket and on idle connections; a connection on which a request
// arrives goes to a worker, and comes back when it is answered. So idle connections, of which every
// client keeps some, hold no worker.
#include "http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <map>
#include <thread>
#include <vector>

#include "base/channel.h"
#include "base/fd.h"
#include "http/listener.h"
#include "http/reader.h"
#include "http/stream.h"
#include "net/address.h"

namespace terway::http {
namespace {

constexpr Duration kIdleTimeout = std::chrono::seconds(60);
constexpr Duration kRequestTimeout = std::chrono::seconds(30);
constexpr std::size_t kMaxIdleConnections = 4096;

struct Connection {
  std::unique_ptr<SocketStream> socket;
  std::unique_ptr<Stream> tls;     // null where plain, or before the handshake
  std::unique_ptr<Reader> reader;  // null before the first request
  std::string remote_address;
  Instant idle_since{};

  Stream& stream() { return tls ? *tls : *socket; }
};
using Owned = std::unique_ptr<Connection>;

std::string address_text(const sockaddr_storage& peer) {
  if (peer.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer);
    return net::IpAddress::from_v4_bytes(reinterpret_cast<const std::uint8_t*>(&v4.sin_addr))
        .to_string();
  }
  if (peer.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer);
    return net::IpAddress::from_v6_bytes(v6.sin6_addr.s6_addr).to_string();
  }
  return {};
}

void signal(int event_fd) {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then it is readable anyway.
  [[maybe_unused]] const ssize_t written = ::write(event_fd, &one, sizeof one);
}

Response answer(const Handler& handler, const Request& request) {
  try {
    return handler(request);
  } catch (const std::exception& error) {
    return {500, {{"Content-Type", "text/plain"}}, std::string(error.what()) + "\n"};
  } catch (...) {
    return {500, {{"Content-Type", "text/plain"}}, "unknown exception\n"};
  }
}

}  // namespace

struct Server::State {
  Handler handler;
  std::shared_ptr<TlsContext> tls;
  UniqueFd listening;
  UniqueFd stop;      // readable from the moment on in which the server stops
  UniqueFd returned;  // a worker has given a connection back
  UniqueFd epoll;
  std::string unix_path;
  struct stat unix_file{};
  std::uint16_t port = 0;
  Channel<Owned> to_workers;
  Channel<Owned> to_waiter;
  std::map<int, Owned> idle;  // by descriptor; of the waiting thread
  std::vector<std::thread> threads;

  void wait_for_requests();
  void accept_all();
  void keep(Owned connection);
  void close_expired();
  void work();
  bool serve_one(Connection& connection);
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    VERIFY(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0);
  }
};

void Server::State::wait_for_requests() {
  std::array<epoll_event, 64> events;
  while (true) {
    const int count =
        ::epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), 1000);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == stop.get()) {
        idle.clear();
        return;
      }
      if (fd == listening.get()) {
        accept_all();
      } else if (fd == returned.get()) {
        std::uint64_t ignored = 0;
        [[maybe_unused]] const ssize_t got = ::read(fd, &ignored, sizeof ignored);
        while (auto connection = to_waiter.try_receive()) keep(std::move(*connection));
      } else if (auto found = idle.extract(fd)) {
        ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
        to_workers.send(std::move(found.mapped()));
      }
    }
    close_expired();
  }
}

void Server::State::accept_all() {
  while (true) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    UniqueFd fd(::accept4(listening.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                          SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      // Out of descriptors: leave the queue alone for a moment instead of spinning on it.
      if (errno == EMFILE || errno == ENFILE) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      return;
    }
    if (idle.size() >= kMaxIdleConnections) continue;
    if (unix_path.empty()) {
      const int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    auto connection = std::make_unique<Connection>();
    connection->remote_address = address_text(peer);
    connection->socket = std::make_unique<SocketStream>(std::move(fd), stop.get());
    keep(std::move(connection));
  }
}

void Server::State::keep(Owned connection) {
  const int fd = connection->socket->fd();
  connection->idle_since = now();
  idle.emplace(fd, std::move(connection));
  watch(fd);
}

void Server::State::close_expired() {
  const Instant oldest = now() - kIdleTimeout;
  std::erase_if(idle, [&](const auto& entry) { return entry.second->idle_since < oldest; });
}

void Server::State::work() {
  while (auto received = to_workers.receive()) {
    Owned connection = std::move(*received);
    bool open = true;
    do {
      open = serve_one(*connection);
    } while (open && connection->reader->buffered());
    if (!open) continue;
    to_waiter.send(std::move(connection));
    signal(returned.get());
  }
}

// False when the connection is to be closed.
bool Server::State::serve_one(Connection& connection) {
  const Instant deadline = now() + kRequestTimeout;
  if (tls && !connection.tls) {
    auto secured = tls->accept(*connection.socket, deadline);
    // Nobody is there to be told: the peer knows from the alert.
    if (!secured.ok()) return false;
    connection.tls = std::move(*secured);
    connection.reader = std::make_unique<Reader>(*connection.tls);
    if (!connection.reader->buffered()) return true;
  }
  if (!connection.reader) connection.reader = std::make_unique<Reader>(connection.stream());
  auto request = connection.reader->read_request(deadline);
  if (!request.ok()) {
    const Error& error = request.error();
    if (error.kind() == Error::Kind::Unavailable) return false;
    const int status = error.kind() == Error::Kind::Exhausted ? 413 : 400;
    const Response refusal{status, {{"Content-Type", "text/plain"}}, error.message() + "\n"};
    // The connection is closed either way.
    static_cast<void>(connection.stream().write(serialize(refusal, "GET", false), deadline));
    return false;
  }
  if (!*request) return false;
  (*request)->remote_address = connection.remote_address;
  const Response response = answer(handler, **request);
  if (response.status == 0) return false;
  const bool keep_alive = connection.reader->keep_alive();
  const std::string bytes = serialize(response, (*request)->method, keep_alive);
  return connection.stream().write(bytes, now() + kRequestTimeout).ok() && keep_alive;
}

Result<std::unique_ptr<Server>> Server::start(const Listen& listen, Handler handler) {
  auto state = std::make_unique<State>();
  state->handler = std::move(handler);
  if (!listen.certificate_path.empty() || !listen.key_path.empty()) {
    state->tls = TRY(TlsContext::for_server(listen.certificate_path, listen.key_path));
  }
  if (listen.unix_path.empty()) {
    state->listening = TRY(listen_tcp(listen.address, listen.port));
    state->port = port_of(state->listening.get());
  } else {
    state->listening = TRY(listen_unix(listen.unix_path, listen.unix_mode));
    state->unix_path = listen.unix_path;
    ::lstat(listen.unix_path.c_str(), &state->unix_file);
  }
  state->stop.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  state->returned.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  state->epoll.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!state->stop || !state->returned || !state->epoll) {
    return Error::from_errno(errno, "eventfd or epoll_create1");
  }
  for (const int fd : {state->listening.get(), state->stop.get(), state->returned.get()}) {
    state->watch(fd);
  }
  State* const raw = state.get();
  raw->threads.emplace_back([raw] { raw->wait_for_requests(); });
  for (std::size_t i = 0; i < std::max<std::size_t>(listen.threads, 1); ++i) {
    raw->threads.emplace_back([raw] { raw->work(); });
  }
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
  signal(state_->stop.get());
  state_->to_workers.close();
  for (std::thread& thread : state_->threads) thread.join();
  struct stat file{};
  const std::string& path = state_->unix_path;
  // A successor may have replaced the file already.
  if (!path.empty() && ::lstat(path.c_str(), &file) == 0 &&
      file.st_ino == state_->unix_file.st_ino && file.st_dev == state_->unix_file.st_dev) {
    ::unlink(path.c_str());
  }
}

std::uint16_t Server::port() const { return state_->port; }

}  // namespace terway::http
