// SPDX-License-Identifier: Apache-2.0
// What becomes of map entries that another version of the daemon left. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "ebpf/object.h"

namespace terway::datapath {

// The rule, older and newer versions alike, so that an upgrade may be undone as well:
//   flows, fragments   kept: their keys never change without a new map name, their values only grow
//                      at the end; what is missing is 0, what is more is cut off
//   all else           dropped: the daemon writes it anew before it attaches its programs
// nullopt: dropped.
std::optional<ebpf::Entry> migrate(unsigned from_abi, std::string_view map, const ebpf::Entry& old,
                                   std::size_t key_size, std::size_t value_size);

}  // namespace terway::datapath
