// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace terway::cli {

std::string duration(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f}s", std::max(seconds, 0.0));
  const auto total = static_cast<std::uint64_t>(seconds);
  if (total < 60) return fmt::format("{}s", total);
  if (total < 3600) return fmt::format("{}m{}s", total / 60, total % 60);
  if (total < 86400) return fmt::format("{}h{}m", total / 3600, total % 3600 / 60);
  return fmt::format("{}d{}h", total / 86400, total % 86400 / 3600);
}

std::string short_id(std::string_view id) { return std::string(id.substr(0, 12)); }

std::string joined(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, ","));
}

std::string pairs(const std::vector<std::pair<std::string, Table::Cell>>& entries, Colour colour) {
  std::size_t width = 0;
  for (const auto& [name, cell] : entries) width = std::max(width, display_width(name));
  std::string out;
  for (const auto& [name, cell] : entries) {
    out += painted(name, Tone::Heading, colour);
    out.append(width - display_width(name) + 2, ' ');
    out += painted(cell.text.empty() ? "-" : cell.text, cell.tone, colour);
    out += '\n';
  }
  return out;
}

std::string section(std::string_view title, Colour colour) {
  return "\n" + painted(title, Tone::Heading, colour) + "\n";
}

}  // namespace terway::cli
