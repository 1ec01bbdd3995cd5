// SPDX-License-Identifier: Apache-2.0
#include "base/table.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "base/result.h"

namespace terway {
namespace {

using Range = std::pair<char32_t, char32_t>;

constexpr std::array<Range, 10> kZeroWidth = {{
    {0x0300, 0x036f},    // combining marks
    {0x0483, 0x0489},    // Cyrillic ones
    {0x0591, 0x05bd},    // Hebrew points
    {0x064b, 0x065f},    // Arabic ones
    {0x1ab0, 0x1aff},    //
    {0x200b, 0x200f},    // zero-width space, joiners, marks of direction
    {0x20d0, 0x20f0},    //
    {0xfe00, 0xfe0f},    // variation selectors
    {0xfe20, 0xfe2f},    //
    {0xe0100, 0xe01ef},  //
}};

constexpr std::array<Range, 10> kWide = {{
    {0x1100, 0x115f},    // Hangul Jamo
    {0x2e80, 0x303e},    // CJK radicals, punctuation
    {0x3041, 0xa4cf},    // kana, CJK, Yi
    {0xac00, 0xd7a3},    // Hangul
    {0xf900, 0xfaff},    // CJK compatibility
    {0xfe30, 0xfe6f},    // CJK compatibility forms
    {0xff00, 0xff60},    // full-width forms
    {0xffe0, 0xffe6},    //
    {0x1f300, 0x1faff},  // emoji
    {0x20000, 0x3fffd},  // CJK extensions
}};

template <std::size_t N>
bool within(const std::array<Range, N>& ranges, char32_t character) {
  return std::any_of(ranges.begin(), ranges.end(), [character](const Range& range) {
    return character >= range.first && character <= range.second;
  });
}

// Takes one character off the front; a byte that is not UTF-8 comes as U+FFFD.
char32_t take_character(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text[0]);
  std::size_t length = 1;
  char32_t character = first;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
    character = first & 0x1fU;
  } else if ((first & 0xf0U) == 0xe0) {
    length = 3;
    character = first & 0x0fU;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    character = first & 0x07U;
  } else if (first >= 0x80) {
    character = 0xfffd;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size() || (static_cast<unsigned char>(text[i]) & 0xc0U) != 0x80) {
      length = 1;
      character = 0xfffd;
      break;
    }
    character = (character << 6U) | (static_cast<unsigned char>(text[i]) & 0x3fU);
  }
  text.remove_prefix(length);
  return character;
}

std::string printable(std::string_view text) {
  if (text.empty()) return "-";
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

std::string_view escape_of(Tone tone) {
  switch (tone) {
    case Tone::Plain:
      return "";
    case Tone::Heading:
      return "\x1b[1m";
    case Tone::Good:
      return "\x1b[32m";
    case Tone::Warning:
      return "\x1b[33m";
    case Tone::Bad:
      return "\x1b[31m";
    case Tone::Faint:
      return "\x1b[2m";
  }
  return "";
}

}  // namespace

Colour colour_for(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  if (no_color != nullptr && *no_color != '\0') return Colour::Off;
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return Colour::Off;
  return ::isatty(fd) == 1 ? Colour::On : Colour::Off;
}

std::string painted(std::string_view text, Tone tone, Colour colour) {
  if (colour == Colour::Off || tone == Tone::Plain) return std::string(text);
  return std::string(escape_of(tone)).append(text).append("\x1b[0m");
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const char32_t character = take_character(text);
    if (within(kZeroWidth, character)) continue;
    width += within(kWide, character) ? 2 : 1;
  }
  return width;
}

void Table::add(std::vector<Cell> row) {
  VERIFY(row.size() <= columns_.size());
  row.resize(columns_.size());
  rows_.push_back(std::move(row));
}

std::string Table::to_string(Colour colour) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(columns_[i].heading);
    for (const auto& row : rows_) width = std::max(width, display_width(printable(row[i].text)));
    widths.push_back(width);
  }

  std::string out;
  const auto append = [&](std::size_t column, std::string_view text, Tone tone) {
    const std::string blanks(widths[column] - display_width(text), ' ');
    const bool right = columns_[column].align == Align::Right;
    if (column > 0) out.append("  ");
    if (right) out.append(blanks);
    out.append(painted(text, tone, colour));
    if (!right && column + 1 < columns_.size()) out.append(blanks);
  };
  for (std::size_t i = 0; i < columns_.size(); ++i) append(i, columns_[i].heading, Tone::Heading);
  out.push_back('\n');
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) append(i, printable(row[i].text), row[i].tone);
    out.push_back('\n');
  }
  return out;
}

}  // namespace terway
