// SPDX-License-Identifier: Apache-2.0
// What the cloud lists, merged into what we know. A listing may be stale or wrong, so it never
// frees what a pod owns, and whatever it adds or drops has to be said twice.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "ipam/state.h"

namespace terway::ipam {
namespace {

constexpr std::uint8_t kAgreeing = 2;  // observations that have to say the same

const model::Tags& built_in_block_list() {
  static const model::Tags blocked = {
      {"terway.alibabacloud.com/excluded", "true"},
      {"creator", "alibabacloud-erdma-controller"},
  };
  return blocked;
}

bool carries_all(const model::Tags& tags, const model::Tags& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& pair) {
    const auto found = tags.find(pair.first);
    return found != tags.end() && found->second == pair.second;
  });
}

bool carries_any(const model::Tags& tags, const model::Tags& unwanted) {
  return std::any_of(unwanted.begin(), unwanted.end(), [&](const auto& pair) {
    const auto found = tags.find(pair.first);
    return found != tags.end() && found->second == pair.second;
  });
}

// True if this sighting and an earlier one agree: the API twice, or the API and the metadata.
bool confirm(Sighting& sighting, const Listing& listing) {
  if (listing.source == Listing::Source::Metadata) {
    sighting.in_metadata = true;
    return sighting.api_begun.has_value();
  }
  const bool twice = sighting.api_begun && *sighting.api_begun != listing.begun;
  sighting.api_begun = listing.begun;
  return twice || sighting.in_metadata;
}

bool shows_attachment(EniState state) {
  return state == EniState::Attached || state == EniState::NicSeen || state == EniState::Ready ||
         state == EniState::Draining;
}

std::set<net::IpAddress> addresses_of(const model::Eni& eni) {
  std::set<net::IpAddress> all(eni.ipv4.begin(), eni.ipv4.end());
  all.insert(eni.ipv6.begin(), eni.ipv6.end());
  return all;
}

}  // namespace

// Never ours, whatever else it says.
bool Ipam::State::is_foreign(const model::Eni& seen) const {
  if (seen.type != model::EniType::Secondary) return true;
  if (!settings.node_eni_id.empty() && seen.id == settings.node_eni_id) return true;
  if (!settings.node_mac.is_zero() && seen.mac == settings.node_mac) return true;
  if (!settings.node_address.is_unspecified() &&
      addresses_of(seen).contains(settings.node_address)) {
    return true;
  }
  const auto& macs = settings.unmanaged_macs;
  if (std::find(macs.begin(), macs.end(), seen.mac) != macs.end()) return true;
  return carries_any(seen.tags, built_in_block_list()) ||
         carries_any(seen.tags, settings.eni_tag_block_list) ||
         !carries_all(seen.tags, settings.eni_tag_filter);
}

bool Ipam::State::is_ours(const model::Eni& seen) const {
  if (is_foreign(seen) || settings.owner_tags.empty()) return false;
  if (!carries_all(seen.tags, settings.owner_tags)) return false;
  const bool attached = !seen.instance_id.empty() || seen.status == model::EniStatus::InUse;
  return attached || (!settings.node_tags.empty() && carries_all(seen.tags, settings.node_tags));
}

void Ipam::State::learn(const Listing& listing, Instant now) {
  std::erase_if(gone, [&](const auto& entry) { return entry.second < listing.begun; });
  std::erase_if(released, [&](const auto& entry) { return entry.second < listing.begun; });
  std::erase_if(absences, [&](const auto& entry) { return pool.find(entry.first) == nullptr; });
  std::set<std::string> listed;
  for (const model::Eni& seen : listing.enis) {
    listed.insert(seen.id);
    if (Eni* eni = enis.find_by_id(seen.id)) {
      learn_eni(*eni, seen, listing, now);
    } else {
      learn_stranger(seen, listing, now);
    }
  }
  if (listing.source == Listing::Source::Metadata) return;  // it lags: its silence means nothing
  std::erase_if(eni_sightings, [&](const auto& entry) {
    return entry.second.api_begun && !listed.contains(entry.first);
  });
  for (auto& [key, eni] : enis.all()) {
    if (!listed.contains(eni.record.eni_id)) observe_absence(eni, listing.begun, now);
  }
}

void Ipam::State::learn_eni(Eni& eni, const model::Eni& seen, const Listing& listing, Instant now) {
  if (listing.source == Listing::Source::Api) {
    const bool unwanted = is_foreign(seen);
    if (unwanted && !eni.unwanted) {
      notify(Notice::Kind::EniUnwanted, seen.id,
             "a tag or its MAC keeps our hands off: no new pods, and it is left alone when "
             "the last one is gone");
    }
    eni.unwanted = unwanted;
    return observe(eni, seen, listing.begun, now);
  }
  if (eni.record.state == EniState::Attaching && eni.accepted) enter(eni, EniState::Attached, now);
  for (const net::IpAddress& address : addresses_of(seen)) {
    const auto sighting = address_sightings.find(address);
    if (pool.find(address) != nullptr || sighting == address_sightings.end()) continue;
    if (confirm(sighting->second, listing)) admit(address, eni, now);
  }
}

void Ipam::State::learn_stranger(const model::Eni& seen, const Listing& listing, Instant now) {
  if (gone.contains(seen.id)) return;
  if (listing.source == Listing::Source::Metadata) {
    eni_sightings[seen.id].in_metadata = true;  // a word on its tags is the API's alone
    return;
  }
  if (!is_ours(seen)) return;
  // It may be the one whose creation is not answered yet.
  const bool attached = !seen.instance_id.empty() || seen.status == model::EniStatus::InUse;
  if (!attached && std::any_of(enis.all().begin(), enis.all().end(), [](const auto& entry) {
        return entry.second.record.state == EniState::Creating;
      })) {
    return;
  }
  if (!confirm(eni_sightings[seen.id], listing)) return;
  eni_sightings.erase(seen.id);
  take_over(seen, now);
}

void Ipam::State::take_over(const model::Eni& seen, Instant now) {
  EniRecord record;
  record.key = random.uuid();
  record.eni_id = seen.id;
  record.mac = seen.mac;
  record.vswitch_id = seen.vswitch_id;
  record.primary_address = seen.primary_address;
  Eni& eni = enis.add(std::move(record));
  notify(Notice::Kind::AddressOrphan, seen.id,
         fmt::format("an ENI of ours that the journal did not know ({}) is taken over",
                     to_string(seen.status)));
  switch (seen.status) {
    case model::EniStatus::InUse:
      enter(eni, EniState::Attached, now);
      break;
    case model::EniStatus::Attaching:
      enter(eni, EniState::Attaching, now);
      eni.accepted = true;
      break;
    case model::EniStatus::Detaching:
      enter(eni, EniState::Detaching, now);
      eni.accepted = true;
      break;
    case model::EniStatus::Deleting:
      enter(eni, EniState::Deleting, now);
      break;
    default:
      enter(eni, EniState::Created, now);
  }
  for (const net::IpAddress& address : addresses_of(seen)) admit(address, eni, now);
}

void Ipam::State::observe(Eni& eni, const model::Eni& seen, Instant begun, Instant now) {
  const bool detached = seen.status == model::EniStatus::Available && seen.instance_id.empty();
  if (detached && shows_attachment(eni.record.state)) return observe_absence(eni, begun, now);
  if (begun > eni.record.since) {
    observe_status(eni, seen, now);
    eni.absences = 0;
    if (eni.missing) {
      eni.missing = false;
      if (eni.record.state == EniState::Ready) enter(eni, EniState::Attached, now);
    }
    if (!leaving(eni.record.state)) eni.doubt = false;
  }
  observe_addresses(eni, seen, begun, now);
}

void Ipam::State::observe_status(Eni& eni, const model::Eni& seen, Instant now) {
  if (eni.record.mac != seen.mac && !seen.mac.is_zero()) {
    enis.changed(eni);
    eni.record.mac = seen.mac;
  }
  const bool detached = seen.status == model::EniStatus::Available;
  switch (eni.record.state) {
    case EniState::Created:
    case EniState::Attaching:
      if (seen.status == model::EniStatus::InUse && cancel(eni)) {
        enter(eni, EniState::Attached, now);
      } else if (seen.status == model::EniStatus::Attaching && !eni.accepted && cancel(eni)) {
        enter(eni, EniState::Attaching, now);
        eni.accepted = true;
      }
      return;
    case EniState::Detaching:
      if (detached && cancel(eni)) enter(eni, EniState::Deleting, now);
      return;
    case EniState::Deleting:
      eni.doubt = false;
      if (detached || seen.status == model::EniStatus::Deleting || !cancel(eni)) return;
      enter(eni, EniState::Detaching, now);
      eni.accepted = seen.status == model::EniStatus::Detaching;
      return;
    default:
      return;
  }
}

void Ipam::State::observe_addresses(Eni& eni, const model::Eni& seen, Instant begun, Instant now) {
  if (leaving(eni.record.state) && eni.record.state != EniState::Draining) return;
  const Listing as_listing{Listing::Source::Api, begun, {}};
  const std::set<net::IpAddress> listed = addresses_of(seen);
  for (const net::IpAddress& address : listed) {
    if (!has(settings.stack, address.family())) continue;
    if (pool.find(address) != nullptr) {
      observe_presence(address, begun, now);
      continue;
    }
    if (released.contains(address)) continue;
    Sighting& sighting = address_sightings[address];
    if (sighting.eni_key != eni.record.key) sighting = {eni.record.key, {}, false};
    if (confirm(sighting, as_listing)) admit(address, eni, now);
  }
  std::erase_if(address_sightings, [&](const auto& entry) {
    return entry.second.eni_key == eni.record.key && !listed.contains(entry.first);
  });
  const std::set<net::IpAddress> known = pool.stock(eni.record.key).all();
  for (const net::IpAddress& address : known) {
    if (!listed.contains(address)) observe_absence(address, begun, now);
  }
}

// Adds an address that the cloud has confirmed, unless it is there already.
void Ipam::State::admit(const net::IpAddress& address, const Eni& eni, Instant now) {
  address_sightings.erase(address);
  absences.erase(address);
  if (!has(settings.stack, address.family()) || pool.find(address) != nullptr) return;
  released.erase(address);
  pool.add(address, eni.record.key, now);
  const auto claim = claims.find(address);
  if (claim == claims.end()) return;
  pool.hold(address, claim->second.key, claim->second.pod, false, now);
  claims.erase(claim);
}

void Ipam::State::observe_presence(const net::IpAddress& address, Instant begun, Instant now) {
  absences.erase(address);
  const AddressRecord& record = *pool.find(address);
  if (begun <= record.since) return;
  if (record.state == AddressState::Suspect) {
    pool.set_state(address, AddressState::Held, now);
  } else if (record.state == AddressState::Releasing) {
    // The order to give it back has ended without effect.
    const Eni* eni = enis.find(record.eni_key);
    if (eni != nullptr && !eni->operation) pool.set_state(address, AddressState::Idle, now);
  }
}

void Ipam::State::observe_absence(const net::IpAddress& address, Instant begun, Instant now) {
  const AddressRecord& record = *pool.find(address);
  if (begun <= record.since) return;
  if (record.state == AddressState::Releasing) {
    const Eni* eni = enis.find(record.eni_key);
    if (eni == nullptr || !eni->operation) pool.erase(address);
    return;
  }
  Absence& absence = absences[address];
  if (begun <= absence.begun && absence.count > 0) return;
  absence.begun = begun;
  if (absence.count < kAgreeing) ++absence.count;
  if (absence.count < kAgreeing || record.state == AddressState::Suspect) return;
  if (record.state == AddressState::Cooling) return;  // dropped when that ends: see warm_up()
  if (record.state == AddressState::Held) {
    notify(Notice::Kind::AddressSuspect, address.to_string(),
           fmt::format("pod {} has it, but the cloud does not list it on its ENI",
                       record.pod.to_string()));
    return pool.set_state(address, AddressState::Suspect, now);
  }
  drop_lost(address);
}

void Ipam::State::drop_lost(const net::IpAddress& address) {
  notify(Notice::Kind::AddressLost, address.to_string(),
         "the cloud does not list it on its ENI any more");
  absences.erase(address);
  pool.erase(address);
}

// The cool-downs that are over make their addresses idle, but for those that the cloud has lost
// meanwhile.
void Ipam::State::warm_up(Instant now) {
  for (const net::IpAddress& address : pool.warm_up(now, alarm)) {
    const auto absence = absences.find(address);
    if (absence != absences.end() && absence->second.count >= kAgreeing) drop_lost(address);
  }
}

void Ipam::State::observe_absence(Eni& eni, Instant begun, Instant now) {
  if (!shows_attachment(eni.record.state) || begun <= eni.record.since) return;
  if (eni.absences == 0 || begun > eni.absent_begun) {
    eni.absent_begun = begun;
    if (eni.absences < kAgreeing) ++eni.absences;
  }
  const std::set<net::IpAddress> known = pool.stock(eni.record.key).all();
  for (const net::IpAddress& address : known) observe_absence(address, begun, now);
  if (eni.absences < kAgreeing || eni.missing) return;
  eni.missing = true;
  notify(Notice::Kind::EniLost, eni.record.eni_id,
         fmt::format("the cloud does not show it attached to this node ({} of its addresses are "
                     "pods')",
                     pool.stock(eni.record.key).held()));
}

}  // namespace terway::ipam
