// SPDX-License-Identifier: Apache-2.0
// The daemon of this node, as seen from the operator's shell (rpc/cli_api.h).
#pragma once

#include <string>

#include "base/result.h"
#include "http/client.h"
#include "rpc/cli_api.h"

namespace terway::cli {

class Daemon {
 public:
  explicit Daemon(std::string socket);

  // The JSON text that a path answers with. Errors: what the daemon says (its kind, code and
  // request id kept), or Unavailable when nobody answers on the socket.
  Result<std::string> get(const std::string& path);
  // The same for what changes something.
  Result<std::string> put(const std::string& path, std::string body);

  template <class T>
  Result<T> ask(const std::string& path) {
    const std::string body = TRY(get(path));
    return rpc::cli::decode<T>(body);
  }

 private:
  Result<std::string> send(const http::Request& request);
  std::string socket_;
  http::Client client_;
};

}  // namespace terway::cli
