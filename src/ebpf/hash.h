// SPDX-License-Identifier: Apache-2.0
// FNV-1a of 64 bits (draft-eastlake-fnv): for telling things apart, not for keeping anybody out.
#pragma once

#include <cstdint>
#include <string_view>

namespace terway::ebpf {

constexpr std::uint64_t hash(std::string_view bytes) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char byte : bytes) value = (value ^ static_cast<std::uint8_t>(byte)) * 0x100000001b3;
  return value;
}

// Published test vectors.
static_assert(hash("") == 0xcbf29ce484222325 && hash("a") == 0xaf63dc4c8601ec8c);

}  // namespace terway::ebpf
