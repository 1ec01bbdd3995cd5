// SPDX-License-Identifier: Apache-2.0
// A client of the admin API (docs/formats/vpcsim-admin.md).
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "http/client.h"

namespace terway::vpcsim {

// For one thread. Answers are JSON texts. A refusal has the admin API's message and, by its status,
// the kind Invalid, NotFound, Exists or Internal; Unavailable: nobody listens there.
class AdminClient {
 public:
  explicit AdminClient(const std::filesystem::path& socket);

  Result<std::string> get(const std::string& path_and_query);
  Result<std::string> post(const std::string& path, std::string json);
  Result<std::string> remove(const std::string& path);

 private:
  Result<std::string> send(std::string method, const std::string& path_and_query, std::string body);

  http::Client client_;
};

}  // namespace terway::vpcsim
