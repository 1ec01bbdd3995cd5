// SPDX-License-Identifier: Apache-2.0
#include "datapath/flows.h"

#include <netinet/in.h>
#include <time.h>

#include <cstring>

#include "datapath/endpoints.h"

namespace terway::datapath {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint32_t kSlice = 4096;

// CONFIG_HZ, which the kernel tells in no other way.
std::uint32_t jiffies_per_second() {
  timespec resolution{};
  if (::clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0 || resolution.tv_nsec == 0) {
    return 1000;
  }
  return static_cast<std::uint32_t>(1000000000L / resolution.tv_nsec);
}

}  // namespace

Duration lifetime_of(const abi::flow_key& key, const abi::flow& flow) {
  constexpr std::uint32_t kBothFins = abi::FLOW_FIN_LOW | abi::FLOW_FIN_HIGH;
  const bool replied = (flow.flags & abi::FLOW_REPLIED) != 0;
  switch (key.protocol) {
    case IPPROTO_TCP:
      if ((flow.flags & abi::FLOW_RESET) != 0) return seconds(10);
      if ((flow.flags & kBothFins) == kBothFins) return minutes(2);  // TIME_WAIT
      if ((flow.flags & kBothFins) != 0) return minutes(5);          // half closed
      // Of one that was picked up in the middle no reply may be needed.
      if (!replied && (flow.flags & abi::FLOW_SYN) != 0) return minutes(2);
      return hours(6);
    case IPPROTO_UDP:
      return replied ? minutes(3) : minutes(1);
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return minutes(1);
    case IPPROTO_SCTP:
      return replied ? hours(6) : minutes(2);
    default:
      return minutes(10);
  }
}

Result<FlowSweeper::Slice> FlowSweeper::sweep(const ebpf::Object& object,
                                              const std::set<net::IpAddress>& forget) {
  static const std::uint32_t kRate = jiffies_per_second();
  const std::uint32_t now = TRY(object.now_jiffies());
  std::vector<abi::flow_key> over;
  Slice slice;
  const bool more =
      TRY(object.flows.raw().read_slice(cursor_, kSlice, [&](const void* k, const void* v) {
        abi::flow_key key;
        abi::flow flow;
        std::memcpy(&key, k, sizeof(key));
        std::memcpy(&flow, v, sizeof(flow));
        ++slice.looked_at;
        // Written after `now` was read: seen "later".
        const auto age = static_cast<std::int32_t>(now - flow.seen);
        const bool is_over =
            age > 0 && seconds(static_cast<std::uint32_t>(age) / kRate) > lifetime_of(key, flow);
        if (is_over || (!forget.empty() && (forget.contains(from_abi(key.low)) ||
                                            forget.contains(from_abi(key.high))))) {
          over.push_back(key);
        }
      }));
  for (const abi::flow_key& key : over) TRY(object.flows.remove(key));
  slice.removed = static_cast<std::uint32_t>(over.size());
  this_round_ += slice.looked_at - slice.removed;
  if (!more) {
    slice.round_ended = true;
    last_round_ = std::exchange(this_round_, 0U);
  }
  return slice;
}

Result<> forget_flows(const ebpf::Object& object, const std::set<net::IpAddress>& addresses) {
  if (addresses.empty()) return Ok{};
  std::vector<abi::flow_key> theirs;
  TRY(object.flows.for_each([&](const abi::flow_key& key, const abi::flow&) {
    if (addresses.contains(from_abi(key.low)) || addresses.contains(from_abi(key.high))) {
      theirs.push_back(key);
    }
  }));
  for (const abi::flow_key& key : theirs) TRY(object.flows.remove(key));
  return Ok{};
}

}  // namespace terway::datapath
