// SPDX-License-Identifier: Apache-2.0
// The admin API's values as JSON. Included by admin.cpp and admin_json.cpp alone: nlohmann is slow
// to compile.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "vpcsim/calls.h"
#include "vpcsim/faults.h"
#include "vpcsim/region.h"

namespace terway::vpcsim {

using Json = nlohmann::json;

Json json_of(const World& world, const EniRecord& record);
Json json_of(const World& world, const Server& server);
Json json_of(const Switch& vswitch);
Json json_of(const Fault& fault);
Json json_of(const Call& call);
Json json_of(const Settings& settings);
Json world_json(const Region& region);

Result<> set_settings(Settings& settings, const Json& json);

// The members of a JSON object, each asked for once; done() refuses those that nobody asked for.
class Members {
 public:
  explicit Members(const Json& json) : json_(json) {}

  std::string text(const char* name);
  std::vector<std::string> texts(const char* name);
  std::optional<std::uint64_t> number(const char* name, std::uint64_t highest);
  std::optional<double> fraction(const char* name);
  std::optional<net::IpAddress> address(const char* name);
  std::optional<net::Prefix> prefix(const char* name);
  Json object(const char* name);
  // The first thing that was wrong, if anything was.
  Result<> done();

 private:
  const Json* find(const char* name);
  void wrong(std::string message);

  const Json& json_;
  std::vector<std::string> asked_;
  std::optional<Error> error_;
};

}  // namespace terway::vpcsim
