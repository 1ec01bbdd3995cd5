// SPDX-License-Identifier: Apache-2.0
#include "rpc/plugin_server.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

namespace terway::rpc {

namespace {

using Deadline = std::chrono::steady_clock::time_point;

Deadline transfer_deadline() {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(kTransferMillis);
}

// False once the deadline has passed or the other end is gone.
bool wait_for(int fd, short events, Deadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
    if (ready > 0) return (entry.revents & (events | POLLHUP | POLLERR)) != 0;
    if (ready == 0 || errno != EINTR) return false;
  }
}

bool try_later(int error_number) {
  return error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == EINTR;
}

bool read_exactly(int fd, char* into, std::size_t size, Deadline deadline) {
  while (size > 0) {
    const ssize_t got = ::recv(fd, into, size, 0);
    if (got == 0) return false;
    if (got < 0) {
      if (!try_later(errno) || !wait_for(fd, POLLIN, deadline)) return false;
      continue;
    }
    into += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

void send_reply(int fd, Outcome outcome, const PluginAnswer& answer) {
  ReplyHeader header{kReplyMagic, kFrameVersion, static_cast<std::uint8_t>(outcome),
                     answer.exit_code, static_cast<std::uint32_t>(answer.output.size())};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes += answer.output;
  std::string_view rest = bytes;
  const Deadline deadline = transfer_deadline();
  // A plugin that is gone was killed by its caller, which sends a DEL: nothing to do about it here.
  while (!rest.empty()) {
    const ssize_t sent = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (!try_later(errno) || !wait_for(fd, POLLOUT, deadline)) return;
      continue;
    }
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
}

// The descriptors of one control message; more than one is nobody we know, and they are closed.
UniqueFd attached_descriptor(msghdr& message) {
  UniqueFd attached;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      attached.reset(fd);
    }
  }
  return attached;
}

struct Opening {
  RequestHeader header{};
  UniqueFd attached;
};

// The header and the descriptor that comes with its first byte.
std::optional<Opening> read_opening(int fd, Deadline deadline) {
  Opening opening;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 4)> control{};
  iovec part{&opening.header, sizeof opening.header};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  while (got < 0) {
    got = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && (!try_later(errno) || !wait_for(fd, POLLIN, deadline))) return std::nullopt;
  }
  opening.attached = attached_descriptor(message);
  if (got == 0) return std::nullopt;
  if (!read_exactly(fd, reinterpret_cast<char*>(&opening.header) + got,
                    sizeof opening.header - static_cast<std::size_t>(got), deadline)) {
    return std::nullopt;
  }
  return opening;
}

// A path that was unmounted meanwhile leaves an ordinary file, which opens and is no namespace.
void judge_namespace(PluginRequest& request, UniqueFd attached) {
  if (request.netns_state != Netns::Attached) return;
  if (attached && ::ioctl(attached.get(), NS_GET_NSTYPE) == CLONE_NEWNET) {
    request.netns = std::move(attached);
  } else {
    request.netns_state = Netns::Foreign;
  }
}

Result<UniqueFd> listen_on(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string beside = path.native() + ".new";
  if (beside.size() >= sizeof address.sun_path) {
    return Error(
        Error::Kind::Invalid,
        fmt::format("plugin socket {}: the path has {} bytes, at most {} are allowed",
                    path.native(), path.native().size(), sizeof address.sun_path - sizeof ".new"));
  }
  std::memcpy(address.sun_path, beside.c_str(), beside.size() + 1);
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  if (failed) return Error::from_errno(failed.value(), "make " + path.parent_path().native());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::from_errno(errno, "plugin socket");
  ::unlink(beside.c_str());
  // Nobody can connect before listen(), so the mode is right before it matters.
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(beside.c_str(), 0600) != 0 || ::listen(fd.get(), SOMAXCONN) != 0 ||
      ::rename(beside.c_str(), path.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(beside.c_str());
    return Error::from_errno(error_number, fmt::format("listen on {}", path.native()));
  }
  return fd;
}

}  // namespace

// Outlives the server by as long as the last call needs to leave.
struct PluginServer::Shared {
  PluginHandler handler;
  PluginServerOptions options;
  std::atomic<std::size_t> calls{0};

  bool allowed(int fd, pid_t& caller) const {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    caller = peer.pid;
    return peer.uid == options.allowed_uid;
  }

  void serve(const UniqueFd& connection) const {
    pid_t caller = 0;
    if (!allowed(connection.get(), caller)) {
      send_reply(connection.get(), Outcome::Refused,
                 {1, "only the node's root may ask the daemon"});
      return;
    }
    const Deadline deadline = transfer_deadline();
    std::optional<Opening> opening = read_opening(connection.get(), deadline);
    if (!opening) return;
    if (Result<> sound = check(opening->header); !sound.ok()) {
      send_reply(connection.get(), Outcome::Refused, {1, sound.error().message()});
      return;
    }
    std::string body(body_size(opening->header), '\0');
    if (!read_exactly(connection.get(), body.data(), body.size(), deadline)) return;
    PluginRequest request = request_from(opening->header, body);
    request.caller = caller;
    request.connection = connection.get();
    judge_namespace(request, std::move(opening->attached));
    send_reply(connection.get(), Outcome::Answered, handler(std::move(request)));
  }
};

Result<std::unique_ptr<PluginServer>> PluginServer::start(const std::filesystem::path& socket,
                                                          PluginHandler handler,
                                                          PluginServerOptions options) {
  UniqueFd listener = TRY(listen_on(socket));
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  if (!stop) return Error::from_errno(errno, "plugin server: eventfd");
  struct stat made{};
  if (::stat(socket.c_str(), &made) != 0) {
    return Error::from_errno(errno, "plugin socket " + socket.native());
  }
  auto shared = std::make_shared<Shared>();
  shared->handler = std::move(handler);
  shared->options = options;
  return std::unique_ptr<PluginServer>(new PluginServer(socket, made.st_ino, std::move(listener),
                                                        std::move(stop), std::move(shared)));
}

PluginServer::PluginServer(std::filesystem::path socket, ino_t inode, UniqueFd listener,
                           UniqueFd stop, std::shared_ptr<Shared> shared)
    : socket_(std::move(socket)),
      inode_(inode),
      listener_(std::move(listener)),
      stop_(std::move(stop)),
      shared_(std::move(shared)),
      accepting_([this] { accept_calls(); }) {}

PluginServer::~PluginServer() {
  ::eventfd_write(stop_.get(), 1);
  accepting_.join();
  // The path stays when a successor has put its own socket there.
  struct stat there{};
  if (::stat(socket_.c_str(), &there) == 0 && there.st_ino == inode_) ::unlink(socket_.c_str());
  listener_.reset();
  for (std::size_t left = shared_->calls.load(); left != 0; left = shared_->calls.load()) {
    shared_->calls.wait(left);
  }
}

void PluginServer::accept_calls() {
  for (;;) {
    std::array<pollfd, 2> entries = {{{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
    if (::poll(entries.data(), entries.size(), -1) < 0) continue;
    if (entries[1].revents != 0) return;
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) {
      // Out of descriptors: the caller waits in the backlog until one is free.
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        ::poll(&entries[1], 1, 10);
      }
      continue;
    }
    if (shared_->calls.load() >= shared_->options.max_calls) {
      send_reply(connection.get(), Outcome::Busy, {1, ""});
      continue;
    }
    shared_->calls.fetch_add(1);
    auto held = std::make_shared<UniqueFd>(std::move(connection));
    auto call = [shared = shared_, held] {
      shared->serve(*held);
      held->reset();
      shared->calls.fetch_sub(1);
      shared->calls.notify_all();
    };
    try {
      std::thread(call).detach();
    } catch (const std::system_error&) {  // no thread to be had
      send_reply(held->get(), Outcome::Busy, {1, ""});
      shared_->calls.fetch_sub(1);
    }
  }
}

}  // namespace terway::rpc
