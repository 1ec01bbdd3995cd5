// SPDX-License-Identifier: Apache-2.0
#include "datapath/shaper.h"

#include <fmt/core.h>
#include <linux/pkt_sched.h>

#include <algorithm>
#include <array>
#include <optional>

#include "datapath/names.h"
#include "datapath/programs.h"
#include "datapath/shape.h"
#include "kernel/detour.h"
#include "kernel/qdisc.h"
#include "kernel/token_bucket.h"

namespace terway::datapath {

namespace {

struct Direction {
  std::string_view name;
  std::string_view prefix;      // of the device's name
  std::string_view far_prefix;  // of the pair's other end
  kernel::Hook hook;            // of the host end, where it passes
  std::uint64_t model::Bandwidth::* limit;
  int WiredPod::* shaper;
};
constexpr std::array<Direction, 2> kDirections = {{
    {"egress", "bwe", "bwf", kernel::Hook::Ingress, &model::Bandwidth::egress,
     &WiredPod::egress_shaper},
    {"ingress", "bwi", "bwj", kernel::Hook::Egress, &model::Bandwidth::ingress,
     &WiredPod::ingress_shaper},
}};

// What is there: the devices with a bucket, and the buckets.
struct Seen {
  bool fresh = false;  // nothing, of a pod that is new
  std::vector<kernel::Link> links;
  std::vector<kernel::TokenBucketOf> buckets;

  const kernel::Link* link(int ifindex) const {
    const auto found = std::find_if(links.begin(), links.end(),
                                    [&](const auto& one) { return one.ifindex == ifindex; });
    return found == links.end() ? nullptr : &*found;
  }
  std::optional<kernel::TokenBucket> bucket(int ifindex) const {
    for (const auto& one : buckets) {
      if (one.ifindex == ifindex) return one.bucket;
    }
    return std::nullopt;
  }
};

bool is_shaper(const kernel::Link& link) {
  return link.group == kShaperGroup &&
         std::any_of(kDirections.begin(), kDirections.end(), [&](const Direction& direction) {
           return link.name.starts_with(direction.prefix);
         });
}

std::vector<kernel::Link> shapers_of(const std::vector<kernel::Link>& links) {
  std::vector<kernel::Link> found;
  std::copy_if(links.begin(), links.end(), std::back_inserter(found), is_shaper);
  return found;
}

bool by_programs(const Datapath::State& state, const WiredPod& pod) {
  return state.fast_path && pod.end;
}

std::uint32_t mtu_of(const Datapath::State& state, const WiredPod& pod) {
  if (pod.plan.mtu != 0) return pod.plan.mtu;
  const auto nic = state.nics.find(pod.plan.eni_id);
  constexpr std::uint32_t kUsual = 1500;
  return nic == state.nics.end() || nic->second.link.mtu == 0 ? kUsual : nic->second.link.mtu;
}

struct Device {
  int ifindex = 0;
  int far_end = 0;  // of a pair
};

// Named by the host end's digits, and a letter, for the one before may still be draining.
Result<Device> make_device(Datapath::State& state, const WiredPod& pod,
                           const Direction& direction) {
  const std::string digits = host_ifname_of(pod.plan.key).substr(4);
  const bool pair = by_programs(state, pod);
  for (char letter = 'a';; ++letter) {
    const std::string name = fmt::format("{}{}{}", direction.prefix, digits, letter);
    // What a pod may send fits the pair, however large its MTU is.
    constexpr std::uint32_t kAnyMtu = 65535;
    const kernel::VethEnd near_end{name, {}, kAnyMtu, kShaperGroup, 0, -1};
    const kernel::VethEnd far_end{fmt::format("{}{}{}", direction.far_prefix, digits, letter),
                                  {},
                                  kAnyMtu,
                                  kShaperGroup,
                                  0,
                                  -1};
    auto made = state.route.request(pair ? kernel::make_veth(near_end, far_end)
                                         : kernel::make_ifb(name, kShaperGroup));
    if (made.is(Error::Kind::Exists) && letter < 'z') continue;
    if (!made.ok()) return made.take_error();
    const kernel::Link link = TRY(kernel::get_link(state.route, name));
    return Device{link.ifindex, pair ? link.lower : 0};
  }
}

// The bucket while the device is down: then nothing waits for it, and nothing is sent without it.
Result<> set_up(Datapath::State& state, const WiredPod& pod, const Device& device,
                const kernel::TokenBucket& bucket) {
  kernel::LinkChange settle;
  settle.alias = alias_of(pod.plan.key);
  settle.no_ipv6_address = state.kernel_ipv6;
  kernel::LinkChange up;
  up.up = true;
  std::vector<kernel::Message> messages = {kernel::change_link(device.ifindex, settle),
                                           kernel::set_token_bucket(device.ifindex, bucket)};
  if (device.far_end != 0) {
    constexpr auto kExit = ebpf::Program::ShaperExit;
    messages.push_back(kernel::change_link(device.far_end, settle));
    messages.push_back(kernel::add_clsact(device.far_end));
    messages.push_back(kernel::set_filter(device.far_end, kernel::Hook::Ingress,
                                          state.fast_path->object().fd(kExit),
                                          ebpf::to_string(kExit)));
    messages.push_back(kernel::change_link(device.far_end, up));
  }
  messages.push_back(kernel::change_link(device.ifindex, up));
  TRY(state.route.request_all(messages));
  // Asking makes the kernel act on the carrier that just came on (kernel/link.h).
  TRY(kernel::get_link(state.route, device.ifindex));
  return Ok{};
}

Result<int> make_shaper(Datapath::State& state, const WiredPod& pod, const Direction& direction,
                        const kernel::TokenBucket& bucket) {
  const Device device = TRY(make_device(state, pod, direction));
  auto ready = set_up(state, pod, device, bucket);
  if (ready.ok()) return device.ifindex;
  (void)state.route.request(kernel::delete_link(device.ifindex));
  return ready.take_error();
}

Result<> lead_through(Datapath::State& state, int ifindex, kernel::Hook hook, int shaper,
                      std::uint32_t handle) {
  auto set = state.route.request(kernel::set_detour(ifindex, hook, shaper, handle));
  if (set.ok()) return set;
  // Links that were wired by others have no clsact.
  auto added = state.route.request(kernel::add_clsact(ifindex));
  if (!added.ok()) return set;
  return state.route.request(kernel::set_detour(ifindex, hook, shaper, 0));
}

// One direction of one pod.
class Shaping {
 public:
  Shaping(Datapath::State& state, WiredPod& pod, const Direction& direction, const Seen& seen)
      : state_(state), pod_(pod), direction_(direction), seen_(seen) {}

  Result<> apply(Drift& drift) {
    TRY(find());
    const std::uint64_t limit = pod_.plan.bandwidth.*direction_.limit;
    if (limit == 0) {
      if (!detour_ && current_ == 0) return Ok{};
      TRY(lead(0));
      note(drift, "limit removed");
      return Ok{};
    }
    const kernel::TokenBucket wanted = shape_of(limit, mtu_of(state_, pod_));
    const auto bucket = seen_.bucket(current_);
    if (bucket && bucket->rate == wanted.rate && bucket->limit == wanted.limit) return Ok{};
    // In place only upwards: a packet that waits may be longer than a smaller bucket, and would
    // wait for ever.
    if (bucket && bucket->rate <= wanted.rate && bucket->limit <= wanted.limit) {
      TRY(state_.route.request(kernel::set_token_bucket(current_, wanted)));
    } else {
      const int shaper = TRY(make_shaper(state_, pod_, direction_, wanted));
      TRY(lead(shaper));
    }
    note(drift, fmt::format("limited to {} bit/s", limit));
    return Ok{};
  }

 private:
  // The device that the direction passes now; 0 for none, or none that will do.
  Result<> find() {
    if (pod_.ifindex != 0 && !seen_.fresh) {
      detour_ = TRY(kernel::find_detour(state_.route, pod_.ifindex, direction_.hook));
    }
    current_ = by_programs(state_, pod_) ? pod_.*direction_.shaper : detour_ ? detour_->through : 0;
    const kernel::Link* link = seen_.link(current_);
    const std::string_view kind = by_programs(state_, pod_) ? "veth" : "ifb";
    if (link == nullptr || link->kind != kind || !link->up()) current_ = 0;
    pod_.*direction_.shaper = current_;
    return Ok{};
  }

  // Through that device, or through none; the one before drains.
  Result<> lead(int shaper) {
    int& own = pod_.*direction_.shaper;
    const int before = own;
    own = shaper;
    auto led = by_programs(state_, pod_) ? state_.fast_path->write_pod(pod_entry(state_, pod_))
                                         : lead_detour(shaper);
    // A detour of a time without programs.
    if (led.ok() && by_programs(state_, pod_) && detour_) led = lead_detour(0);
    const int unused = led.ok() ? before : shaper;
    if (unused != 0) state_.draining.insert(unused);
    if (!led.ok()) own = before;
    return led;
  }

  Result<> lead_detour(int shaper) {
    if (shaper != 0) {
      return lead_through(state_, pod_.ifindex, direction_.hook, shaper,
                          detour_ ? detour_->handle : 0);
    }
    return state_.route.request(kernel::delete_detour(pod_.ifindex, direction_.hook));
  }

  void note(Drift& drift, std::string_view what) const {
    ++drift.links;
    drift.what.push_back(
        fmt::format("pod {}: {} {}", pod_.plan.pod.to_string(), direction_.name, what));
  }

  Datapath::State& state_;
  WiredPod& pod_;
  const Direction& direction_;
  const Seen& seen_;
  std::optional<kernel::Detour> detour_;
  int current_ = 0;
};

Result<> shape_with(Datapath::State& state, WiredPod& pod, const Seen& seen, Drift& drift) {
  for (const Direction& direction : kDirections) {
    TRY_WITHIN(fmt::format("pod {}: {} limit", pod.plan.pod.to_string(), direction.name),
               Shaping(state, pod, direction, seen).apply(drift));
  }
  return Ok{};
}

}  // namespace

Result<> shape_new(Datapath::State& state, WiredPod& pod) {
  if (pod.plan.bandwidth == model::Bandwidth{}) return Ok{};
  Seen nothing;
  nothing.fresh = true;
  Drift drift;
  return shape_with(state, pod, nothing, drift);
}

Result<> shape(Datapath::State& state, WiredPod& pod, Drift& drift) {
  Seen seen;
  seen.links = shapers_of(TRY(kernel::list_links(state.route)));
  seen.buckets = TRY(kernel::list_token_buckets(state.route));
  return shape_with(state, pod, seen, drift);
}

void recall_shapers(Datapath::State& state, const std::vector<kernel::Link>& links) {
  if (!state.fast_path) return;
  for (const kernel::Link& link : shapers_of(links)) {
    const auto key = key_of_alias(link.alias);
    const auto pod = key ? state.pods.find(*key) : state.pods.end();
    if (pod == state.pods.end() || link.kind != "veth") continue;
    for (const Direction& direction : kDirections) {
      int& shaper = pod->second.*direction.shaper;
      if (shaper == 0 && link.name.starts_with(direction.prefix)) shaper = link.ifindex;
    }
  }
}

Result<> shape_all(Datapath::State& state, const std::vector<kernel::Link>& links, bool prune,
                   Drift& drift) {
  Seen seen;
  seen.links = shapers_of(links);
  std::set<model::AttachmentKey> had;
  std::set<int> unused;
  for (const kernel::Link& link : seen.links) {
    unused.insert(link.ifindex);
    if (const auto key = key_of_alias(link.alias)) had.insert(*key);
  }
  std::optional<Error> failure;
  bool looked = false;
  for (auto& [key, pod] : state.pods) {
    const bool limited = pod.plan.bandwidth != model::Bandwidth{};
    if (pod.ifindex == 0 || (!limited && !had.contains(key))) continue;
    if (!std::exchange(looked, true)) {
      seen.buckets = TRY(kernel::list_token_buckets(state.route));
    }
    auto shaped = shape_with(state, pod, seen, drift);
    // One pod's trouble is no other's.
    if (!shaped.ok() && !failure) failure = shaped.take_error();
    unused.erase(pod.egress_shaper);
    unused.erase(pod.ingress_shaper);
  }
  if (prune) state.draining.insert(unused.begin(), unused.end());
  if (failure) return std::move(*failure);
  return Ok{};
}

void say_limits(const WiredPod& pod, PodEnd& end) {
  end.shaper_egress = pod.egress_shaper;
  end.shaper_ingress = pod.ingress_shaper;
  end.flags &=
      static_cast<std::uint16_t>(~(abi::ENDPOINT_SHAPED_EGRESS | abi::ENDPOINT_SHAPED_INGRESS));
  if (end.shaper_egress != 0) end.flags |= abi::ENDPOINT_SHAPED_EGRESS;
  if (end.shaper_ingress != 0) end.flags |= abi::ENDPOINT_SHAPED_INGRESS;
}

void drop_shapers(const WiredPod& pod, std::vector<kernel::Message>& messages) {
  kernel::LinkChange dying;
  dying.group = kDyingGroup;
  for (const int shaper : {pod.egress_shaper, pod.ingress_shaper}) {
    if (shaper != 0) messages.push_back(kernel::change_link(shaper, dying));
  }
}

Result<> mark_drained(Datapath::State& state) {
  const auto buckets = TRY(kernel::list_token_buckets(state.route));
  std::vector<kernel::Message> messages;
  kernel::LinkChange dying;
  dying.group = kDyingGroup;
  std::erase_if(state.draining, [&](int ifindex) {
    const bool waiting = std::any_of(buckets.begin(), buckets.end(), [&](const auto& one) {
      return one.ifindex == ifindex && one.waiting > 0;
    });
    if (!waiting) messages.push_back(kernel::change_link(ifindex, dying));
    return !waiting;
  });
  if (messages.empty()) return Ok{};
  state.links_marked = true;
  for (auto& result : TRY(state.route.batch(messages))) {
    if (!result.ok() && !result.is(Error::Kind::NotFound)) return result.take_error();
  }
  return Ok{};
}

}  // namespace terway::datapath
