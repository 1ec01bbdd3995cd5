// SPDX-License-Identifier: Apache-2.0
// A table of text with aligned columns, for people at a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace terway {

enum class Colour : std::uint8_t { Off, On };
// On where `fd` is a terminal that is not dumb, and NO_COLOR is unset or empty (no-color.org).
Colour colour_for(int fd);

enum class Tone : std::uint8_t { Plain, Heading, Good, Warning, Bad, Faint };
// `text` in the tone's colour; unchanged with Colour::Off or Tone::Plain.
std::string painted(std::string_view text, Tone tone, Colour colour);

// Cells that UTF-8 text takes on a terminal: 0 for combining marks, 2 for East Asian wide
// characters and emoji (Unicode 15, UAX #11), 1 for all else and for each byte that is not UTF-8.
std::size_t display_width(std::string_view text);

class Table {
 public:
  enum class Align : std::uint8_t { Left, Right };
  struct Column {
    std::string heading;
    Align align = Align::Left;
  };
  struct Cell {
    std::string text;
    Tone tone = Tone::Plain;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Missing cells are empty, surplus ones a bug. An empty cell is printed as "-". Control
  // characters (an escape sequence in a foreign name, say) are printed as "?".
  void add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }

  // Headings and rows, two spaces between columns, none at the end of a line.
  std::string to_string(Colour colour) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace terway
