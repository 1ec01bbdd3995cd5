// SPDX-License-Identifier: Apache-2.0
// Turns one JSON value into one member of Config, or says what would have been allowed. Private to
// this folder; the one header that includes nlohmann.
#pragma once

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "config/config.h"

namespace terway::config {

using Json = nlohmann::json;

// Reads the value of one key. A value that does not fit leaves its target alone and is remembered.
class Reader {
 public:
  Reader(std::string key, const Json& value, bool secret, std::vector<std::string>& problems,
         std::vector<std::string>& warnings)
      : key_(std::move(key)),
        value_(value),
        secret_(secret),
        problems_(problems),
        warnings_(warnings) {}

  void text(std::string& into);
  void path(std::string& into);
  void url(std::string& into);
  void flag(bool& into);
  void number(std::uint32_t& into, std::uint32_t least, std::uint32_t most);
  void number(std::int32_t& into, std::int32_t least, std::int32_t most);
  // A number, or a string of one ("0.1").
  void real(double& into, double least, double most);
  // "90s", "10m", "1h30m", "500ms"; a bare number is seconds.
  void duration(Duration& into, Duration least, Duration most);
  void texts(std::vector<std::string>& into, std::size_t most);
  void tags(model::Tags& into);
  void macs(std::vector<net::Mac>& into);
  void prefixes(std::vector<net::Prefix>& into);  // one string, separated by commas
  void vswitches(std::map<std::string, std::vector<std::string>>& into);
  void limits(std::map<std::string, std::uint32_t>& into);
  template <class T>
  void word(T& into, const std::vector<std::pair<std::string_view, T>>& words) {
    std::string allowed;
    for (const auto& [name, meaning] : words) {
      if (value_.is_string() && value_.get_ref<const std::string&>() == name) {
        into = meaning;
        return;
      }
      allowed += (allowed.empty() ? "" : ", ") + quoted(name);
    }
    refuse("one of " + allowed);
  }
  // A feature that this version does not have: anything that would switch it on is refused.
  void absent_feature(std::string_view feature);
  void no_effect(std::string_view why);

  void refuse(std::string_view allowed);

 private:
  static std::string quoted(std::string_view text);
  bool is_off() const;

  std::string key_;
  const Json& value_;
  bool secret_;
  std::vector<std::string>& problems_;
  std::vector<std::string>& warnings_;
};

// Go's time.ParseDuration without signs and fractions of units below a nanosecond.
std::optional<Duration> parse_duration(std::string_view text);

}  // namespace terway::config
