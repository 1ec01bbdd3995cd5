// SPDX-License-Identifier: Apache-2.0
#include "model/bandwidth.h"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cmath>

namespace terway::model {

namespace {

struct Unit {
  std::string_view text;
  double factor;
};
constexpr std::array<Unit, 12> kUnits = {{{"k", 1e3},
                                          {"K", 1e3},
                                          {"M", 1e6},
                                          {"G", 1e9},
                                          {"T", 1e12},
                                          {"P", 1e15},
                                          {"Ki", 1024.0},
                                          {"Mi", 1048576.0},
                                          {"Gi", 1073741824.0},
                                          {"Ti", 1099511627776.0},
                                          {"", 1},
                                          {"bit", 1}}};

constexpr std::string_view kAllowed =
    "bits per second from 1k to 1P, with k, M, G, T (or Ki, Mi, Gi, Ti) behind the number or not, "
    "or none";

Error not_allowed(std::string_view text) {
  return {Error::Kind::Invalid, fmt::format("rate \"{}\" is not allowed: {}", text, kAllowed)};
}

}  // namespace

std::optional<std::string> rate_problem(std::uint64_t bits_per_second) {
  if (bits_per_second == 0) return std::nullopt;
  if (bits_per_second >= kLeastRate && bits_per_second <= kMostRate) return std::nullopt;
  return fmt::format("{} is not allowed: {}", bits_per_second, kAllowed);
}

Result<std::uint64_t> parse_rate(std::string_view text) {
  if (text == "none" || text == "unlimited") return std::uint64_t{0};
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || end == text.data()) return not_allowed(text);
  const std::string_view behind = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& unit : kUnits) {
    if (behind != unit.text) continue;
    const double bits = std::round(number * unit.factor);
    if (bits == 0 && number == 0) return std::uint64_t{0};
    if (!(bits >= static_cast<double>(kLeastRate)) || bits > static_cast<double>(kMostRate)) break;
    return static_cast<std::uint64_t>(bits);
  }
  return not_allowed(text);
}

std::string rate_text(std::uint64_t bits_per_second) {
  if (bits_per_second == 0) return "none";
  constexpr std::array<std::string_view, 6> kLetters = {"", "k", "M", "G", "T", "P"};
  std::size_t letter = 0;
  while (bits_per_second % 1000 == 0 && letter + 1 < kLetters.size()) {
    bits_per_second /= 1000;
    ++letter;
  }
  return fmt::format("{}{}", bits_per_second, kLetters[letter]);
}

}  // namespace terway::model
