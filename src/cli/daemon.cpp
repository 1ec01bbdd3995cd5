// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon.h"

#include <fmt/core.h>

#include <utility>

namespace terway::cli {
namespace {

http::Endpoint endpoint_of(const std::string& socket) {
  http::Endpoint endpoint;
  endpoint.unix_path = socket;
  return endpoint;
}

Error::Kind kind_of(std::string_view word, int status) {
  using enum Error::Kind;
  for (const Error::Kind kind :
       {NotFound, Exists, Invalid, Denied, Throttled, Exhausted, Unavailable, Internal}) {
    if (to_string(kind) == word) return kind;
  }
  return status == 404 ? NotFound : Internal;
}

}  // namespace

Daemon::Daemon(std::string socket) : socket_(std::move(socket)), client_(endpoint_of(socket_)) {}

Result<std::string> Daemon::get(const std::string& path) {
  http::Request request;
  request.path = path;
  return send(request);
}

Result<std::string> Daemon::put(const std::string& path, std::string body) {
  http::Request request;
  request.method = "PUT";
  request.path = path;
  request.body = std::move(body);
  return send(request);
}

Result<std::string> Daemon::send(const http::Request& request) {
  Result<http::Response> sent = client_.send(request);
  if (!sent.ok()) {
    return std::move(sent.take_error())
        .within(fmt::format("terwayd does not answer on {} (is it running, and are you root?)",
                            socket_));
  }
  if (sent->status == 200) return std::move(sent->body);
  const auto said = rpc::cli::decode<rpc::cli::ErrorReply>(sent->body);
  if (!said.ok() || said->message.empty()) {
    return Error(kind_of("", sent->status),
                 fmt::format("terwayd answered {} with status {}", request.path, sent->status));
  }
  return Error(kind_of(said->kind, sent->status), said->message)
      .with_code(said->code, said->request_id);
}

}  // namespace terway::cli
