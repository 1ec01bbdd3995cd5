// SPDX-License-Identifier: Apache-2.0
// Which names the CNI specification allows. Needs no C++ library, for the plugin has none.
#pragma once

#include <stddef.h>

namespace terway::cni {

constexpr bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// SPEC "Parameters": starts with an alphanumeric character, then those, '_', '.' and '-'. The same
// rule holds for the name of a network.
constexpr bool is_container_id(const char* text, size_t size) {
  if (size == 0 || !is_alphanumeric(text[0])) return false;
  for (size_t i = 1; i < size; ++i) {
    const char c = text[i];
    if (!is_alphanumeric(c) && c != '_' && c != '.' && c != '-') return false;
  }
  return true;
}

// What the kernel takes (dev_valid_name): 1 to 15 bytes, not "." or "..", no '/', ':' or white
// space.
constexpr bool is_ifname(const char* text, size_t size) {
  if (size == 0 || size > 15) return false;
  if (text[0] == '.' && (size == 1 || (size == 2 && text[1] == '.'))) return false;
  for (size_t i = 0; i < size; ++i) {
    const char c = text[i];
    if (c == '/' || c == ':' || c == ' ' || (c >= '\t' && c <= '\r') || c == '\0') return false;
  }
  return true;
}

}  // namespace terway::cni
