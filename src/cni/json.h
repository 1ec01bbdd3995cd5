// SPDX-License-Identifier: Apache-2.0
// Writes JSON text, keys in the order in which they are given. Private to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace terway::cni {

// With quotes; what is not UTF-8 becomes U+FFFD, so that the output always parses.
std::string json_quoted(std::string_view text);

// "[a,b]" of finished values.
std::string json_array(const std::vector<std::string>& values);
std::string json_texts(const std::vector<std::string>& texts);

class JsonObject {
 public:
  void text(std::string_view key, std::string_view value) { raw(key, json_quoted(value)); }
  void number(std::string_view key, std::uint64_t value) { raw(key, std::to_string(value)); }
  // A finished value.
  void raw(std::string_view key, std::string_view value);
  std::string finish() && {
    text_ += '}';
    return std::move(text_);
  }

 private:
  std::string text_ = "{";
};

}  // namespace terway::cni
