// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <fmt/core.h>

namespace terway {

Random Random::from_system() {
  std::random_device device;
  const std::uint64_t high = device();
  return Random(high << 32 | device());
}

std::string Random::uuid() {
  const std::uint64_t a = engine_();
  const std::uint64_t b = engine_();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xfff,
                     0x8000 | ((b >> 48) & 0x3fff), b & 0xffffffffffff);
}

}  // namespace terway
