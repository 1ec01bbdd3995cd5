// SPDX-License-Identifier: Apache-2.0
// Nanoseconds that a program takes for a packet, by BPF_PROG_TEST_RUN: no interface, no interrupt,
// no scheduler. The least of many samples counts, for noise only adds.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "tests/packet/packet.h"

namespace terway::bench {

struct Input {
  packet::Bytes frame;
  std::uint32_t mark = 0;
};

// What the program returns for it (TC_ACT_*). It comes in by the loopback interface, whose number
// is 1 in every namespace.
Result<std::uint32_t> verdict_of(int program, const Input& input);

// The same packet over and over, so that everything it touches is in the cache. A program that
// rewrites the packet gets its own work back: at most kRepeat times, for each takes a hop off.
inline constexpr int kRepeat = 200;
Result<double> time_repeated(int program, const Input& input);

// One packet a call, each made by `next`: for what happens once in a flow. A call of
// BPF_PROG_TEST_RUN is hundreds of times what a program takes, so that of `empty` is made in turn
// and taken off: what the program takes beyond an empty one. Medians of many calls.
Result<double> time_once(int program, int empty, Input input,
                         const std::function<void(Input& input)>& next);

// What the kernel says of a program: it does not depend on the machine's speed.
struct Size {
  std::uint32_t translated = 0;  // bytes after verification
  std::uint32_t machine = 0;     // bytes compiled
  std::uint32_t verified = 0;    // instructions that the verifier walked
};
Result<Size> size_of(int program);

}  // namespace terway::bench
