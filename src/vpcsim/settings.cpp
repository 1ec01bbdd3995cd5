// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/settings.h"

#include <fmt/core.h>

#include <charconv>
#include <optional>

namespace terway::vpcsim {

namespace {

struct DurationRow {
  std::string_view name;
  Duration Settings::* field;
  Duration unit;
  std::uint64_t lowest;
};
constexpr Duration kMillisecond = std::chrono::milliseconds(1);
constexpr Duration kSecond = std::chrono::seconds(1);
constexpr DurationRow kDurations[] = {
    {"attach_delay_ms", &Settings::attach_delay, kMillisecond, 0},
    {"detach_delay_ms", &Settings::detach_delay, kMillisecond, 0},
    {"nic_delay_ms", &Settings::nic_delay, kMillisecond, 0},
    {"metadata_lag_ms", &Settings::metadata_lag, kMillisecond, 0},
    {"api_latency_ms", &Settings::api_latency, kMillisecond, 0},
    {"credential_lifetime_s", &Settings::credential_lifetime, kSecond, 1},
};

struct NumberRow {
  std::string_view name;
  std::uint32_t Settings::* field;
  std::uint64_t lowest;
  std::uint64_t highest;
};
constexpr NumberRow kNumbers[] = {
    {"eni_quota", &Settings::eni_quota, 1, 1'000'000},
    {"mtu", &Settings::mtu, 1280, 8500},
    {"path_mtu", &Settings::path_mtu, 0, 8500},
};

struct FlagRow {
  std::string_view name;
  bool Settings::* field;
};
constexpr FlagRow kFlags[] = {
    {"metadata_token_required", &Settings::metadata_token_required},
    {"throttle", &Settings::throttle},
};

constexpr std::string_view kCallsPrefix = "calls_per_minute.";
// A day: longer than any of these makes sense.
constexpr std::uint64_t kLongest = 86'400'000;

Result<std::uint64_t> parse_number(std::string_view name, std::string_view text,
                                   std::uint64_t lowest, std::uint64_t highest) {
  std::uint64_t value = 0;
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || stop != text.data() + text.size() || value < lowest ||
      value > highest) {
    return Error(Error::Kind::Invalid, fmt::format("setting {}: {} is not a whole number from {} "
                                                   "to {}",
                                                   name, text, lowest, highest));
  }
  return value;
}

}  // namespace

Result<> set_setting(Settings& settings, std::string_view name, std::string_view value) {
  for (const DurationRow& row : kDurations) {
    if (row.name != name) continue;
    const auto number = TRY(parse_number(name, value, row.lowest, kLongest));
    settings.*row.field = row.unit * static_cast<std::int64_t>(number);
    return Ok{};
  }
  for (const NumberRow& row : kNumbers) {
    if (row.name != name) continue;
    settings.*row.field =
        static_cast<std::uint32_t>(TRY(parse_number(name, value, row.lowest, row.highest)));
    return Ok{};
  }
  for (const FlagRow& row : kFlags) {
    if (row.name != name) continue;
    if (value != "true" && value != "false") {
      return Error(Error::Kind::Invalid,
                   fmt::format("setting {}: {} is not true or false", name, value));
    }
    settings.*row.field = value == "true";
    return Ok{};
  }
  if (name.starts_with(kCallsPrefix) && name.size() > kCallsPrefix.size()) {
    settings.calls_per_minute[std::string(name.substr(kCallsPrefix.size()))] =
        static_cast<std::uint32_t>(TRY(parse_number(name, value, 1, 10'000'000)));
    return Ok{};
  }
  return Error(Error::Kind::Invalid, fmt::format("there is no setting {}", name));
}

std::vector<std::pair<std::string_view, std::string>> list_settings(const Settings& settings) {
  std::vector<std::pair<std::string_view, std::string>> all;
  for (const DurationRow& row : kDurations) {
    all.emplace_back(row.name, std::to_string(settings.*row.field / row.unit));
  }
  for (const NumberRow& row : kNumbers) {
    all.emplace_back(row.name, std::to_string(settings.*row.field));
  }
  for (const FlagRow& row : kFlags) {
    all.emplace_back(row.name, settings.*row.field ? "true" : "false");
  }
  return all;
}

}  // namespace terway::vpcsim
