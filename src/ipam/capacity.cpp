// SPDX-License-Identifier: Apache-2.0
#include "ipam/capacity.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "ipam/per_family.h"

namespace terway::ipam {

Limits limits_of(const model::InstanceType& type, const EniCaps& caps) {
  const std::int64_t beside_primary =
      std::max<std::int64_t>(std::int64_t{type.eni_quantity} - 1, 0);
  const std::int64_t adapters =
      std::llround(std::floor(std::max(caps.ratio, 0.0) * static_cast<double>(type.eni_quantity)));
  std::int64_t enis = adapters + caps.shift - 1;
  if (caps.max_eni > 0) enis = std::min<std::int64_t>(enis, caps.max_eni);
  Limits limits;
  limits.max_enis = static_cast<std::uint32_t>(std::clamp<std::int64_t>(enis, 0, beside_primary));
  limits.ipv4_per_eni = type.ipv4_per_eni;
  limits.ipv6_per_eni = type.ipv6_per_eni;
  return limits;
}

Capacity capacity_of(const model::InstanceType& type, Stack stack, const EniCaps& caps) {
  const Limits limits = limits_of(type, caps);
  Capacity capacity;
  capacity.enis = limits.max_enis;
  capacity.pods_per_eni = pods_of(stack, {limits.ipv4_per_eni, limits.ipv6_per_eni});
  capacity.shared_pods = limits.pods(stack);
  capacity.exclusive_pods = capacity.pods_per_eni > 0 ? limits.max_enis : 0;
  const auto remark = [&capacity](const std::string& text) {
    capacity.remark += (capacity.remark.empty() ? "" : "; ") + text;
  };
  const std::uint32_t beside_primary = less(type.eni_quantity, 1);
  if (beside_primary == 0) {
    remark(fmt::format("{} has no ENI beside its primary one", type.id));
  } else if (limits.max_enis < beside_primary) {
    remark(fmt::format("eni_cap_ratio, eni_cap_shift and max_eni leave {} of {} ENIs",
                       limits.max_enis, beside_primary));
  }
  if (has(stack, net::Family::V6) && limits.ipv6_per_eni == 0) {
    remark(fmt::format("{} has no IPv6 addresses", type.id));
  } else if (stack == Stack::Dual && limits.ipv4_per_eni != limits.ipv6_per_eni) {
    remark(fmt::format("each pod needs both addresses on one ENI, which has {} IPv4 and {} IPv6",
                       limits.ipv4_per_eni, limits.ipv6_per_eni));
  }
  return capacity;
}

}  // namespace terway::ipam
