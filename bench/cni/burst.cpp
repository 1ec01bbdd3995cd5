// SPDX-License-Identifier: Apache-2.0
#include "burst.h"

#include <fmt/core.h>

#include <algorithm>

#include "vpcsim/throttle.h"

namespace terway::bench {

namespace {

double seconds_beyond_quota(std::size_t calls, std::uint32_t per_minute) {
  if (calls <= per_minute) return 0;
  return static_cast<double>(calls - per_minute) * 60 / per_minute;
}

}  // namespace

Bound bound_of_burst(std::size_t pods, const CloudSettings& settings) {
  const std::size_t enis = (pods + BenchNode::kAddressesPerEni - 1) / BenchNode::kAddressesPerEni;
  const std::uint32_t create = vpcsim::default_calls_per_minute("CreateNetworkInterface");
  const std::uint32_t attach = vpcsim::default_calls_per_minute("AttachNetworkInterface");
  const double quota =
      std::max(seconds_beyond_quota(enis, create), seconds_beyond_quota(enis, attach));
  // Create and Attach come one after the other; nothing else must be asked.
  const double calls = 2 * settings.api_latency_ms / 1000;
  const double delays = (settings.attach_delay_ms + settings.nic_delay_ms) / 1000;
  Bound bound;
  bound.seconds = calls + delays + quota;
  bound.computation = fmt::format(
      "{} pods on {} ENIs of {} addresses, side by side: Create and Attach {:.0f} ms each, "
      "attaching "
      "{:.0f} ms, NIC {:.0f} ms; {} calls of {} a minute wait {:.1f} s",
      pods, enis, BenchNode::kAddressesPerEni, settings.api_latency_ms, settings.attach_delay_ms,
      settings.nic_delay_ms, enis, std::min(create, attach), quota);
  return bound;
}

}  // namespace terway::bench
