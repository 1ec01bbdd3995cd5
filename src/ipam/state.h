// SPDX-License-Identifier: Apache-2.0
// What Ipam is made of, for the sources that share it: the pods' side (ipam.cpp), the life of an
// ENI (eni_machine.cpp), what the cloud answered (outcomes.cpp) and listed (observe.cpp), and the
// size of the pool (balance.cpp).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ipam/ask_queue.h"
#include "ipam/backoff.h"
#include "ipam/eni_set.h"
#include "ipam/ipam.h"
#include "ipam/operations.h"
#include "ipam/per_family.h"
#include "ipam/pool.h"
#include "ipam/sizing.h"
#include "ipam/vswitches.h"

namespace terway::ipam {

// A fault that asking again cannot mend: the asks that were waiting for it are refused.
struct Fault {
  Error error;
  Instant at{};
};

// An address or ENI that a listing shows and we do not know: one sighting proves nothing.
struct Sighting {
  std::string eni_key;
  std::optional<Instant> api_begun;
  bool in_metadata = false;
};

struct Ipam::State {
  State(Settings settings_in, Limits limits_in, Random random_in);

  // Constant between calls of configure().
  void configure(Settings settings_in, Limits limits_in);
  Settings settings;
  Limits limits;

  Random random;
  Pool pool;
  EniSet enis;
  Operations operations;
  VSwitches vswitches;
  AskQueue asks;

  // --- ipam.cpp: the pods' side
  std::vector<model::AttachmentKey> again;  // asked although they hold an address
  struct Claim {
    model::AttachmentKey key;
    model::Pod pod;
  };
  std::map<net::IpAddress, Claim> claims;  // of pods found alive, on addresses not known yet
  void serve(Instant now, Turn& turn);
  bool serve_kept(const Ask& ask, Instant now, Turn& turn);
  void grant(const Ask& ask, const std::vector<net::IpAddress>& addresses, Instant now, Turn& turn);
  Eni* eni_for_pod();
  std::uint32_t pods_on(const Eni& eni) const;
  bool is_taken(const Eni& eni) const;
  bool is_untouched(const Eni& eni) const;
  net::IpAddress next_idle(const Eni& eni, net::Family family) const;
  void refuse_expired(Instant now, Turn& turn);
  Error why_waiting(Instant since) const;
  std::optional<Grant> grant_of(const model::AttachmentKey& key) const;

  // --- eni_machine.cpp: the life of an ENI
  Backoff create_backoff{std::chrono::seconds(1), std::chrono::minutes(1)};
  Instant limit_until{};         // no new ENI before: the instance (or the account) has no room
  std::uint32_t limit_hits = 0;  // in a row
  std::optional<Error> limit_error;
  std::map<std::string, Instant>
      gone;  // deleted eni_ids, and until when listings may still show them
  void advance_enis(Instant now);
  void advance(Eni& eni, Instant now);
  void advance_once(Eni& eni, Instant now);
  void advance_created(Eni& eni, Instant now);
  void advance_attaching(Eni& eni, Instant now);
  void advance_nic(Eni& eni, Instant now);
  void advance_ready(Eni& eni, Instant now);
  void advance_draining(Eni& eni, Instant now);
  void advance_detaching(Eni& eni, Instant now);
  void advance_deleting(Eni& eni, Instant now);
  void list_kernel_work(Instant now, Turn& turn);
  void look_up(Eni& eni, Instant now);
  bool wants_lookup(const Eni& eni) const;
  bool wants_tear_down(const Eni& eni) const;
  bool cancel(Eni& eni);
  void look_up_soon(Eni& eni, Instant now);
  void enter(Eni& eni, EniState state, Instant now);
  void fail(Eni& eni, const std::string& why, Instant now);
  void forget(const std::string& key, Instant now);
  static Operation operation_on(const Eni& eni, OperationKind kind);
  void begin(Eni& eni, Operation operation);
  bool serves(const Eni& eni) const;  // gives addresses to pods
  bool empty(const Eni& eni) const;   // no pod owns anything of it, nothing cools
  void create_eni(const Count& count, Instant now);
  std::uint32_t eni_slots_used() const;
  std::uint32_t enis_staying() const;
  void nic_seen(Eni& eni, Instant now);
  void nic_ready(Eni& eni, Instant now);
  void nic_failed(Eni& eni, const std::string& why, Instant now);
  void reach_limit(const Error& error, Instant now);

  // --- outcomes.cpp: what the cloud answered
  std::optional<Fault> fault;
  std::optional<Fault> last_error;  // of any call that changes something
  void finished(const Outcome& outcome, Instant now);
  void created(const OpenOperation& open, const Outcome& outcome, Instant now);
  void adopt_new(Eni& eni, const model::Eni& seen, Instant now);
  void attached(const OpenOperation& open, const Outcome& outcome, Instant now);
  void detached(const OpenOperation& open, const Outcome& outcome, Instant now);
  void deleted(const OpenOperation& open, const Outcome& outcome, Instant now);
  void assigned(const OpenOperation& open, const Outcome& outcome, Instant now);
  void assign_failed(Eni& eni, const OpenOperation& open, const Error& error, Instant now);
  void unassigned(const OpenOperation& open, const Outcome& outcome, Instant now);
  void described(const OpenOperation& open, const Outcome& outcome, Instant now);
  void described_vswitch(const OpenOperation& open, const Outcome& outcome, Instant now);
  void fail_for_good(const Error& error, const std::string& subject, Instant now);
  void exhaust_vswitch(const std::string& id, std::uint32_t wanted, const Error& error,
                       Instant now);

  // --- observe.cpp: what the cloud lists
  std::map<net::IpAddress, Sighting> address_sightings;
  std::map<std::string, Sighting> eni_sightings;
  std::map<net::IpAddress, Instant> released;  // and until when listings may still show them
  struct Absence {
    std::uint8_t count = 0;
    Instant begun{};
  };
  std::map<net::IpAddress, Absence> absences;
  void learn(const Listing& listing, Instant now);
  void learn_eni(Eni& eni, const model::Eni& seen, const Listing& listing, Instant now);
  void learn_stranger(const model::Eni& seen, const Listing& listing, Instant now);
  void take_over(const model::Eni& seen, Instant now);
  // One ENI as the API shows it now: its status, its addresses.
  void observe(Eni& eni, const model::Eni& seen, Instant begun, Instant now);
  void observe_status(Eni& eni, const model::Eni& seen, Instant now);
  void observe_addresses(Eni& eni, const model::Eni& seen, Instant begun, Instant now);
  void observe_presence(const net::IpAddress& address, Instant begun, Instant now);
  void observe_absence(const net::IpAddress& address, Instant begun, Instant now);
  void observe_absence(Eni& eni, Instant begun, Instant now);
  void drop_lost(const net::IpAddress& address);
  void warm_up(Instant now);
  void admit(const net::IpAddress& address, const Eni& eni, Instant now);
  bool is_foreign(const model::Eni& seen) const;
  bool is_ours(const model::Eni& seen) const;

  // --- balance.cpp: the size of the pool
  std::vector<std::string> shortage;  // why asks wait, as of the last turn
  bool relief_expected = false;       // and something that was begun will help them
  Instant last_activity{};
  Instant next_reclaim{};
  bool balance(Instant now, Turn& turn);  // true if something was begun
  struct Shelves {
    std::vector<Eni*> enis;
    std::vector<Shelf> shelves;  // of those, one each
    std::int64_t pods = 0;       // for how many they have usable addresses
    bool one_is_slow = false;    // and is not among them
  };
  Shelves shelve(Instant now);
  bool spare(const Eni& eni, Instant now);  // the others are enough
  bool relieve(const Shelves& on, std::uint32_t pods, Instant now, Turn& turn);
  bool give_back(const Shelves& on, Instant now);
  std::uint32_t grow(const Shelves& on, std::uint32_t need, Instant now);
  bool shrink(const Shelves& on, Instant now);
  bool trim(const Shelves& on, Instant now);
  std::uint32_t reclaimable(std::int64_t above_min, Instant now);
  bool slow(const Eni& eni, Instant now);
  std::uint32_t max_idle() const;
  Shelf shelf_of(const Eni& eni, Instant now);
  std::uint32_t limit_of(const Eni& eni, net::Family family) const;
  std::uint32_t creatable(Instant now);
  bool cut_cool_down(Instant now);
  void begin_assign(Eni& eni, net::Family family, std::uint32_t count);
  void begin_unassign(Eni& eni, net::Family family, std::uint32_t count, Instant now);
  void explain_shortage(const Shelves& on, Instant now);

  // --- of this turn
  std::vector<Notice> notices;
  Alarm alarm;
  void notify(Notice::Kind kind, std::string subject, std::string message) {
    notices.push_back({kind, std::move(subject), std::move(message)});
  }
};

}  // namespace terway::ipam
