// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <ctime>
#include <thread>

namespace terway {

namespace {

Duration read_clock(clockid_t id) {
  timespec time{};
  ::clock_gettime(id, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

Instant SystemClock::now() const { return Instant(read_clock(CLOCK_BOOTTIME)); }
WallTime SystemClock::wall() const { return WallTime(read_clock(CLOCK_REALTIME)); }
void SystemClock::sleep_for(Duration duration) { std::this_thread::sleep_for(duration); }

}  // namespace terway
