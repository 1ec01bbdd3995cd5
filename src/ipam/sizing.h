// SPDX-License-Identifier: Apache-2.0
// How many addresses to fetch or to give back, and where: arithmetic on what each ENI has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ipam/per_family.h"

namespace terway::ipam {

// One ENI as sizing sees it.
struct Shelf {
  Count usable;      // idle, or on their way (being assigned, or on an ENI that is not Ready yet)
  Count room;        // as many more may be fetched onto it
  Count releasable;  // idle, and not the primary address, which only leaves with its ENI
  std::uint32_t held = 0;   // addresses that pods own
  std::uint32_t total = 0;  // addresses in all
  bool ready = false;
  bool growing = false;      // a call for more is under way
  bool can_assign = false;   // a call may begin now; else its room is a promise
  bool can_release = false;  // a call may begin now
  bool can_leave = false;    // nothing on it but idle addresses
};

struct Growth {
  struct Fill {
    std::size_t shelf;
    net::Family family;
    std::uint32_t count;
  };
  std::vector<Fill> fills;     // one call each
  std::vector<Count> creates;  // pods' addresses of each new ENI, its primary among them
  std::uint32_t missing = 0;   // pods for which there is no room anywhere
};
// Room for `need` more pods: on ENIs that exist or are on their way, then on up to `creatable` new
// ones.
Growth plan_growth(Stack stack, std::uint32_t need, const std::vector<Shelf>& shelves,
                   EniPolicy policy, std::uint32_t creatable, const Count& per_eni,
                   std::uint32_t batch);

struct Shrink {
  struct Release {
    std::size_t shelf;
    net::Family family;
    std::uint32_t count;
  };
  std::vector<Release> releases;    // one call each
  std::vector<std::size_t> leaves;  // ENIs that go as a whole
};
// Gives back what `surplus` pods would need, from the ENIs with the fewest pods, so that whole ENIs
// become free; up to `may_leave` of those go. Addresses that have no partner of the other family on
// their ENI go too, but for `unpaired` of them.
Shrink plan_shrink(Stack stack, std::uint32_t surplus, std::uint32_t unpaired,
                   const std::vector<Shelf>& shelves, std::uint32_t may_leave, std::uint32_t batch);

}  // namespace terway::ipam
