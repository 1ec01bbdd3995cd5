// SPDX-License-Identifier: Apache-2.0
#include "cni/keys.h"

#include <fmt/core.h>

#include <cctype>
#include <charconv>

namespace terway::cni {

namespace {

bool equal_any_case(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(left[i])) !=
        std::tolower(static_cast<unsigned char>(right[i]))) {
      return false;
    }
  }
  return true;
}

std::optional<std::uint64_t> number_from(const Json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (!value.is_string()) return std::nullopt;
  std::string_view text = value.get_ref<const std::string&>();
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  }
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::string shown(const Json& value) {
  constexpr std::size_t kLongest = 80;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > kLongest) {
    text.resize(kLongest);
    text += "…";
  }
  return text;
}

Keys::Keys(const Json& object, std::string path, Problems& problems)
    : object_(object), path_(std::move(path)), problems_(problems) {}

const Json* Keys::find(const char* key) {
  known_.insert(key);
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool Keys::has(const char* key) const { return object_.contains(key); }

void Keys::refuse(const char* key, const Json& value, std::string_view allowed) {
  problems_.errors.push_back(
      fmt::format("{}{}: {} is not allowed: {}", path_, key, shown(value), allowed));
}

void Keys::text(const char* key, std::string& into) {
  const Json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_string()) return refuse(key, *value, "a string");
  into = value->get_ref<const std::string&>();
}

void Keys::flag(const char* key, bool& into) {
  const Json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_boolean()) return refuse(key, *value, "true or false");
  into = value->get<bool>();
}

void Keys::texts(const char* key, std::vector<std::string>& into) {
  const Json* value = find(key);
  if (value == nullptr) return;
  std::vector<std::string> texts;
  if (!value->is_array()) return refuse(key, *value, "a list of strings");
  for (const Json& entry : *value) {
    if (!entry.is_string()) return refuse(key, entry, "a list of strings");
    texts.push_back(entry.get_ref<const std::string&>());
  }
  into = std::move(texts);
}

void Keys::prefixes(const char* key, std::vector<net::Prefix>& into) {
  const Json* value = find(key);
  if (value == nullptr) return;
  constexpr std::string_view kAllowed = "a list of CIDRs (\"169.254.20.10/32\")";
  if (!value->is_array()) return refuse(key, *value, kAllowed);
  std::vector<net::Prefix> prefixes;
  for (const Json& entry : *value) {
    const auto prefix =
        entry.is_string() ? net::Prefix::parse(entry.get_ref<const std::string&>()) : std::nullopt;
    if (!prefix) return refuse(key, entry, kAllowed);
    prefixes.push_back(*prefix);
  }
  into = std::move(prefixes);
}

void Keys::prefix(const char* key, net::Prefix& into) {
  const Json* value = find(key);
  if (value == nullptr) return;
  const auto prefix =
      value->is_string() ? net::Prefix::parse(value->get_ref<const std::string&>()) : std::nullopt;
  if (!prefix) return refuse(key, *value, "an address with its length (\"10.0.0.7/24\")");
  into = *prefix;
}

void Keys::address(const char* key, std::optional<net::IpAddress>& into) {
  const Json* value = find(key);
  if (value == nullptr) return;
  if (value->is_string() && value->get_ref<const std::string&>().empty()) return;
  const auto address = value->is_string()
                           ? net::IpAddress::parse(value->get_ref<const std::string&>())
                           : std::nullopt;
  if (!address) return refuse(key, *value, "an IPv4 or IPv6 address");
  into = address;
}

std::optional<std::uint64_t> Keys::number(const char* key, std::uint64_t least,
                                          std::uint64_t most) {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<std::uint64_t> number = number_from(*value);
  if (!number || *number < least || *number > most) {
    refuse(key, *value, fmt::format("a whole number from {} to {}", least, most));
    return std::nullopt;
  }
  return number;
}

std::optional<std::size_t> Keys::word(const char* key, const std::vector<std::string_view>& words) {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) {
    const std::string& text = value->get_ref<const std::string&>();
    if (text.empty()) return std::nullopt;
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (equal_any_case(text, words[i])) return i;
    }
  }
  std::string allowed;
  for (const std::string_view word : words) {
    if (!allowed.empty()) allowed += ", ";
    allowed += word;
  }
  refuse(key, *value, allowed);
  return std::nullopt;
}

const Json* Keys::object(const char* key) {
  const Json* value = find(key);
  if (value == nullptr || value->is_object()) return value;
  refuse(key, *value, "an object");
  return nullptr;
}

const Json* Keys::array(const char* key) {
  const Json* value = find(key);
  if (value == nullptr || value->is_array()) return value;
  refuse(key, *value, "a list");
  return nullptr;
}

void Keys::finish() {
  for (const auto& [key, value] : object_.items()) {
    if (known_.contains(key)) continue;
    problems_.warnings.push_back(fmt::format("{}{} is unknown: ignored", path_, key));
  }
}

}  // namespace terway::cni
