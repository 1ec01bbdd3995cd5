// SPDX-License-Identifier: Apache-2.0
#include "datapath/actual.h"

#include <algorithm>

#include "datapath/names.h"

namespace terway::datapath {

const kernel::Link* Actual::find_link(int ifindex) const {
  const auto found = std::find_if(links.begin(), links.end(),
                                  [&](const kernel::Link& l) { return l.ifindex == ifindex; });
  return found == links.end() ? nullptr : &*found;
}

const kernel::Link* Actual::find_link(std::string_view name) const {
  const auto found = std::find_if(links.begin(), links.end(),
                                  [&](const kernel::Link& l) { return l.name == name; });
  return found == links.end() ? nullptr : &*found;
}

Result<Actual> read_actual(kernel::Socket& route, kernel::Socket& netfilter, bool ipv4, bool ipv6) {
  Actual actual;
  actual.links = TRY(kernel::list_links(route));
  for (const net::Family family : {net::Family::V4, net::Family::V6}) {
    if (!(family == net::Family::V4 ? ipv4 : ipv6)) continue;
    for (auto& rule : TRY(kernel::list_rules(route, family))) {
      actual.rules.push_back(std::move(rule));
    }
    for (auto& found : TRY(kernel::list_routes(route, family))) {
      if (found.table != kernel::kLocalTable) actual.routes.push_back(std::move(found));
    }
    for (auto& neighbour : TRY(kernel::list_neighbours(route, family))) {
      actual.neighbours.push_back(neighbour);
    }
  }
  auto table = kernel::nft::read_table(netfilter, std::string(kNftTable));
  if (table.ok()) {
    actual.table = std::move(table).value();
  } else if (!table.is(Error::Kind::NotFound)) {
    return table.take_error();
  }
  return actual;
}

}  // namespace terway::datapath
