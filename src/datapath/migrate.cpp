// SPDX-License-Identifier: Apache-2.0
#include "datapath/migrate.h"

namespace terway::datapath {

std::optional<ebpf::Entry> migrate(unsigned /*from_abi*/, std::string_view map,
                                   const ebpf::Entry& old, std::size_t key_size,
                                   std::size_t value_size) {
  if (map != "flows" && map != "fragments") return std::nullopt;
  if (old.key.size() != key_size) return std::nullopt;
  ebpf::Entry entry = old;
  entry.value.resize(value_size);
  return entry;
}

}  // namespace terway::datapath
