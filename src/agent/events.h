// SPDX-License-Identifier: Apache-2.0
// What the agent thread is told, and what it tells others: values only. Requests and facts come in
// through its inbox, commands go out through the two ports.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/attachments.h"
#include "base/channel.h"
#include "config/config.h"
#include "datapath/plan.h"
#include "ipam/ipam.h"
#include "model/eni.h"

namespace terway::agent {

// --- requests -----------------------------------------------------------------------------------

// Where a caller waits. One value is sent, exactly once.
using ReplyTo = std::shared_ptr<Channel<Answer>>;

struct AddCall {
  AddRequest request;
  ReplyTo reply;
};
struct DelCall {
  model::AttachmentKey key;
  ReplyTo reply;                    // null: nobody waits
  std::shared_ptr<UniqueFd> netns;  // null: the caller has none
};
struct CheckCall {
  model::AttachmentKey key;
  std::shared_ptr<UniqueFd> netns;
  std::vector<net::IpAddress> addresses;  // as the runtime remembers them
  ReplyTo reply;
};
struct GcCall {
  std::string network;
  std::vector<model::AttachmentKey> valid;
  ReplyTo reply;
};
struct StatusCall {
  ReplyTo reply;
};
struct HungUp {
  ReplyTo reply;  // of the caller that is gone
};

// What terway-cli wants to know; the reply is JSON (rpc/cli_api.h), or an error.
enum class Topic : std::uint8_t {
  Status,
  Pods,
  Enis,
  Pool,
  Journal,
  Metadata,
  Mapping,
  Config,
  Resources,
  Ready
};
struct Question {
  Topic topic = Topic::Status;
  std::string type;  // Resources: of TYPE …
  std::string name;  // … and NAME
  std::shared_ptr<Channel<Result<std::string>>> reply;
};

// Other limits for a pod, by name ("namespace/name") or container id; what is not given stays. The
// reply is JSON (rpc::cli::Bandwidth), when the kernel has them.
struct BandwidthCall {
  std::string pod;
  std::string ifname;  // empty: its only one
  std::optional<std::uint64_t> egress;
  std::optional<std::uint64_t> ingress;
  std::shared_ptr<Channel<Result<std::string>>> reply;
};

// --- facts --------------------------------------------------------------------------------------

struct WiredFact {
  model::AttachmentKey key;
  std::uint64_t serial = 0;
  Result<WiredAs> result;
  Duration took{};
};
struct UnwiredFact {
  model::AttachmentKey key;
  std::uint64_t serial = 0;
  Result<> result;
  bool nic_is_back = true;  // false: the pod had a NIC of its own, which is nowhere to be seen
};
struct LimitedFact {
  std::uint64_t order = 0;
  Result<> result;
};
struct CheckedFact {
  Call call = 0;
  Result<> result;
};
struct NicSeen {
  std::string eni_key;
};
struct NicReady {
  std::string eni_key;
  datapath::EniNic nic;
};
struct NicFailed {
  std::string eni_key;
  std::string why;
};
struct TornDown {
  std::string eni_id;
};
struct DriftFact {
  datapath::Drift drift;
  std::optional<Error> error;
};
// An attachment that the kernel has.
struct FoundInKernel {
  model::AttachmentKey key;
  std::string host_ifname;
  std::vector<net::IpAddress> addresses;
};
struct KernelFact {
  std::vector<FoundInKernel> found;
  std::vector<std::string> mark_clashes;  // who else uses our mark bits
};

// What an instance is, and may have.
struct Identity {
  model::Instance instance;
  std::string region_id;
  net::Mac mac;  // of the primary ENI
  model::InstanceType type;

  bool known() const { return !instance.id.empty(); }
};
struct IdentityFact {
  Identity identity;
  bool described = true;  // the type's limits come from the API just now, not from the journal
};
struct VSwitchFact {
  std::vector<model::VSwitch> vswitches;
};
struct ListingFact {
  ipam::Listing listing;
};
// Something that the cloud poller could not learn; it tries again.
struct PollFailed {
  std::string what;
  Error error;
};
struct OutcomeFact {
  ipam::Outcome outcome;
};
struct ConfigFact {
  config::Loaded loaded;
};
struct Stop {};

using Event = std::variant<AddCall, DelCall, CheckCall, GcCall, StatusCall, HungUp, Question,
                           BandwidthCall, LimitedFact, WiredFact, UnwiredFact, CheckedFact, NicSeen,
                           NicReady, NicFailed, TornDown, DriftFact, KernelFact, IdentityFact,
                           VSwitchFact, ListingFact, PollFailed, OutcomeFact, ConfigFact, Stop>;
using Inbox = Channel<Event>;

// --- commands -----------------------------------------------------------------------------------

// The kernel of this node. Commands are carried out in order; facts come back through the inbox.
// Two exist: the datapath thread, and the recorder of tests.
class Wiring {
 public:
  virtual ~Wiring() = default;
  // First, once: what the journal knows. Nothing is removed before caches_synced().
  virtual void restore(datapath::Desired desired,
                       std::map<std::string, std::string> eni_keys_by_id) = 0;
  // A pod that is there already, by the kernel's own word, and is to stay.
  virtual void keep(datapath::PodPlan plan) = 0;
  virtual void caches_synced() = 0;
  virtual void wire(datapath::PodPlan plan, std::uint64_t serial,
                    std::shared_ptr<UniqueFd> netns) = 0;
  virtual void unwire(datapath::PodPlan plan, std::uint64_t serial,
                      std::shared_ptr<UniqueFd> netns) = 0;
  // Other limits for a wired pod; answered by a LimitedFact.
  virtual void limit(const model::AttachmentKey& key, const model::Bandwidth& bandwidth,
                     std::uint64_t order) = 0;
  virtual void check(datapath::PodPlan plan, std::shared_ptr<UniqueFd> netns, Call call) = 0;
  // Until NicReady or NicFailed; asking again changes nothing.
  virtual void bring_up(std::string eni_key, datapath::EniPlan plan) = 0;
  virtual void tear_down(std::string eni_id) = 0;
  // Answered by a KernelFact.
  virtual void find_attachments() = 0;
};

// The cloud, as far as the agent may ask: an operation gets one OutcomeFact, the others facts when
// they come.
class Cloud {
 public:
  virtual ~Cloud() = default;
  virtual void start(const ipam::Operation& operation) = 0;
  // A full listing soon, not only when it is due.
  virtual void list_soon() = 0;
  virtual void configure(const config::Config& config) = 0;
  virtual void identified(const Identity& identity, const std::vector<std::string>& groups) = 0;
};

}  // namespace terway::agent
