// SPDX-License-Identifier: Apache-2.0
#include "agent/poller.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "agent/facts.h"
#include "agent/settings.h"
#include "cloud/backoff.h"

namespace terway::agent {

namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// A full listing by the API: the truth, and it costs calls that the whole account shares.
constexpr Duration kApiEvery = minutes(5);
// Asked for, but not more often than that.
constexpr Duration kApiAtMost = seconds(2);

}  // namespace

Poller::Poller(Parts parts, Random random)
    : parts_(std::move(parts)),
      random_(std::move(random)),
      metadata_(metadata_settings(parts_.config, parts_.metrics), parts_.clock) {}

void Poller::run() {
  const cloud::Backoff backoff;
  for (unsigned failures = 0;;) {
    auto identified = identify();
    if (identified.ok()) break;
    parts_.inbox.send(PollFailed{"identify this instance", identified.take_error()});
    if (!pause(backoff.delay(++failures, random_))) return;
  }
  Instant next_api = parts_.clock.now();
  Instant next_metadata = parts_.clock.now();
  Instant last_api{};
  unsigned failures = 0;
  const auto jittered = [this](Duration period) {
    return period + Duration(static_cast<Duration::rep>(random_.unit() *
                                                        static_cast<double>(period.count())));
  };
  for (;;) {
    const Instant now = parts_.clock.now();
    if (std::exchange(list_now_, false)) next_api = std::min(next_api, last_api + kApiAtMost);
    if (now >= next_api) {
      last_api = now;
      if (auto listed = list_by_api(); listed.ok()) {
        failures = 0;
        next_api = now + jittered(kApiEvery);
      } else {
        parts_.inbox.send(PollFailed{"list ENIs", listed.take_error()});
        next_api = parts_.clock.now() + backoff.delay(++failures, random_);
      }
    }
    if (now >= next_metadata) {
      // Of no consequence when it fails: the API is asked, too.
      (void)list_by_metadata();
      next_metadata = now + jittered(parts_.config.pool_sync_period / 2);
    }
    if (!pause(std::min(next_api, next_metadata) - parts_.clock.now())) return;
  }
}

bool Poller::pause(Duration at_most) {
  auto order = parts_.orders.receive_for(std::max(at_most, Duration::zero()));
  while (order) {
    list_now_ |= order->list;
    if (order->settings) {
      parts_.config = std::move(order->settings->config);
      client_.reset();
      parts_.limiter = std::move(order->settings->limiter);
      if (identity_.known()) list_now_ = true;  // other vSwitches, maybe
    }
    order = parts_.orders.try_receive();
  }
  return !parts_.orders.closed();
}

cloud::Client& Poller::client() {
  if (!client_) {
    client_.emplace(
        client_settings(
            parts_.config, identity_.region_id,
            [&metrics = parts_.metrics](std::string_view action, std::optional<Error::Kind> failure,
                                        Duration took) { metrics.openapi(action, failure, took); }),
        parts_.credentials, *parts_.limiter, parts_.clock, Random(random_.below(~0ULL)));
  }
  return *client_;
}

Result<Identity> Poller::ask_metadata() {
  Identity identity;
  model::Instance& instance = identity.instance;
  instance.id = TRY(metadata_.instance_id());
  instance.type = TRY(metadata_.instance_type());
  instance.zone_id = TRY(metadata_.zone_id());
  instance.vpc_id = TRY(metadata_.vpc_id());
  instance.vswitch_id = TRY(metadata_.vswitch_id());
  identity.region_id = TRY(metadata_.region_id());
  identity.mac = TRY(metadata_.mac());
  instance.primary_eni_id = TRY(metadata_.eni_id(identity.mac));
  instance.primary_address = TRY(metadata_.primary_address(identity.mac));
  identity.type.id = instance.type;
  return identity;
}

Result<bool> Poller::complete(Identity& identity) {
  const auto& remembered = parts_.remembered;
  const bool same_type = remembered && remembered->type.id == identity.type.id &&
                         remembered->type.eni_quantity > 0 &&
                         parts_.clock.wall() < parts_.remembered_at + kIdentityLife;
  if (same_type) {
    identity.type = remembered->type;
  } else {
    const auto types =
        TRY_WITHIN("DescribeInstanceTypes", client().describe_instance_types({identity.type.id}));
    const auto found = std::find_if(types.begin(), types.end(),
                                    [&](const auto& type) { return type.id == identity.type.id; });
    if (found == types.end()) {
      return Error(Error::Kind::NotFound,
                   fmt::format("the cloud knows no instance type {}", identity.type.id));
    }
    identity.type = *found;
  }
  if (parts_.config.security_groups.empty()) {
    cloud::EniFilter filter;
    filter.ids = {identity.instance.primary_eni_id};
    const auto primary = TRY_WITHIN("security groups of the primary ENI",
                                    client().describe_network_interfaces(filter));
    if (primary.empty()) {
      return Error(Error::Kind::NotFound, fmt::format("the cloud knows no primary ENI {}",
                                                      identity.instance.primary_eni_id));
    }
    identity.instance.security_group_ids = primary.front().security_group_ids;
  }
  return !same_type;
}

Result<> Poller::identify() {
  Identity identity = TRY_WITHIN("metadata", ask_metadata());
  identity_ = identity;  // the client needs the region
  const bool described = TRY(complete(identity));
  identity_ = identity;
  parts_.inbox.send(IdentityFact{identity, described});
  return learn_vswitches(vswitches_of(parts_.config, identity_));
}

Result<> Poller::learn_vswitches(const std::vector<std::string>& ids) {
  if (ids.empty()) return Ok{};
  auto vswitches = TRY_WITHIN("DescribeVSwitches", client().describe_vswitches({ids, ""}));
  for (const auto& vswitch : vswitches) known_vswitches_.insert(vswitch.id);
  parts_.inbox.send(VSwitchFact{std::move(vswitches)});
  return Ok{};
}

Result<> Poller::list_by_api() {
  ipam::Listing listing;
  listing.source = ipam::Listing::Source::Api;
  listing.begun = parts_.clock.now();
  cloud::EniFilter attached;
  attached.instance_id = identity_.instance.id;
  listing.enis = TRY(client().describe_network_interfaces(attached));
  // What we made and that is attached to nothing.
  cloud::EniFilter made;
  made.tags = node_tags(identity_);
  for (auto& eni : TRY(client().describe_network_interfaces(made))) {
    const bool there = std::any_of(listing.enis.begin(), listing.enis.end(),
                                   [&](const model::Eni& other) { return other.id == eni.id; });
    if (!there) listing.enis.push_back(std::move(eni));
  }
  std::set<std::string> wanted;
  for (const auto& id : vswitches_of(parts_.config, identity_)) wanted.insert(id);
  for (const auto& eni : listing.enis) wanted.insert(eni.vswitch_id);
  std::vector<std::string> unknown;
  for (const auto& id : wanted) {
    if (!id.empty() && !known_vswitches_.contains(id)) unknown.push_back(id);
  }
  TRY(learn_vswitches(unknown));
  parts_.inbox.send(ListingFact{std::move(listing)});
  return Ok{};
}

Result<> Poller::list_by_metadata() {
  ipam::Listing listing;
  listing.source = ipam::Listing::Source::Metadata;
  listing.begun = parts_.clock.now();
  for (const auto& mac : TRY(metadata_.macs())) {
    model::Eni eni;
    eni.mac = mac;
    eni.id = TRY(metadata_.eni_id(mac));
    eni.ipv4 = TRY(metadata_.private_ipv4s(mac));
    eni.ipv6 = TRY(metadata_.ipv6s(mac));
    listing.enis.push_back(std::move(eni));
  }
  parts_.inbox.send(ListingFact{std::move(listing)});
  return Ok{};
}

}  // namespace terway::agent
