// SPDX-License-Identifier: Apache-2.0
#include "kernel/socket.h"

#include <fmt/core.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "kernel/netns.h"

namespace terway::kernel {

namespace {

// Dumps come in pieces of at most 32 KiB whatever the buffer (netlink_dump(), max_recvmsg_len).
constexpr std::size_t kReceiveBuffer = 65536;
constexpr int kSocketBuffer = 4 << 20;
// An ack costs the receive queue under 1 KiB: far fewer than fit into kSocketBuffer are sent at
// once.
constexpr std::size_t kBatch = 256;
constexpr int kDumpAttempts = 10;
constexpr int kMostErrno = 4095;  // MAX_ERRNO

void set_option(int fd, int level, int option, int value) {
  // Each of these is better with and possible without: older kernels lack some.
  (void)::setsockopt(fd, level, option, &value, sizeof(value));
}

Result<> set_up(int fd, Protocol protocol) {
  set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, kSocketBuffer);
  set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, kSocketBuffer);
  set_option(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  set_option(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  if (protocol == Protocol::Route) set_option(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof(local)) != 0) {
    return Error::from_errno(errno, "bind netlink socket");
  }
  // Nothing should ever be waited for; a kernel bug must not hang a node's one worker.
  timeval patience{5, 0};
  (void)::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return Ok{};
}

Result<std::uint32_t> port_of(int fd) {
  sockaddr_nl local{};
  socklen_t size = sizeof(local);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) {
    return Error::from_errno(errno, "ask for the netlink port");
  }
  return local.nl_pid;
}

std::string about(const Message& message) {
  Bytes bytes = message.bytes();
  const auto view = next_message(bytes);
  return view ? describe(*view) : std::string("netlink request");
}

// NFNL_MSG_BATCH_BEGIN and _END carry only a header that names the subsystem.
Message batch_mark(std::uint16_t type) {
  Message mark(type);
  nfgenmsg header{};
  header.nfgen_family = AF_UNSPEC;
  header.version = NFNETLINK_V0;
  header.res_id = __builtin_bswap16(NFNL_SUBSYS_NFTABLES);
  mark.header(header);
  return mark;
}

}  // namespace

std::optional<Error> error_of(const MessageView& message, std::string_view about) {
  const auto fixed = message.fixed<nlmsgerr>();
  if (!fixed) return Error(Error::Kind::Internal, fmt::format("{}: cut answer", about));
  if (fixed->error == 0) return std::nullopt;
  if (fixed->error > 0 || fixed->error < -kMostErrno) {
    return Error(Error::Kind::Internal, fmt::format("{}: answered {}", about, fixed->error));
  }
  std::string doing(about);
  if (message.header.nlmsg_flags & NLM_F_ACK_TLVS) {
    Bytes rest = message.rest<nlmsgerr>();
    if (!(message.header.nlmsg_flags & NLM_F_CAPPED)) {
      const std::size_t echoed = fixed->msg.nlmsg_len < sizeof(nlmsghdr)
                                     ? 0
                                     : NLMSG_ALIGN(fixed->msg.nlmsg_len - sizeof(nlmsghdr));
      rest = rest.subspan(std::min(echoed, rest.size()));
    }
    const std::string_view words = Attributes(rest).text(NLMSGERR_ATTR_MSG);
    if (!words.empty()) doing += fmt::format(" ({})", words);
  }
  return Error::from_errno(-fixed->error, doing);
}

Socket::Socket(UniqueFd fd, std::uint32_t port)
    : fd_(std::move(fd)), port_(port), inbox_(kReceiveBuffer) {}

Result<Socket> Socket::open(Protocol protocol) {
  const int number = protocol == Protocol::Route ? NETLINK_ROUTE : NETLINK_NETFILTER;
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, number));
  if (!fd) return Error::from_errno(errno, "open netlink socket");
  TRY(set_up(fd.get(), protocol));
  const std::uint32_t port = TRY(port_of(fd.get()));
  return Socket(std::move(fd), port);
}

Result<Socket> Socket::open_in(int netns, Protocol protocol) {
  const auto inside = TRY(InsideNetns::enter(netns));
  return open(protocol);
}

Result<> Socket::send(Bytes bytes) {
  for (;;) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), 0);
    if (sent >= 0) return Ok{};
    if (errno != EINTR) return Error::from_errno(errno, "send to netlink");
  }
}

Result<Bytes> Socket::receive() {
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), inbox_.data(), inbox_.size(), MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "receive from netlink");
    const auto size = static_cast<std::size_t>(got);
    if (size > inbox_.size()) {
      return Error(Error::Kind::Internal, fmt::format("netlink message of {} bytes cut", got));
    }
    return Bytes(inbox_.data(), size);
  }
}

Result<> Socket::request(Message message) { return request_all(std::span(&message, 1)); }

Result<> Socket::request_all(std::span<Message> messages) {
  for (auto& result : TRY(batch(messages))) {
    if (!result.ok()) return result.take_error();
  }
  return Ok{};
}

Result<std::vector<Result<>>> Socket::batch(std::span<Message> messages) {
  std::vector<Result<>> results;
  results.reserve(messages.size());
  std::vector<std::uint8_t> outbox;
  for (std::size_t start = 0; start < messages.size(); start += kBatch) {
    const auto part = messages.subspan(start, std::min(kBatch, messages.size() - start));
    outbox.clear();
    const std::uint32_t first = sequence_ + 1;
    for (Message& message : part) {
      message.set_sequence(++sequence_);
      message.add_flags(NLM_F_ACK);
      outbox.insert(outbox.end(), message.bytes().begin(), message.bytes().end());
    }
    TRY(send(outbox));
    std::vector<std::optional<Result<>>> answers(part.size());
    for (std::size_t missing = part.size(); missing > 0;) {
      Bytes rest = TRY(receive());
      while (const auto view = next_message(rest)) {
        const std::uint32_t index = view->header.nlmsg_seq - first;
        if (view->header.nlmsg_type != NLMSG_ERROR || index >= part.size()) continue;
        if (answers[index]) continue;
        const auto fixed = view->fixed<nlmsgerr>();
        if (fixed && fixed->error == 0) {
          answers[index] = Result<>(Ok{});
        } else {
          answers[index] = Result<>(*error_of(*view, about(part[index])));
        }
        --missing;
      }
    }
    for (auto& answer : answers) results.push_back(std::move(*answer));
  }
  return results;
}

Result<> Socket::transaction(std::span<Message> messages) {
  if (messages.empty()) return Ok{};
  Message begin = batch_mark(NFNL_MSG_BATCH_BEGIN);
  Message end = batch_mark(NFNL_MSG_BATCH_END);
  begin.set_sequence(++sequence_);
  const std::uint32_t first = sequence_;
  for (Message& message : messages) message.set_sequence(++sequence_);
  // Failures are always reported; the last message's ack says that all were looked at.
  messages.back().add_flags(NLM_F_ACK);
  end.set_sequence(++sequence_);
  std::vector<std::uint8_t> outbox(begin.bytes().begin(), begin.bytes().end());
  for (const Message& message : messages) {
    outbox.insert(outbox.end(), message.bytes().begin(), message.bytes().end());
  }
  outbox.insert(outbox.end(), end.bytes().begin(), end.bytes().end());
  TRY(send(outbox));

  std::optional<Error> failure;
  for (bool done = false; !done;) {
    Bytes rest = TRY(receive());
    while (const auto view = next_message(rest)) {
      const std::uint32_t index = view->header.nlmsg_seq - first;
      if (view->header.nlmsg_type != NLMSG_ERROR || index > messages.size()) continue;
      const Message& cause = index == 0 ? begin : messages[index - 1];
      auto error = error_of(*view, about(cause));
      if (error && !failure) failure = std::move(error);
      // A refusal of the whole batch (EPERM, a failed commit) is answered to its first message.
      if (index == messages.size() || index == 0) done = true;
    }
  }
  // What follows the last ack (a failed commit's answer) is in the queue already.
  while (::recv(fd_.get(), nullptr, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC) > 0) {
    Bytes rest = TRY(receive());
    while (const auto view = next_message(rest)) {
      if (view->header.nlmsg_type != NLMSG_ERROR || view->header.nlmsg_seq < first) continue;
      auto error = error_of(*view, "nftables transaction");
      if (error && !failure) failure = std::move(error);
    }
  }
  if (failure) return std::move(*failure);
  return Ok{};
}

Result<std::vector<std::uint8_t>> Socket::ask(Message message) {
  message.set_sequence(++sequence_);
  TRY(send(message.bytes()));
  for (;;) {
    const Bytes whole = TRY(receive());
    Bytes rest = whole;
    while (const auto view = next_message(rest)) {
      if (view->header.nlmsg_seq != sequence_) continue;
      if (view->header.nlmsg_type == NLMSG_ERROR) {
        auto error = error_of(*view, about(message));
        if (error) return std::move(*error);
        return Error(Error::Kind::Internal, about(message) + ": an ack where an answer was due");
      }
      return std::vector<std::uint8_t>(whole.begin(), whole.end());
    }
  }
}

Result<Socket::Chunk> Socket::read_chunk(const Message& message) {
  const Bytes whole = TRY(receive());
  Chunk chunk;
  Bytes rest = whole;
  while (const auto view = next_message(rest)) {
    if (view->header.nlmsg_seq != sequence_) return chunk;  // left over from a failed request
    // The mark may be on any piece; what follows must be read all the same.
    if (view->header.nlmsg_flags & NLM_F_DUMP_INTR) chunk.interrupted = true;
    if (view->header.nlmsg_type == NLMSG_ERROR) {
      auto error = error_of(*view, about(message));
      if (error) return std::move(*error);
    }
    if (view->header.nlmsg_type == NLMSG_DONE) {
      chunk.last = true;
      const auto code = view->fixed<std::int32_t>();
      if (code && *code < 0 && *code >= -kMostErrno)
        return Error::from_errno(-*code, about(message));
    }
  }
  chunk.bytes.assign(whole.begin(), whole.end());
  return chunk;
}

Result<Dump> Socket::dump(Message message) {
  message.add_flags(NLM_F_DUMP);
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    message.set_sequence(++sequence_);
    TRY(send(message.bytes()));
    Dump dump;
    bool interrupted = false;
    for (bool done = false; !done;) {
      Chunk chunk = TRY(read_chunk(message));
      interrupted = interrupted || chunk.interrupted;
      done = chunk.last;
      dump.chunks_.push_back(std::move(chunk.bytes));
    }
    if (!interrupted) return dump;
  }
  return Error(Error::Kind::Unavailable,
               fmt::format("{}: changed during each of {} dumps", about(message), kDumpAttempts));
}

}  // namespace terway::kernel
