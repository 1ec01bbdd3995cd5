// SPDX-License-Identifier: Apache-2.0
// Time as a value that is handed in: the real clock, and one that a test turns by hand.
#pragma once

#include <chrono>

namespace terway {

using Duration = std::chrono::nanoseconds;
// CLOCK_BOOTTIME: does not jump, counts suspend, starts afresh with the machine. Everything that is
// decided about time is decided with this one.
using Instant = std::chrono::time_point<struct BootClockTag, Duration>;
// Wall clock: for signatures, expiry times of credentials, and what people read.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual WallTime wall() const = 0;
  virtual void sleep_for(Duration duration) = 0;
};

class SystemClock final : public Clock {
 public:
  Instant now() const override;
  WallTime wall() const override;
  void sleep_for(Duration duration) override;
};

// Moves only by advance() and by sleep_for(). For one thread.
class ManualClock final : public Clock {
 public:
  Instant now() const override { return now_; }
  WallTime wall() const override { return wall_; }
  void sleep_for(Duration duration) override { advance(duration); }
  void advance(Duration duration) {
    now_ += duration;
    wall_ += duration;
  }
  void set_wall(WallTime wall) { wall_ = wall; }

 private:
  Instant now_{};
  WallTime wall_{};
};

}  // namespace terway
