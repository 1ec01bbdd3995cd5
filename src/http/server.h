// SPDX-License-Identifier: Apache-2.0
// A small HTTP server on TCP, TLS or a unix socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/message.h"

namespace terway::http {

struct Listen {
  // Either TCP: address and port (0: any free one)…
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
  // …or a unix socket at this path, made with this mode; a stale one is replaced.
  std::string unix_path;
  unsigned unix_mode = 0600;
  // TLS when both are set (PEM files).
  std::string certificate_path;
  std::string key_path;
  // Requests are answered by this many threads; an idle connection needs none.
  std::size_t threads = 8;
};

// Called by several threads at once; an exception inside it answers 500. The answer to HEAD is the
// one to GET, its body is left out by the server. Status 0: the connection is closed without an
// answer, as when a reply is lost.
using Handler = std::function<Response(const Request&)>;

// Serves from start() until destruction, which waits for requests in progress. What is not HTTP is
// answered 400, a body of more than 16 MiB 413, and the connection closed.
class Server {
 public:
  // Listens in the network namespace of the calling thread. Errors: Invalid (address, certificate),
  // Exists (a live server has the unix socket, or the path is no socket), others from bind.
  static Result<std::unique_ptr<Server>> start(const Listen& listen, Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;  // 0 for a unix socket

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace terway::http
