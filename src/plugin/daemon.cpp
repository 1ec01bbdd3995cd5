// SPDX-License-Identifier: Apache-2.0
#include "plugin/daemon.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "plugin/answer.h"

namespace terway::plugin {

namespace {

constexpr int kRetryMillis = 20;

char reply_buffer[rpc::kReplyLimit];

bool try_later(int error_number) { return error_number == EAGAIN || error_number == EINTR; }

void sleep_millis(int millis) {
  const timespec time = {0, millis * 1'000'000L};
  nanosleep(&time, nullptr);
}

// A pod that starts rides over the daemon's restart; one that ends has the tombstone, at once.
bool waits_for_daemon(cni::Command command) {
  return command == cni::Command::Add || command == cni::Command::Check;
}

int connect_to(Text socket_path, cni::Command command, Reason& reason) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size >= sizeof address.sun_path) {
    reason << "the socket's path is too long: " << socket_path;
    return -1;
  }
  memcpy(address.sun_path, socket_path.data, socket_path.size);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int64_t deadline = now_millis() + rpc::kConnectMillis;
  while (fd >= 0) {
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    const bool absent = errno == ENOENT || errno == ECONNREFUSED;
    const bool again = try_later(errno) || (absent && waits_for_daemon(command));
    if (!again || now_millis() >= deadline) break;
    sleep_millis(kRetryMillis);
  }
  reason << "connect to " << socket_path << ": " << system_message(errno);
  if (fd >= 0) close(fd);
  return -1;
}

// The descriptor goes with the first byte and only once.
void attach(msghdr& message, char* control, size_t size, int fd) {
  message.msg_control = control;
  message.msg_controllen = static_cast<decltype(message.msg_controllen)>(size);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
}

void advance(msghdr& message, size_t sent) {
  while (sent > 0) {
    iovec& part = *message.msg_iov;
    const size_t taken = sent < part.iov_len ? sent : part.iov_len;
    part.iov_base = static_cast<char*>(part.iov_base) + taken;
    part.iov_len -= taken;
    sent -= taken;
    if (part.iov_len > 0) break;
    ++message.msg_iov;
    --message.msg_iovlen;
  }
}

bool send_call(int fd, const Call& call, Reason& reason) {
  rpc::RequestHeader header = call.header();
  iovec parts[1 + rpc::kFields] = {{&header, sizeof header}};
  size_t left = sizeof header;
  for (unsigned i = 0; i < rpc::kFields; ++i) {
    parts[1 + i] = {const_cast<char*>(call.fields[i].data), call.fields[i].size};
    left += call.fields[i].size;
  }
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 1 + rpc::kFields;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (call.netns >= 0) attach(message, control, sizeof control, call.netns);
  const int64_t deadline = now_millis() + rpc::kTransferMillis;
  while (left > 0) {
    const ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (try_later(errno) && wait_for(fd, POLLOUT, deadline)) continue;
      // A daemon that refuses does not read on: its reply says why.
      if (errno == EPIPE || errno == ECONNRESET) return true;
      reason << "the daemon does not take the request: " << system_message(errno);
      return false;
    }
    message.msg_control = nullptr;
    message.msg_controllen = 0;
    advance(message, static_cast<size_t>(sent));
    left -= static_cast<size_t>(sent);
  }
  return true;
}

bool receive(int fd, void* into, size_t size, int64_t deadline, Reason& reason) {
  auto* at = static_cast<char*>(into);
  while (size > 0) {
    const ssize_t got = recv(fd, at, size, 0);
    if (got > 0) {
      at += got;
      size -= static_cast<size_t>(got);
      continue;
    }
    if (got == 0 || !try_later(errno)) {
      reason << "the daemon ended before it answered";
      return false;
    }
    if (!wait_for(fd, POLLIN, deadline)) {
      reason << "the daemon has not answered in time";
      return false;
    }
  }
  return true;
}

Reply receive_reply(int fd, cni::Command command, Reason& reason) {
  const int64_t deadline = now_millis() + rpc::reply_millis(command);
  rpc::ReplyHeader header{};
  if (!receive(fd, &header, sizeof header, deadline, reason)) return {};
  if (header.magic != rpc::kReplyMagic || header.output_size > sizeof reply_buffer) {
    reason << "what answers is not the daemon, or not one of this plugin's version";
    return {};
  }
  if (!receive(fd, reply_buffer, header.output_size, deadline, reason)) return {};
  const Text output(reply_buffer, header.output_size);
  switch (static_cast<rpc::Outcome>(header.outcome)) {
    case rpc::Outcome::Answered:
      return {true, header.exit_code, output};
    case rpc::Outcome::Busy:
      reason << "the daemon has too many calls at once";
      return {};
    case rpc::Outcome::Refused:
      break;
  }
  reason << "the daemon refused: " << output;
  return {};
}

}  // namespace

rpc::RequestHeader Call::header() const {
  rpc::RequestHeader header{};
  header.magic = rpc::kRequestMagic;
  header.version = rpc::kFrameVersion;
  header.command = static_cast<uint8_t>(command);
  header.netns = static_cast<uint8_t>(netns_state);
  header.netns_errno = static_cast<uint32_t>(netns_errno);
  for (unsigned i = 0; i < rpc::kFields; ++i) {
    header.field_sizes[i] = static_cast<uint32_t>(fields[i].size);
  }
  return header;
}

int64_t now_millis() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

bool wait_for(int fd, short events, int64_t deadline) {
  for (;;) {
    const int64_t left = deadline - now_millis();
    if (left <= 0) break;
    pollfd entry = {fd, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
  errno = ETIMEDOUT;
  return false;
}

Reply ask(Text socket, const Call& call, Reason& reason) {
  const int fd = connect_to(socket, call.command, reason);
  if (fd < 0) return {};
  Reply reply;
  if (send_call(fd, call, reason)) reply = receive_reply(fd, call.command, reason);
  close(fd);
  return reply;
}

}  // namespace terway::plugin
