// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "http/stream.h"

namespace terway::http {

Instant now() { return SystemClock().now(); }

SocketStream::SocketStream(UniqueFd socket, int stop_fd)
    : socket_(std::move(socket)), stop_fd_(stop_fd) {}

Result<> SocketStream::wait(short events, Instant deadline) {
  while (true) {
    const Duration left = deadline - now();
    if (left <= Duration::zero()) return Error(Error::Kind::Unavailable, "timed out");
    pollfd fds[2] = {{socket_.get(), events, 0}, {stop_fd_, POLLIN, 0}};
    const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(
        std::min<Duration>(left, std::chrono::hours(1)));
    const bool stoppable = stop_fd_ >= 0 && (events & POLLIN) != 0;
    const int ready = ::poll(fds, stoppable ? 2 : 1, static_cast<int>(rounded.count()));
    if (ready < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
    if (ready <= 0) continue;
    if (fds[0].revents != 0) return Ok{};
    return Error(Error::Kind::Unavailable, "the server is stopping");
  }
}

Result<std::size_t> SocketStream::read(char* into, std::size_t size, Instant deadline) {
  while (true) {
    const ssize_t got = ::recv(socket_.get(), into, size, MSG_DONTWAIT);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == ECONNRESET) return Error(Error::Kind::Unavailable, "connection lost (reset)");
    if (errno == EAGAIN) {
      TRY(wait(POLLIN, deadline));
    } else if (errno != EINTR) {
      return Error(Error::Kind::Unavailable, Error::from_errno(errno, "receive").message());
    }
  }
}

Result<> SocketStream::write(std::string_view data, Instant deadline) {
  while (!data.empty()) {
    const ssize_t sent =
        ::send(socket_.get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      data.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      TRY(wait(POLLOUT, deadline));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return Error(Error::Kind::Unavailable, "connection lost (closed by the peer)");
    } else if (errno != EINTR) {
      return Error(Error::Kind::Unavailable, Error::from_errno(errno, "send").message());
    }
  }
  return Ok{};
}

bool SocketStream::idle() const {
  char byte = 0;
  return ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

}  // namespace terway::http
