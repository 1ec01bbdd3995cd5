// SPDX-License-Identifier: Apache-2.0
// Randomness as a value that is handed in, so that a test can repeat what it saw.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace terway {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  // Seeded by the kernel.
  static Random from_system();

  // Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(engine_);
  }
  // Uniform in [0, 1).
  double unit() { return std::uniform_real_distribution<double>(0.0, 1.0)(engine_); }
  // RFC 4122 version 4, in its text form.
  std::string uuid();

 private:
  std::mt19937_64 engine_;
};

}  // namespace terway
