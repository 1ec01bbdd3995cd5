// SPDX-License-Identifier: Apache-2.0
#include "cloud/backoff.h"

#include <algorithm>

namespace terway::cloud {

Duration Backoff::ceiling(unsigned failures) const {
  if (failures == 0) return Duration::zero();
  auto nanoseconds = static_cast<double>(first.count());
  const auto most = static_cast<double>(longest.count());
  for (unsigned i = 1; i < failures && nanoseconds < most; ++i) nanoseconds *= factor;
  return Duration(static_cast<Duration::rep>(std::min(nanoseconds, most)));
}

Duration Backoff::delay(unsigned failures, Random& random) const {
  return Duration(
      static_cast<Duration::rep>(static_cast<double>(ceiling(failures).count()) * random.unit()));
}

}  // namespace terway::cloud
