// SPDX-License-Identifier: Apache-2.0
// What the rounds came to, for programs and for people.
#pragma once

#include <string>
#include <vector>

#include "attach.h"
#include "base/table.h"

namespace terway::bench {

// Of one path in one round, or the best of all rounds.
struct Figures {
  double rr_us = 0;  // p50 of a round trip; 0: not measured
  double crr_us = 0;
  double stream_gbps = 0;
  double forwarded = 0;  // packets forwarded by the nodes' IP stacks for each round trip

  // The noise is one-sided: a neighbour makes things slower, nothing makes them faster.
  void keep_best(const Figures& other);
};

struct Row {
  std::string path;
  bool floor = false;  // no way that pods' packets take, but what one could cost at least
  Figures best;
};

struct Answer {
  Figures host;
  std::vector<Row> rows;
  Attaching attaching;
  unsigned rounds = 0;
  int cpu = 0;

  std::string json() const;
  std::string table(Colour colour) const;
};

}  // namespace terway::bench
