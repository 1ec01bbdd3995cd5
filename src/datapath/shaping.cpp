// SPDX-License-Identifier: Apache-2.0
#include "datapath/shaping.h"

#include <fmt/core.h>

#include <algorithm>

#include "datapath/names.h"
#include "datapath/programs.h"
#include "datapath/shape.h"
#include "kernel/detour.h"
#include "kernel/qdisc.h"

namespace terway::datapath {

namespace {

bool is_shaper(const kernel::Link& link) {
  return link.group == kShaperGroup &&
         std::any_of(kDirections.begin(), kDirections.end(), [&](const Direction& direction) {
           return link.name.starts_with(direction.prefix);
         });
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
Result<Device> make_device(const Place& place, const WiredPod& pod, const Direction& direction) {
  const std::string digits = host_ifname_of(pod.plan.key).substr(4);
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
    auto made = place.socket.request(place.by_programs ? kernel::make_veth(near_end, far_end)
                                                       : kernel::make_ifb(name, kShaperGroup));
    if (made.is(Error::Kind::Exists) && letter < 'z') continue;
    if (!made.ok()) return made.take_error();
    const kernel::Link link = TRY(kernel::get_link(place.socket, name));
    return Device{link.ifindex, place.by_programs ? link.lower : 0};
  }
}

// The bucket while the device is down: then nothing waits for it, and nothing is sent without it.
Result<> set_up(const Datapath::State& state, const Place& place, const WiredPod& pod,
                const Device& device, const kernel::TokenBucket& bucket) {
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
  TRY(place.socket.request_all(messages));
  // Asking makes the kernel act on the carrier that just came on (kernel/link.h).
  TRY(kernel::get_link(place.socket, device.ifindex));
  return Ok{};
}

Result<int> make_shaper(const Datapath::State& state, const Place& place, const WiredPod& pod,
                        const Direction& direction, const kernel::TokenBucket& bucket) {
  const Device device = TRY(make_device(place, pod, direction));
  auto ready = set_up(state, place, pod, device, bucket);
  if (ready.ok()) return device.ifindex;
  (void)place.socket.request(kernel::delete_link(device.ifindex));
  return ready.take_error();
}

Result<> lead_through(kernel::Socket& socket, int ifindex, kernel::Hook hook, int shaper,
                      std::uint32_t handle) {
  auto set = socket.request(kernel::set_detour(ifindex, hook, shaper, handle));
  if (set.ok()) return set;
  // Links that were wired by others have no clsact.
  auto added = socket.request(kernel::add_clsact(ifindex));
  if (!added.ok()) return set;
  return socket.request(kernel::set_detour(ifindex, hook, shaper, 0));
}

// One direction of one pod.
class Shaping {
 public:
  Shaping(Datapath::State& state, const Place& place, WiredPod& pod, const Direction& direction,
          const Seen& seen)
      : state_(state), place_(place), pod_(pod), direction_(direction), seen_(seen) {}

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
      TRY(place_.socket.request(kernel::set_token_bucket(current_, wanted)));
    } else {
      const int shaper = TRY(make_shaper(state_, place_, pod_, direction_, wanted));
      TRY(lead(shaper));
    }
    note(drift, fmt::format("limited to {} bit/s", limit));
    return Ok{};
  }

 private:
  // The device that the direction passes now; 0 for none, or none that will do.
  Result<> find() {
    if (pod_.ifindex != 0 && !seen_.fresh) {
      detour_ = TRY(kernel::find_detour(place_.socket, pod_.ifindex, direction_.hook));
    }
    current_ = place_.by_programs ? pod_.*direction_.shaper : detour_ ? detour_->through : 0;
    const kernel::Link* link = seen_.link(current_);
    const std::string_view kind = place_.by_programs ? "veth" : "ifb";
    if (link == nullptr || link->kind != kind || !link->up()) current_ = 0;
    pod_.*direction_.shaper = current_;
    return Ok{};
  }

  // Through that device, or through none; the one before drains.
  Result<> lead(int shaper) {
    int& own = pod_.*direction_.shaper;
    const int before = own;
    own = shaper;
    auto led = place_.by_programs ? state_.fast_path->write_pod(pod_entry(state_, pod_))
                                  : lead_detour(shaper);
    // A detour of a time without programs.
    if (led.ok() && place_.by_programs && detour_) led = lead_detour(0);
    const int unused = led.ok() ? before : shaper;
    if (unused != 0) place_.unused.insert(unused);
    if (!led.ok()) own = before;
    return led;
  }

  Result<> lead_detour(int shaper) {
    if (shaper != 0) {
      return lead_through(place_.socket, pod_.ifindex, direction_.hook, shaper,
                          detour_ ? detour_->handle : 0);
    }
    return place_.socket.request(kernel::delete_detour(pod_.ifindex, direction_.hook));
  }

  void note(Drift& drift, std::string_view what) const {
    ++drift.links;
    drift.what.push_back(
        fmt::format("pod {}: {} {}", pod_.plan.pod.to_string(), direction_.name, what));
  }

  Datapath::State& state_;
  const Place& place_;
  WiredPod& pod_;
  const Direction& direction_;
  const Seen& seen_;
  std::optional<kernel::Detour> detour_;
  int current_ = 0;
};

}  // namespace

const kernel::Link* Seen::link(int ifindex) const {
  const auto found = std::find_if(links.begin(), links.end(),
                                  [&](const auto& one) { return one.ifindex == ifindex; });
  return found == links.end() ? nullptr : &*found;
}

bool Seen::waits(int ifindex) const {
  return std::any_of(buckets.begin(), buckets.end(),
                     [&](const auto& one) { return one.ifindex == ifindex && one.waiting > 0; });
}

std::optional<kernel::TokenBucket> Seen::bucket(int ifindex) const {
  for (const auto& one : buckets) {
    if (one.ifindex == ifindex) return one.bucket;
  }
  return std::nullopt;
}

std::vector<kernel::Link> shapers_of(const std::vector<kernel::Link>& links) {
  std::vector<kernel::Link> found;
  std::copy_if(links.begin(), links.end(), std::back_inserter(found), is_shaper);
  return found;
}

Result<Seen> look(kernel::Socket& socket) {
  Seen seen;
  seen.links = shapers_of(TRY(kernel::list_links(socket)));
  seen.buckets = TRY(kernel::list_token_buckets(socket));
  return seen;
}

Result<> shape_with(Datapath::State& state, const Place& place, WiredPod& pod, const Seen& seen,
                    Drift& drift) {
  for (const Direction& direction : kDirections) {
    TRY_WITHIN(fmt::format("pod {}: {} limit", pod.plan.pod.to_string(), direction.name),
               Shaping(state, place, pod, direction, seen).apply(drift));
  }
  return Ok{};
}

}  // namespace terway::datapath
