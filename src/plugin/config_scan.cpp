// SPDX-License-Identifier: Apache-2.0
#include "plugin/config_scan.h"

namespace terway::plugin {

namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// What is between the quote at `at` and its partner; moves `at` behind the partner.
Text quoted(Text json, size_t& at) {
  const size_t start = ++at;
  while (at < json.size && json.data[at] != '"') {
    at += json.data[at] == '\\' && at + 1 < json.size ? 2 : 1;
  }
  const size_t end = at < json.size ? at : json.size;
  at = end + 1;
  return {json.data + start, end - start};
}

void skip_space(Text json, size_t& at) {
  while (at < json.size && is_space(json.data[at])) ++at;
}

bool has_backslash(Text text) {
  return text.size > 0 && memchr(text.data, '\\', text.size) != nullptr;
}

}  // namespace

Text find_string(Text json, Text key) {
  int depth = 0;
  for (size_t at = 0; at < json.size;) {
    const char c = json.data[at];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (c != '"') {
      ++at;
      continue;
    }
    const Text found = quoted(json, at);
    skip_space(json, at);
    if (depth != 1 || at >= json.size || json.data[at] != ':' || !(found == key)) continue;
    ++at;
    skip_space(json, at);
    if (at >= json.size || json.data[at] != '"') return {};
    const Text value = quoted(json, at);
    return has_backslash(value) ? Text() : value;
  }
  return {};
}

}  // namespace terway::plugin
