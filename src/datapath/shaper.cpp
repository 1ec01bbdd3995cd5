// SPDX-License-Identifier: Apache-2.0
#include "datapath/shaper.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>

#include "datapath/names.h"
#include "datapath/shape.h"
#include "kernel/detour.h"
#include "kernel/qdisc.h"
#include "kernel/token_bucket.h"

namespace terway::datapath {

namespace {

struct Direction {
  std::string_view name;
  std::string_view prefix;  // of the ifb's name
  kernel::Hook hook;        // of the host end, where it passes
  std::uint64_t model::Bandwidth::* limit;
  int WiredPod::* shaper;
};
constexpr std::array<Direction, 2> kDirections = {{
    {"egress", "bwe", kernel::Hook::Ingress, &model::Bandwidth::egress, &WiredPod::egress_shaper},
    {"ingress", "bwi", kernel::Hook::Egress, &model::Bandwidth::ingress, &WiredPod::ingress_shaper},
}};

using Buckets = std::vector<kernel::TokenBucketOf>;

std::optional<kernel::TokenBucket> bucket_of(const Buckets& buckets, int ifindex) {
  for (const auto& [index, bucket, waiting] : buckets) {
    if (index == ifindex) return bucket;
  }
  return std::nullopt;
}

std::uint32_t mtu_of(const Datapath::State& state, const WiredPod& pod) {
  if (pod.plan.mtu != 0) return pod.plan.mtu;
  const auto nic = state.nics.find(pod.plan.eni_id);
  constexpr std::uint32_t kUsual = 1500;
  return nic == state.nics.end() || nic->second.link.mtu == 0 ? kUsual : nic->second.link.mtu;
}

// Its name: the host end's digits, and a letter, for the one before may still be draining.
Result<int> make_shaper(Datapath::State& state, const WiredPod& pod, const Direction& direction,
                        const kernel::TokenBucket& bucket) {
  const std::string digits = host_ifname_of(pod.plan.key).substr(4);
  std::string name;
  for (char letter = 'a';; ++letter) {
    name = fmt::format("{}{}{}", direction.prefix, digits, letter);
    auto made = state.route.request(kernel::make_ifb(name, kShaperGroup));
    if (made.ok()) break;
    if (!made.is(Error::Kind::Exists) || letter == 'z') return made.take_error();
  }
  const int ifindex = TRY(kernel::get_link(state.route, name)).ifindex;
  kernel::LinkChange settle;
  settle.alias = alias_of(pod.plan.key);
  settle.no_ipv6_address = state.kernel_ipv6;
  kernel::LinkChange up;
  up.up = true;
  // The bucket while the link is down: nothing waits for it, and nothing is sent without it.
  std::vector<kernel::Message> messages = {kernel::change_link(ifindex, settle),
                                           kernel::set_token_bucket(ifindex, bucket),
                                           kernel::change_link(ifindex, up)};
  auto ready = state.route.request_all(messages);
  if (!ready.ok()) {
    (void)state.route.request(kernel::delete_link(ifindex));
    return ready.take_error();
  }
  return ifindex;
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

Result<> shape_direction(Datapath::State& state, WiredPod& pod, const Direction& direction,
                         const Buckets& buckets, Drift& drift) {
  const auto there = TRY(kernel::find_detour(state.route, pod.ifindex, direction.hook));
  const int current = there ? there->through : 0;
  const std::optional<kernel::TokenBucket> bucket = bucket_of(buckets, current);
  int& shaper = pod.*direction.shaper;
  shaper = current;
  const std::uint64_t limit = pod.plan.bandwidth.*direction.limit;
  const auto note = [&](std::string_view what) {
    ++drift.links;
    drift.what.push_back(
        fmt::format("pod {}: {} {}", pod.plan.pod.to_string(), direction.name, what));
  };
  if (limit == 0) {
    if (!there) return Ok{};
    TRY(state.route.request(kernel::delete_detour(pod.ifindex, direction.hook)));
    if (current != 0) state.draining.insert(current);
    shaper = 0;
    note("limit removed");
    return Ok{};
  }
  const kernel::TokenBucket wanted = shape_of(limit, mtu_of(state, pod));
  if (bucket && bucket->rate == wanted.rate && bucket->limit == wanted.limit) return Ok{};
  // In place only upwards: a packet that waits may be longer than a smaller bucket, and would wait
  // for ever.
  if (bucket && bucket->rate <= wanted.rate && bucket->limit <= wanted.limit) {
    TRY(state.route.request(kernel::set_token_bucket(current, wanted)));
  } else {
    shaper = TRY(make_shaper(state, pod, direction, wanted));
    auto led = lead_through(state, pod.ifindex, direction.hook, shaper, there ? there->handle : 0);
    state.draining.insert(led.ok() ? current : shaper);
    state.draining.erase(0);
    if (!led.ok()) {
      shaper = current;
      return led;
    }
  }
  note(fmt::format("limited to {} bit/s", limit));
  return Ok{};
}

Result<> shape_with(Datapath::State& state, WiredPod& pod, const Buckets& buckets, Drift& drift) {
  for (const Direction& direction : kDirections) {
    TRY_WITHIN(fmt::format("pod {}: {} limit", pod.plan.pod.to_string(), direction.name),
               shape_direction(state, pod, direction, buckets, drift));
  }
  return Ok{};
}

bool is_shaper(const kernel::Link& link) {
  return link.group == kShaperGroup && link.kind == "ifb";
}

}  // namespace

Result<> shape(Datapath::State& state, WiredPod& pod, Drift& drift) {
  return shape_with(state, pod, TRY(kernel::list_token_buckets(state.route)), drift);
}

Result<> shape_all(Datapath::State& state, const std::vector<kernel::Link>& links, bool prune,
                   Drift& drift) {
  std::set<model::AttachmentKey> had;
  std::set<int> unused;
  for (const kernel::Link& link : links) {
    if (!is_shaper(link)) continue;
    unused.insert(link.ifindex);
    if (const auto key = key_of_alias(link.alias)) had.insert(*key);
  }
  std::optional<Buckets> buckets;
  std::optional<Error> failure;
  for (auto& [key, pod] : state.pods) {
    const bool limited = pod.plan.bandwidth != model::Bandwidth{};
    if (pod.ifindex == 0 || (!limited && !had.contains(key))) continue;
    if (!buckets) buckets = TRY(kernel::list_token_buckets(state.route));
    auto shaped = shape_with(state, pod, *buckets, drift);
    // One pod's trouble is no other's.
    if (!shaped.ok() && !failure) failure = shaped.take_error();
    unused.erase(pod.egress_shaper);
    unused.erase(pod.ingress_shaper);
  }
  if (prune) state.draining.insert(unused.begin(), unused.end());
  if (failure) return std::move(*failure);
  return Ok{};
}

void drop_shapers(const WiredPod& pod, std::vector<kernel::Message>& messages) {
  kernel::LinkChange dying;
  dying.group = kDyingGroup;
  for (const int shaper : {pod.egress_shaper, pod.ingress_shaper}) {
    if (shaper != 0) messages.push_back(kernel::change_link(shaper, dying));
  }
}

Result<> mark_drained(Datapath::State& state) {
  const Buckets buckets = TRY(kernel::list_token_buckets(state.route));
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
