// SPDX-License-Identifier: Apache-2.0
// A netlink socket: requests with acknowledgement, batches, dumps. The kernel answers within
// sendmsg(2), so nothing here waits for anything but the kernel's own locks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/message.h"

namespace terway::kernel {

enum class Protocol : std::uint8_t { Route, Netfilter };

// The answer to a dump: messages in one buffer.
class Dump {
 public:
  // `each` is called with every message, in the kernel's order.
  template <class Each>
  void for_each(Each&& each) const {
    for (const auto& chunk : chunks_) {
      Bytes rest(chunk);
      while (const auto message = next_message(rest)) {
        if (message->header.nlmsg_type >= NLMSG_MIN_TYPE) each(*message);
      }
    }
  }

 private:
  friend class Socket;
  std::vector<std::vector<std::uint8_t>> chunks_;
};

// Move-only; for one thread. It keeps its namespace alive: one that was opened inside a pod's is
// closed when the work is done. Errors name the message (describe()) and carry the kernel's own
// words (extended acknowledgement).
class Socket {
 public:
  static Result<Socket> open(Protocol protocol);
  // A socket of another namespace, used from outside it.
  static Result<Socket> open_in(int netns, Protocol protocol);

  // One request, acknowledged.
  Result<> request(Message message);
  // All in one sendmsg, each acknowledged by itself: a failure does not stop the others.
  Result<std::vector<Result<>>> batch(std::span<Message> messages);
  // The same, and the first failure is the answer.
  Result<> request_all(std::span<Message> messages);
  // One nfnetlink transaction: all of it or nothing.
  Result<> transaction(std::span<Message> messages);
  // A request answered by one message (RTM_GETLINK of one link).
  Result<std::vector<std::uint8_t>> ask(Message message);
  // Started again when the kernel says that the table changed meanwhile (NLM_F_DUMP_INTR).
  Result<Dump> dump(Message message);

  int fd() const { return fd_.get(); }
  std::uint32_t port() const { return port_; }

 private:
  Socket(UniqueFd fd, std::uint32_t port);
  Result<> send(Bytes bytes);
  // The next datagram, in inbox_ until the next call.
  Result<Bytes> receive();
  struct Chunk {
    std::vector<std::uint8_t> bytes;
    bool last = false;
    bool interrupted = false;
  };
  Result<Chunk> read_chunk(const Message& message);

  UniqueFd fd_;
  std::uint32_t port_ = 0;
  std::uint32_t sequence_ = 0;
  std::vector<std::uint8_t> inbox_;
};

// The Error inside an NLMSG_ERROR message; nullopt when it acknowledges. `about` names the request.
std::optional<Error> error_of(const MessageView& message, std::string_view about);

}  // namespace terway::kernel
