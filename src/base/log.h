// SPDX-License-Identifier: Apache-2.0
// Structured log lines: one event a line, key=value (or JSON), to stderr. Only the assemblies and
// programs log above debug; everything else returns its errors.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace terway::log {

enum class Level { Debug, Info, Warning, Error };
enum class Format { Text, Json };

// The keys under which the same thing is always found.
inline constexpr std::string_view kPod = "pod";
inline constexpr std::string_view kContainer = "container";
inline constexpr std::string_view kEni = "eni";
inline constexpr std::string_view kAddress = "address";
inline constexpr std::string_view kError = "error";
inline constexpr std::string_view kRequestId = "request_id";

struct Field {
  Field(std::string_view key_, std::string value_) : key(key_), value(std::move(value_)) {}
  Field(std::string_view key_, std::string_view value_) : key(key_), value(value_) {}
  Field(std::string_view key_, const char* value_) : key(key_), value(value_) {}
  Field(std::string_view key_, bool value_) : key(key_), value(value_ ? "true" : "false") {}
  template <class Number>
    requires(std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>)
  Field(std::string_view key_, Number value_) : key(key_), value(std::to_string(value_)) {}

  std::string_view key;
  std::string value;
};
using Fields = std::initializer_list<Field>;

// Once, by main. Without it: Info, Text.
void set_up(Level level, Format format);
bool enabled(Level level);

void debug(std::string_view event, Fields fields = {});
void info(std::string_view event, Fields fields = {});
void warning(std::string_view event, Fields fields = {});
void error(std::string_view event, Fields fields = {});

}  // namespace terway::log
