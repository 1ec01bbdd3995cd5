// SPDX-License-Identifier: Apache-2.0
// How people write rates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace terway::model {

// What Kubernetes takes for reasonable, in bits per second (pkg/util/bandwidth): less or more is
// taken for a mistake in the unit.
inline constexpr std::uint64_t kLeastRate = 1'000;
inline constexpr std::uint64_t kMostRate = 1'000'000'000'000'000;

// Bits per second: "10M", "1.5G", "800k", "4Mi", "12500000"; "none", "0" and "unlimited" are 0.
// Invalid, with what is allowed, for anything else and for a rate beyond the two bounds.
Result<std::uint64_t> parse_rate(std::string_view text);

// The shortest exact way: "10M", "1234567"; "none" for 0.
std::string rate_text(std::uint64_t bits_per_second);

// nullopt when `bits_per_second` is none or within the bounds, else what is wrong with it.
std::optional<std::string> rate_problem(std::uint64_t bits_per_second);

}  // namespace terway::model
