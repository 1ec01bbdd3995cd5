// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/query.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "vpcsim/api_error.h"

namespace terway::vpcsim {

namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || stop != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

Error not_valid(std::string_view name) {
  return api_error("InvalidParameter",
                   fmt::format("The specified parameter \"{}\" is not valid.", name));
}

}  // namespace

bool Query::has(std::string_view name) const {
  const auto found = parameters_.find(name);
  return found != parameters_.end() && !found->second.empty();
}

std::string Query::text(std::string_view name) const {
  const auto found = parameters_.find(name);
  return found == parameters_.end() ? std::string() : found->second;
}

Result<std::string> Query::required(std::string_view name) const {
  std::string value = text(name);
  if (value.empty()) {
    return api_error("MissingParameter",
                     fmt::format("The input parameter \"{}\" that is mandatory for processing "
                                 "this request is not supplied.",
                                 name));
  }
  return value;
}

Result<std::optional<std::uint32_t>> Query::number(std::string_view name, std::uint32_t lowest,
                                                   std::uint32_t highest) const {
  if (!has(name)) return std::optional<std::uint32_t>();
  const auto value = parse_number(text(name));
  if (!value || *value < lowest || *value > highest) {
    return api_error("InvalidParameter",
                     fmt::format("The specified parameter \"{}\" is not valid: it must be {} to "
                                 "{}.",
                                 name, lowest, highest));
  }
  return std::optional<std::uint32_t>(static_cast<std::uint32_t>(*value));
}

std::uint32_t Query::clamped(std::string_view name, std::uint32_t fallback, std::uint32_t lowest,
                             std::uint32_t highest) const {
  const auto value = parse_number(text(name));
  if (!value) return fallback;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(*value, lowest, highest));
}

Result<std::optional<bool>> Query::boolean(std::string_view name) const {
  if (!has(name)) return std::optional<bool>();
  const std::string value = text(name);
  if (value == "true" || value == "True") return std::optional<bool>(true);
  if (value == "false" || value == "False") return std::optional<bool>(false);
  return not_valid(name);
}

std::vector<std::string> Query::list(std::string_view name) const {
  std::vector<std::string> values;
  while (true) {
    const auto found = parameters_.find(fmt::format("{}.{}", name, values.size() + 1));
    if (found == parameters_.end()) return values;
    values.push_back(found->second);
  }
}

Result<std::vector<net::IpAddress>> Query::addresses(std::string_view name, net::Family family,
                                                     std::size_t most) const {
  std::vector<net::IpAddress> addresses;
  for (const std::string& text : list(name)) {
    const auto address = net::IpAddress::parse(text);
    if (!address || address->family() != family) {
      return api_error(family == net::Family::V4 ? "InvalidPrivateIpAddress.Malformed"
                                                 : "InvalidIp.Address");
    }
    addresses.push_back(*address);
  }
  if (addresses.size() > most) {
    return api_error("InvalidParameter",
                     fmt::format("The specified parameter \"{}.N\" is not valid: at most {} can "
                                 "be given.",
                                 name, most));
  }
  return addresses;
}

Result<model::Tags> Query::tags() const {
  model::Tags tags;
  for (unsigned n = 1; parameters_.contains(fmt::format("Tag.{}.Key", n)); ++n) {
    const std::string key = text(fmt::format("Tag.{}.Key", n));
    if (!tags.emplace(key, text(fmt::format("Tag.{}.Value", n))).second) {
      return api_error("Duplicate.TagKey");
    }
  }
  return tags;
}

}  // namespace terway::vpcsim
