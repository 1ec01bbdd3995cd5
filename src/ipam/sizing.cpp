// SPDX-License-Identifier: Apache-2.0
#include "ipam/sizing.h"

#include <algorithm>
#include <numeric>

namespace terway::ipam {
namespace {

std::vector<std::size_t> indices(const std::vector<Shelf>& shelves) {
  std::vector<std::size_t> order(shelves.size());
  std::iota(order.begin(), order.end(), 0U);
  return order;
}

// The family that lacks (or has) more of the two; the IPv4 one where it does not matter.
net::Family larger(const Count& count) {
  return count.v6 > count.v4 ? net::Family::V6 : net::Family::V4;
}

}  // namespace

Growth plan_growth(Stack stack, std::uint32_t need, const std::vector<Shelf>& shelves,
                   EniPolicy policy, std::uint32_t creatable, const Count& per_eni,
                   std::uint32_t batch) {
  Growth growth;
  std::vector<std::size_t> order = indices(shelves);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (shelves[a].ready != shelves[b].ready) return shelves[a].ready;
    // What was promised to one whose call is under way is not promised to another meanwhile.
    if (shelves[a].growing != shelves[b].growing) return shelves[a].growing;
    return policy == EniPolicy::MostIps ? shelves[a].total > shelves[b].total
                                        : shelves[a].total < shelves[b].total;
  });
  for (const std::size_t i : order) {
    const Shelf& shelf = shelves[i];
    const std::uint32_t now = pods_of(stack, shelf.usable);
    const std::uint32_t full =
        pods_of(stack, {shelf.usable.v4 + shelf.room.v4, shelf.usable.v6 + shelf.room.v6});
    const std::uint32_t more = std::min(need, less(full, now));
    if (more == 0) continue;
    need -= more;
    if (!shelf.can_assign) continue;
    const Count target = for_pods(stack, now + more);
    const Count lack = {less(target.v4, shelf.usable.v4), less(target.v6, shelf.usable.v6)};
    const net::Family family = larger(lack);
    growth.fills.push_back({i, family, std::min(lack[family], batch)});
  }
  const std::uint32_t pods_per_eni = pods_of(stack, per_eni);
  while (need > 0 && creatable > 0 && pods_per_eni > 0) {
    const std::uint32_t pods = std::min(need, pods_per_eni);
    Count count = for_pods(stack, pods);
    count.v6 = std::min(count.v6, batch);
    growth.creates.push_back(count);
    need -= pods;
    --creatable;
  }
  growth.missing = need;
  return growth;
}

Shrink plan_shrink(Stack stack, std::uint32_t surplus, std::uint32_t unpaired,
                   const std::vector<Shelf>& shelves, std::uint32_t may_leave,
                   std::uint32_t batch) {
  Shrink shrink;
  std::vector<std::size_t> order = indices(shelves);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return pods_of(stack, shelves[a].usable) > pods_of(stack, shelves[b].usable);
  });
  std::vector<bool> leaves(shelves.size(), false);
  for (const std::size_t i : order) {
    const std::uint32_t pods = pods_of(stack, shelves[i].usable);
    if (!shelves[i].can_leave || pods > surplus || may_leave == 0) continue;
    surplus -= pods;
    --may_leave;
    leaves[i] = true;
    shrink.leaves.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return shelves[a].held < shelves[b].held; });
  for (const std::size_t i : order) {
    const Shelf& shelf = shelves[i];
    if (leaves[i] || !shelf.can_release) continue;
    const std::uint32_t pods = pods_of(stack, shelf.usable);
    const std::uint32_t stays = less(pods, surplus);
    const Count keep = for_pods(stack, stays + unpaired);
    unpaired = less(unpaired, less(std::max(shelf.usable.v4, shelf.usable.v6), stays));
    const Count give = {
        std::min({less(shelf.usable.v4, keep.v4), shelf.releasable.v4, batch}),
        std::min({less(shelf.usable.v6, keep.v6), shelf.releasable.v6, batch}),
    };
    const net::Family family = larger(give);
    if (give[family] == 0) continue;
    shrink.releases.push_back({i, family, give[family]});
    Count left = shelf.usable;
    left[family] -= give[family];
    surplus -= std::min(surplus, less(pods, pods_of(stack, left)));
  }
  return shrink;
}

}  // namespace terway::ipam
