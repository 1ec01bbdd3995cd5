// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/admin_client.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace terway::vpcsim {

namespace {

http::Endpoint endpoint_of(const std::filesystem::path& socket) {
  http::Endpoint endpoint;
  endpoint.unix_path = socket;
  return endpoint;
}

Error error_of(const http::Response& response) {
  Error::Kind kind = Error::Kind::Internal;
  if (response.status == 400) kind = Error::Kind::Invalid;
  if (response.status == 404) kind = Error::Kind::NotFound;
  if (response.status == 409) kind = Error::Kind::Exists;
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  if (!json.is_object() || !json.contains("error") || !json["error"].is_string()) {
    return Error(kind, fmt::format("HTTP status {}", response.status));
  }
  std::string code;
  if (json.contains("code") && json["code"].is_string()) code = json["code"].get<std::string>();
  return Error(kind, json["error"].get<std::string>()).with_code(std::move(code), {});
}

}  // namespace

AdminClient::AdminClient(const std::filesystem::path& socket) : client_(endpoint_of(socket)) {}

Result<std::string> AdminClient::get(const std::string& path_and_query) {
  return send("GET", path_and_query, {});
}

Result<std::string> AdminClient::post(const std::string& path, std::string json) {
  return send("POST", path, std::move(json));
}

Result<std::string> AdminClient::remove(const std::string& path) {
  return send("DELETE", path, {});
}

Result<std::string> AdminClient::send(std::string method, const std::string& path_and_query,
                                      std::string body) {
  http::Request request;
  request.method = std::move(method);
  const std::size_t mark = path_and_query.find('?');
  request.path = path_and_query.substr(0, mark);
  if (mark != std::string::npos) request.query = path_and_query.substr(mark + 1);
  request.body = std::move(body);
  http::Response response = TRY_WITHIN("vpcsim", client_.send(request));
  if (response.status != 200) return error_of(response).within("vpcsim");
  return std::move(response.body);
}

}  // namespace terway::vpcsim
