// SPDX-License-Identifier: Apache-2.0
// How many ENIs and pods a node of an instance type can have.
#pragma once

#include <cstdint>
#include <string>

#include "ipam/ipam.h"
#include "model/eni.h"

namespace terway::ipam {

// The operator's caps: eni_cap_ratio, eni_cap_shift, max_eni.
struct EniCaps {
  double ratio = 1.0;
  std::int32_t shift = 0;
  std::uint32_t max_eni = 0;  // 0: no cap
};

// int(adapters * ratio) + shift - 1 ENIs for pods, at most `max_eni`, and never more than the type
// has beside its primary one.
Limits limits_of(const model::InstanceType& type, const EniCaps& caps = {});

struct Capacity {
  std::uint32_t enis = 0;
  std::uint32_t pods_per_eni = 0;
  std::uint32_t shared_pods = 0;     // pods share ENIs: enis * pods_per_eni
  std::uint32_t exclusive_pods = 0;  // an ENI each
  std::string remark;                // why it is less than it could be; empty if it is not
};
Capacity capacity_of(const model::InstanceType& type, Stack stack, const EniCaps& caps = {});

}  // namespace terway::ipam
