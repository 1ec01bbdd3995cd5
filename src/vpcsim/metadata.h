// SPDX-License-Identifier: Apache-2.0
// The instance metadata service (100.100.100.200): what an instance can learn of itself, and the
// credentials of its RAM role. Its view of ENIs and addresses lags behind the world.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"
#include "vpcsim/region.h"

namespace terway::vpcsim {

// Belongs to the owner thread of the region, whose time was told before.
class Metadata {
 public:
  explicit Metadata(Region& region) : region_(region) {}

  // `instance_id` is known by the listener through which the request came. Status 0: no answer.
  http::Response answer(const std::string& instance_id, const http::Request& request);

 private:
  http::Response route(const Server& server, const http::Request& request, std::string& faults);
  http::Response new_token(const std::string& instance_id, const http::Request& request);
  bool token_is_good(const std::string& instance_id, const http::Request& request);
  NicViews nics_as_told(const Server& server, std::string& faults);
  // Text under /latest/meta-data/; a directory's ends in "/" and lists what is in it. NotFound.
  Result<std::string> find(const Server& server, std::string_view path, std::string& faults);
  Result<std::string> find_nic(const Server& server, std::string_view path, std::string& faults);
  Result<std::string> find_credentials(const Server& server, std::string_view role);

  struct Token {
    std::string instance_id;
    Instant expires;
  };
  Region& region_;
  std::map<std::string, Token, std::less<>> tokens_;
};

}  // namespace terway::vpcsim
