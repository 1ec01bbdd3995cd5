// SPDX-License-Identifier: Apache-2.0
#include "base/table.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/fd.h"

namespace terway {
namespace {

TEST_CASE("columns are as wide as their widest cell, and no line ends in blanks") {
  Table table({{"NAME"}, {"PODS", Table::Align::Right}, {"STATE"}});
  table.add({{"node-a"}, {"7"}, {"Ready"}});
  table.add({{"n"}, {"12345"}, {"Draining"}});
  CHECK(table.to_string(Colour::Off) ==
        "NAME     PODS  STATE\n"
        "node-a      7  Ready\n"
        "n       12345  Draining\n");
}

TEST_CASE("missing and empty cells are a dash") {
  Table table({{"A"}, {"B"}});
  CHECK(table.empty());
  table.add({{""}});
  CHECK_FALSE(table.empty());
  CHECK(table.to_string(Colour::Off) == "A  B\n-  -\n");
}

TEST_CASE("width counts what a terminal shows, not bytes") {
  CHECK(display_width("") == 0);
  CHECK(display_width("abc") == 3);
  CHECK(display_width("für") == 3);
  CHECK(display_width("e\u0301") == 1);       // e and a combining acute
  CHECK(display_width("\u5bb9\u5668") == 4);  // two Chinese characters
  CHECK(display_width("\U0001F600") == 2);
  CHECK(display_width("\u2192") == 1);    // an arrow
  CHECK(display_width("\xff\xfe") == 2);  // not UTF-8
  CHECK(display_width("\xe5\xae") == 2);  // cut short
  CHECK(display_width("\xc0\x80") == 2);  // overlong
}

TEST_CASE("wide characters keep the columns straight") {
  Table table({{"NAME"}, {"X"}});
  table.add({{"\u5bb9\u5668"}, {"1"}});
  table.add({{"für"}, {"2"}});
  CHECK(table.to_string(Colour::Off) == "NAME  X\n\u5bb9\u5668  1\nfür   2\n");
}

TEST_CASE("colour goes around the text and changes no width") {
  Table table({{"S"}, {"T"}});
  table.add({{"ok", Tone::Good}, {"x", Tone::Bad}});
  CHECK(table.to_string(Colour::On) ==
        "\x1b[1mS\x1b[0m   \x1b[1mT\x1b[0m\n\x1b[32mok\x1b[0m  \x1b[31mx\x1b[0m\n");
  CHECK(table.to_string(Colour::Off) == "S   T\nok  x\n");
}

TEST_CASE("a name cannot smuggle an escape sequence into the terminal") {
  Table table({{"NAME"}});
  table.add({{"evil\x1b[2J\nx"}});
  CHECK(table.to_string(Colour::Off) == "NAME\nevil?[2J?x\n");
}

// NOLINTBEGIN(concurrency-mt-unsafe): this test has one thread.
TEST_CASE("no colour where the output is no terminal, is dumb, or NO_COLOR is set") {
  const UniqueFd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(terminal);
  const UniqueFd file(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "xterm", 1);
  CHECK(colour_for(terminal.get()) == Colour::On);
  CHECK(colour_for(file.get()) == Colour::Off);
  ::setenv("NO_COLOR", "", 1);
  CHECK(colour_for(terminal.get()) == Colour::On);
  ::setenv("NO_COLOR", "1", 1);
  CHECK(colour_for(terminal.get()) == Colour::Off);
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "dumb", 1);
  CHECK(colour_for(terminal.get()) == Colour::Off);
}
// NOLINTEND(concurrency-mt-unsafe)

}  // namespace
}  // namespace terway
