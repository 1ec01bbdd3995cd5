// SPDX-License-Identifier: Apache-2.0
#include "histogram.h"

#include <algorithm>

namespace terway::bench {

void Histogram::add(std::chrono::nanoseconds taken) {
  const auto bin = static_cast<std::size_t>(std::max<std::int64_t>(taken.count(), 0)) / kBinNs;
  ++bins_[std::min(bin, kBins - 1)];
  ++count_;
}

double Histogram::percentile(double percent) const {
  const double wanted = static_cast<double>(count_) * percent / 100;
  double below = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    const double here = bins_[bin];
    if (here > 0 && below + here >= wanted) {
      const double within = (wanted - below) / here;
      return (static_cast<double>(bin) + within) * static_cast<double>(kBinNs) / 1000;
    }
    below += here;
  }
  return 0;
}

}  // namespace terway::bench
