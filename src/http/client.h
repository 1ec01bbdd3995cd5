// SPDX-License-Identifier: Apache-2.0
// A blocking HTTP client for one endpoint; connections are kept alive.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"

namespace terway::http {

struct Endpoint {
  std::string url;  // "https://host:port"; ignored where unix_path is set
  std::string unix_path;
  std::string ca_path;  // PEM; empty: the system's CAs. Certificates are always verified.
  Duration connect_timeout = std::chrono::seconds(5);
  Duration total_timeout = std::chrono::seconds(20);
};

// For one thread, and connecting in that thread's network namespace. Errors: Unavailable (no
// connection, timeout, connection lost; the message says which), Denied (certificate not trusted),
// Invalid (the URL, the CA file, or an answer that is not HTTP). Any HTTP status is a Response, not
// an error. A request whose kept connection turns out closed is sent once more, unless it is a POST
// or PATCH.
class Client {
 public:
  explicit Client(Endpoint endpoint);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  Result<Response> send(const Request& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terway::http
