// SPDX-License-Identifier: Apache-2.0
// Reads the keys of one JSON object and keeps account of those that nobody asked for. Private to
// this folder; includes nlohmann.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/address.h"

namespace terway::cni {

using Json = nlohmann::json;

// What was found wrong, one sentence each: "mtu: 70000 is not allowed: a whole number …".
struct Problems {
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
};

// A key that is absent or null leaves its target as it is, and so does a bad value.
class Keys {
 public:
  // `path` is "" for the whole configuration, else what leads here ("runtimeConfig.dns.").
  Keys(const Json& object, std::string path, Problems& problems);

  void text(const char* key, std::string& into);
  void flag(const char* key, bool& into);
  void texts(const char* key, std::vector<std::string>& into);
  void prefixes(const char* key, std::vector<net::Prefix>& into);
  void prefix(const char* key, net::Prefix& into);
  void address(const char* key, std::optional<net::IpAddress>& into);
  // A whole number, or, as marks are often written, a string of one ("0x10").
  std::optional<std::uint64_t> number(const char* key, std::uint64_t least, std::uint64_t most);
  // One of a few words, any case; its index in `words`.
  std::optional<std::size_t> word(const char* key, const std::vector<std::string_view>& words);
  // Any value; null when absent.
  const Json* object(const char* key);
  const Json* array(const char* key);
  // Known, and not ours to read.
  void skip(const char* key) { known_.insert(key); }
  bool has(const char* key) const;

  // Warns of each key that was not asked for.
  void finish();

 private:
  const Json* find(const char* key);
  void refuse(const char* key, const Json& value, std::string_view allowed);

  const Json& object_;
  std::string path_;
  Problems& problems_;
  std::set<std::string, std::less<>> known_;
};

// The value as JSON text, cut to what a message can bear.
std::string shown(const Json& value);

}  // namespace terway::cni
