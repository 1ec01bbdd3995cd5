// SPDX-License-Identifier: Apache-2.0
// All state of the simulated cloud in one place, so that it has one owner.
#pragma once

#include <memory>
#include <string>

#include "vpcsim/calls.h"
#include "vpcsim/credentials.h"
#include "vpcsim/faults.h"
#include "vpcsim/history.h"
#include "vpcsim/idempotency.h"
#include "vpcsim/nonces.h"
#include "vpcsim/throttle.h"
#include "vpcsim/world.h"

namespace terway::vpcsim {

// Belongs to the owner thread. Tell it the time with advance() before anything else is asked, and
// settle() after whatever may have changed the world.
struct Region {
  Region(std::string id, Random& seed)
      : world(std::move(id), Random(seed.below(kSeeds))),
        credentials(Random(seed.below(kSeeds))),
        faults(Random(seed.below(kSeeds))),
        random(Random(seed.below(kSeeds))) {}

  void advance(Instant now_, WallTime wall_) {
    now = now_;
    wall = wall_;
    world.advance(now, wall);
    settle();
  }
  // Lets the metadata history see what changed.
  void settle() {
    for (const std::string& id : world.take_changed_instances()) history.record(world, id, now);
  }
  // Removes a fault and lets go on what it held. False: unknown.
  bool clear_fault(std::uint64_t id) {
    if (!faults.clear(id)) return false;
    world.release_held(id);
    return true;
  }

  static constexpr std::uint64_t kSeeds = 1ULL << 62;

  Instant now{};
  WallTime wall{};
  World world;
  History history;
  ClientTokens tokens;
  Throttle throttle;
  Credentials credentials;
  Nonces nonces;
  Faults faults;
  Calls calls;
  Random random;  // for request ids
};

}  // namespace terway::vpcsim
