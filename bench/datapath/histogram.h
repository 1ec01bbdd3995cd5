// SPDX-License-Identifier: Apache-2.0
// How often something took how long. Counting costs one add in a small array: the measured loop
// stays in the cache.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace terway::bench {

class Histogram {
 public:
  void add(std::chrono::nanoseconds taken);
  std::uint64_t count() const { return count_; }
  // In microseconds, interpolated within its bin; 0 where nothing was added.
  double percentile(double percent) const;

 private:
  static constexpr std::size_t kBinNs = 10;
  static constexpr std::size_t kBins = 200'000;  // up to 2 ms; what is longer counts as that
  std::array<std::uint32_t, kBins> bins_{};
  std::uint64_t count_ = 0;
};

}  // namespace terway::bench
