// SPDX-License-Identifier: Apache-2.0
// Who else uses our mark bits.
#include <fmt/core.h>

#include "datapath/names.h"
#include "datapath/state.h"

namespace terway::datapath {

Result<std::vector<std::string>> Datapath::find_mark_clashes() {
  const std::uint32_t mask = state_->node.marks.mask();
  std::vector<std::string> clashes = known_users_of(mask);
  for (const net::Family family : {net::Family::V4, net::Family::V6}) {
    if (!state_->enabled(family)) continue;
    for (const kernel::Rule& rule : TRY(kernel::list_rules(state_->route, family))) {
      if (rule.protocol == kProtocol || (rule.mask & mask) == 0) continue;
      clashes.push_back(fmt::format("rule \"{}\" looks at bits {:#x} of mark mask {:#x}",
                                    rule.to_string(), rule.mask & mask, mask));
    }
  }
  for (const auto& writer : TRY(kernel::nft::list_mark_writers(state_->netfilter))) {
    if (writer.table == kNftTable || (writer.bits & mask) == 0) continue;
    clashes.push_back(
        fmt::format("chain {} of nftables table {} writes bits {:#x} of mark mask {:#x}",
                    writer.chain, writer.table, writer.bits & mask, mask));
  }
  return clashes;
}

}  // namespace terway::datapath
