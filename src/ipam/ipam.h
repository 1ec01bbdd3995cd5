// SPDX-License-Identifier: Apache-2.0
// Which address a pod gets, and what the cloud must do about a shortage. Pure: no I/O, no threads,
// time passed in, randomness handed in. What it wants done comes out of turn(); facts come back in.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "ipam/record.h"

namespace terway::ipam {

enum class Stack : std::uint8_t { V4, V6, Dual };
enum class VSwitchPolicy : std::uint8_t { Random, Most };  // `ordered` is Most
enum class EniPolicy : std::uint8_t { MostIps, LeastIps };

struct Settings {
  Stack stack = Stack::V4;
  // Each ENI is one pod's as a whole, with its primary address (and one of IPv6): what follows
  // about idle addresses is about idle ENIs then, and an ENI's further addresses are given back.
  bool exclusive = false;
  std::uint32_t min_pool_size = 0;  // idle addresses to keep at least …
  std::uint32_t max_pool_size = 5;  // … and at most
  std::uint32_t min_eni = 0;
  std::vector<std::string> vswitch_ids;  // of the node's zone, in order of preference
  VSwitchPolicy vswitch_policy = VSwitchPolicy::Random;
  EniPolicy eni_policy = EniPolicy::MostIps;
  std::uint32_t batch = 10;  // addresses a call
  Duration cool_down = std::chrono::seconds(60);
  Duration stick_time = std::chrono::minutes(5);
  std::optional<Duration> idle_reclaim_after;  // unset: off
  std::uint32_t idle_reclaim_batch = 5;
  Duration idle_reclaim_interval = std::chrono::minutes(10);
  double idle_reclaim_jitter = 0.1;
  Duration operation_deadline = std::chrono::minutes(2);  // of a state that waits for the cloud
  Duration nic_deadline = std::chrono::seconds(60);       // from InUse to Ready
  Duration vswitch_probe_after =
      std::chrono::minutes(10);  // an exhausted vSwitch is tried again then
  Duration eni_limit_probe_after = std::chrono::minutes(1);

  // Which ENIs that the journal does not know are ours. Never: the node's own NIC whatever the API
  // calls its type, trunk and member ENIs, one that carries any pair of `eni_tag_block_list` (or of
  // the built-in ones terway.alibabacloud.com/excluded=true and
  // creator=alibabacloud-erdma-controller), lacks any pair of `eni_tag_filter`, or has one of
  // `unmanaged_macs`.
  model::Tags
      owner_tags;  // an attached ENI that carries all of these is taken over; empty: none is
  model::Tags
      node_tags;  // one attached to nothing is ours if it carries these, too; empty: none is
  model::Tags eni_tag_filter;
  model::Tags eni_tag_block_list;
  std::vector<net::Mac> unmanaged_macs;
  std::string node_eni_id;
  net::Mac node_mac;
  net::IpAddress node_address;
};

struct Limits {
  std::uint32_t max_enis = 0;  // that pods may use: the primary one is not among them
  std::uint32_t ipv4_per_eni = 0;
  std::uint32_t ipv6_per_eni = 0;

  std::uint32_t pods(Stack stack) const;
};

struct Ask {
  model::AttachmentKey key;
  model::Pod pod;
  bool sticky = false;  // keep the address for this pod's name after it is gone
  Instant deadline{};   // then it is refused with what it waited for
};

struct Grant {
  model::AttachmentKey key;
  std::string eni_key;
  std::string eni_id;
  std::vector<net::IpAddress> addresses;  // one of each family of the stack, on the same ENI
};

struct Refusal {
  model::AttachmentKey key;
  Error error;  // which limit or fault, with the cloud's code and RequestId where there is one
};

// Something an operator should see: an event, a log line, a node condition.
struct Notice {
  enum class Kind : std::uint8_t {
    VSwitchExhausted,
    VSwitchRecovered,
    EniLimitReached,
    EniFailed,
    EniLost,
    EniUnwanted,
    AddressSuspect,
    AddressLost,
    AddressOrphan,
    CoolDownShortened,
    CloudFault,
  };
  Kind kind;
  std::string subject;  // ENI, vSwitch or address
  std::string message;
};

// How an operation of the cloud ended. `eni` after Create and Describe; `addresses` after Assign;
// `vswitch` after DescribeVSwitch. Each operation that was started gets exactly one.
struct Outcome {
  std::uint64_t operation_id = 0;
  std::optional<Error> error;
  std::optional<model::Eni> eni;
  std::vector<net::IpAddress> addresses;
  std::optional<model::VSwitch> vswitch;
};

// A full listing of this instance's ENIs by one source. An absent entry is an observation only of a
// listing begun after the entry's own last change (`begun`), and nothing is dropped on the word of
// one source.
struct Listing {
  enum class Source : std::uint8_t { Api, Metadata };
  Source source;
  Instant begun{};
  std::vector<model::Eni> enis;  // metadata fills id, mac, addresses only
};

// What turn() wants done, in this order: journal `changes`, then the rest. An operation that failed
// in a way that passes (Throttled, Unavailable) appears in `start` again after its backoff, with
// its id and token.
struct Turn {
  Changes changes;
  std::vector<Grant> grants;
  std::vector<Refusal> refusals;
  std::vector<Operation> start;
  std::vector<EniRecord>
      bring_up;  // ENIs whose NIC should be made ready (repeated until a fact comes)
  std::vector<std::string> tear_down;  // eni_ids whose rules and tables must go before they detach
  std::vector<Notice> notices;
  std::optional<Instant> wake_at;  // call turn() then, at the latest
};

// Owned by one thread.
class Ipam {
 public:
  Ipam(Settings settings, Limits limits, Random random);
  ~Ipam();

  // Once, first: what the journal knew. Instants of another boot must have been set to `now` by the
  // caller (cool-downs then start afresh).
  void restore(const Snapshot& snapshot, Instant now);
  void reconfigure(const Settings& settings, const Limits& limits);

  // The same key asking again keeps what it has, or its place in the queue.
  void ask(const Ask& ask, Instant now);
  // The pod is gone and its traces in this node's kernel are flushed: its addresses cool down; a
  // waiting ask is forgotten. Of an unknown key: nothing to do.
  void release(const model::AttachmentKey& key, Instant now);
  // A pod found alive (kernel or runtime) that the journal does not know takes its address over.
  // Exists if somebody else holds it. NotFound if no ENI of ours carries it yet: the claim is
  // remembered, and the address is this pod's when a listing shows it.
  Result<> adopt(const model::AttachmentKey& key, const model::Pod& pod,
                 const std::vector<net::IpAddress>& addresses, Instant now);

  void finished(const Outcome& outcome, Instant now);
  void learn(const Listing& listing, Instant now);
  void learn(const model::VSwitch& vswitch, Instant now);
  void nic_seen(const std::string& eni_key, Instant now);
  void nic_ready(const std::string& eni_key, Instant now);
  void nic_failed(const std::string& eni_key, const std::string& why, Instant now);
  void torn_down(const std::string& eni_id, Instant now);

  // Decides. Call after any of the above and at `wake_at`; it changes nothing when there is nothing
  // to do.
  Turn turn(Instant now);

  // Views, for status, metrics and tests.
  std::vector<EniRecord> enis() const;
  std::vector<AddressRecord> addresses() const;
  std::vector<Operation> operations() const;
  // As given, but for exclusive ENIs with one address of each family.
  const Limits& limits() const;
  std::optional<Grant> held_by(const model::AttachmentKey& key) const;
  struct Counts {
    std::uint32_t total = 0, idle = 0, held = 0, cooling = 0, releasing = 0, suspect = 0,
                  waiting = 0;
    std::uint32_t capacity = 0;
  };
  Counts counts(net::Family family) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terway::ipam
