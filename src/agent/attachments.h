// SPDX-License-Identifier: Apache-2.0
// The life of each pod interface as callers see it: an ADD waits for addresses, is wired, stays
// until a DEL, is taken down. One small state machine a (container, interface); pure: what is to be
// done comes out of take().
//
//            ask              granted            wired
//   (none) ------> Waiting ------------> Wiring --------> Wired
//      ^              | DEL, refused        | DEL, failed    | DEL
//      |              v                     v                v
//      +<----------(none)               Removing <-----------+
//      +<----------------------------------+ removed
//
// A DEL wins over an ADD in flight, and so does a caller that has hung up: the ADD is undone. An
// ADD that meets a removal waits for its end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "model/attachment.h"

namespace terway::agent {

// A caller that waits for an answer; never reused. 0 is nobody.
using Call = std::uint64_t;

struct AddRequest {
  model::AttachmentKey key;
  model::Pod pod;
  bool sticky = false;
  std::string network;
  std::string netns_path;
  std::uint64_t netns_inode = 0;
  std::shared_ptr<UniqueFd> netns;
  std::uint32_t mtu = 0;  // 0: the ENI's
  std::vector<net::Prefix> extra_routes;
  model::Bandwidth bandwidth;
  std::vector<std::string> bandwidth_problems;  // of values that are no rates
  model::NetworkPriority priority = model::NetworkPriority::None;
  std::string priority_problem;
  model::NetworkMode mode = model::NetworkMode::Veth;
  bool host_peer = true;
  std::vector<net::Prefix> host_stack;
  Instant received{};
  Instant deadline{};
};

// Why a call failed: whose word it is ("ipam", "datapath", "agent") and what it says.
struct CallFailure {
  std::string layer;
  Error error;
};

struct Answer {
  Call call = 0;
  std::variant<Ok, model::Attachment, CallFailure> outcome;  // the attachment for an ADD
};

struct Granted {
  model::AttachmentKey key;
  std::string eni_key;
  std::string eni_id;
  std::vector<net::IpAddress> addresses;
  net::Mac nic_mac{};  // of the ENI
};

struct WiredAs {
  std::string host_ifname;
  net::Mac host_mac;
  net::Mac pod_mac;
  std::uint32_t mtu = 0;
  std::vector<net::IpAddress> gateways;
};

// Owned by the agent thread.
class Attachments {
 public:
  // To be done, in this order, after `put` and `erase` are in the journal.
  struct Actions {
    // Addresses wanted, and (the key alone) no longer needed or wanted.
    std::vector<std::variant<AddRequest, model::AttachmentKey>> demands;
    std::vector<model::Attachment> put;
    std::vector<model::AttachmentKey> erase;
    struct Wire {
      model::Attachment attachment;
      std::uint64_t serial = 0;
      std::shared_ptr<UniqueFd> netns;
      Instant received{};
    };
    std::vector<Wire> wire;
    struct Unwire {
      model::Attachment attachment;  // of an unknown one only the key
      std::uint64_t serial = 0;
      std::shared_ptr<UniqueFd> netns;  // where the caller had one
    };
    std::vector<Unwire> unwire;
    std::vector<Answer> answers;
    std::vector<std::string> complaints;  // for the log: what failed and is tried again

    bool empty() const {
      return demands.empty() && put.empty() && erase.empty() && wire.empty() && unwire.empty() &&
             answers.empty() && complaints.empty();
    }
  };

  // Once, first. What was half made or half removed is removed.
  void restore(const std::vector<model::Attachment>& known, Instant now);
  // One that the kernel has and the journal does not: kept as wired.
  void adopt(const model::Attachment& found);

  // By which ENI an adopted one leaves, once that is known.
  void place(const model::AttachmentKey& key, const std::string& eni_key,
             const std::string& eni_id);

  void add(Call call, AddRequest request, WallTime wall);
  // Also of what is unknown: whatever the kernel may have of it goes.
  // `netns`: the pod's namespace, where the caller has one still.
  void del(Call call, const model::AttachmentKey& key, std::shared_ptr<UniqueFd> netns = nullptr);
  // The caller has hung up. An ADD of its is undone; a DEL goes on.
  void hung_up(Call call);

  // Other limits for one that is wired; false for any other.
  bool limit(const model::AttachmentKey& key, const model::Bandwidth& bandwidth);

  void granted(const Granted& grant);
  void refused(const model::AttachmentKey& key, const Error& error);
  // Facts of the wiring; those of an older serial are about what is no more.
  void wired(const model::AttachmentKey& key, std::uint64_t serial, const Result<WiredAs>& result);
  void unwired(const model::AttachmentKey& key, std::uint64_t serial, const Result<>& result,
               Instant now);

  // ADDs that wait for addresses are refused; those that wait behind something else, too.
  void give_up(const Error& why);

  // Removals that failed are tried again at their time.
  void tick(Instant now);
  std::optional<Instant> wake_at() const;

  Actions take();

  const model::Attachment* find(const model::AttachmentKey& key) const;  // what the journal has
  std::vector<model::Attachment> all() const;                            // what the journal has
  struct Waiting {
    model::AttachmentKey key;
    model::Pod pod;
    Instant since{};
  };
  std::vector<Waiting> waiting() const;
  bool idle(const model::AttachmentKey& key) const { return !slots_.contains(key); }
  std::size_t size() const { return slots_.size(); }

 private:
  enum class Phase : std::uint8_t { Waiting, Wiring, Wired, Removing };
  struct Slot {
    Phase phase = Phase::Waiting;
    std::uint64_t serial = 0;  // of the last command to the wiring
    Call adder = 0;
    AddRequest request;                       // Waiting, Wiring
    std::optional<model::Attachment> record;  // what the journal has
    std::vector<Call> deleters;
    std::shared_ptr<UniqueFd> netns;  // of a DEL, until the wiring has it
    std::optional<CallFailure> undo;  // Wiring, Removing: what the adder will be told
    struct Next {
      Call call = 0;
      AddRequest request;
      WallTime wall{};
    };
    std::optional<Next> next;  // an ADD that waits for the present work to end
    WallTime wall{};
    std::optional<Instant> retry_at;  // Removing, after a failure
    Duration retry_after = std::chrono::seconds(1);
  };
  using Slots = std::map<model::AttachmentKey, Slot>;

  void begin(Slot& slot, Call call, AddRequest request, WallTime wall);
  void wire(Slot& slot);
  void remove(const model::AttachmentKey& key, Slot& slot);
  void unwire(const model::AttachmentKey& key, Slot& slot);
  void finish(Slots::iterator at);
  void fail(Call call, std::string layer, Error error);
  void answer_deleters(Slot& slot);

  Slots slots_;
  Actions actions_;
  std::uint64_t last_serial_ = 0;
};

}  // namespace terway::agent
