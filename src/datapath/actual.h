// SPDX-License-Identifier: Apache-2.0
// The kernel as it is: one reading.
#pragma once

#include <optional>
#include <vector>

#include "kernel/link.h"
#include "kernel/neighbour.h"
#include "kernel/nftables.h"
#include "kernel/route.h"
#include "kernel/rule.h"

namespace terway::datapath {

struct Actual {
  std::vector<kernel::Link> links;
  std::vector<kernel::Rule> rules;
  std::vector<kernel::Route> routes;  // all tables but `local`
  std::vector<kernel::Neighbour> neighbours;
  std::optional<kernel::nft::TableState> table;

  const kernel::Link* find_link(int ifindex) const;
  const kernel::Link* find_link(std::string_view name) const;
};

Result<Actual> read_actual(kernel::Socket& route, kernel::Socket& netfilter, bool ipv4, bool ipv6);

}  // namespace terway::datapath
