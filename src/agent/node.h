// SPDX-License-Identifier: Apache-2.0
// All that is known of this node, and the order of things: requests and facts come in, IPAM and the
// attachments decide, the journal is written, and only then is anything done or answered.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/attachments.h"
#include "agent/events.h"
#include "agent/metrics.h"
#include "agent/settings.h"
#include "base/clock.h"
#include "base/random.h"
#include "config/config.h"
#include "ipam/ipam.h"
#include "journal/journal.h"
#include "rpc/cli_api.h"

namespace terway::agent {

// Owned by the agent thread. handle() any number of events, then settle(): what they led to is one
// transaction of the journal, however many pods it is about.
class Node {
 public:
  struct Parts {
    journal::Journal& journal;
    Wiring& wiring;
    Cloud& cloud;
    Clock& clock;
    Metrics& metrics;
  };
  struct Names {
    std::string node;
    std::string config_path;
    DaemonMode mode = DaemonMode::Shared;
    std::string version;
    std::string fast_path;  // "on", or "off: why"
  };
  Node(Parts parts, Names names, config::Loaded loaded, Random random);

  // Once, first: takes up what the journal knows.
  void start(const journal::Journal::Opened& opened, const journal::Contents& contents);

  void handle(Event event);
  // Decides, commits, acts. When to call it next, if nothing comes before.
  std::optional<Instant> settle();

  // No new ADD is taken, those that wait for an address are refused, those being wired end well.
  void drain();
  // Nobody waits for an answer any more.
  bool drained() const { return callers_.empty(); }

  // Set when this daemon must not go on: its journal is about another instance.
  const std::optional<Error>& fatal() const { return fatal_; }

  // "" when an ADD can be served, else why not.
  std::string not_ready() const;

 private:
  // node_requests.cpp
  void on(AddCall call);
  void on(const DelCall& call);
  void on(CheckCall call);
  void on(GcCall call);
  void on(const StatusCall& call);
  void on(const HungUp& gone);
  void on(const Question& question);
  void on(BandwidthCall call);
  bool accept_limits(const AddRequest& request);
  void on(const ConfigFact& fact);
  void on(const Stop&) { drain(); }
  Call new_call(const ReplyTo& reply);
  static void tell(const ReplyTo& reply, Answer answer);

  // node_facts.cpp
  void on(const WiredFact& fact);
  void on(const UnwiredFact& fact);
  void on(LimitedFact fact);
  void on(CheckedFact fact);
  void on(const NicSeen& fact);
  void on(const NicReady& fact);
  void on(const NicFailed& fact);
  void on(const TornDown& fact);
  void on(const DriftFact& fact);
  void on(const KernelFact& fact);
  void on(const IdentityFact& fact);
  void on(const VSwitchFact& fact);
  void on(const ListingFact& fact);
  void on(const PollFailed& fact);
  void on(const OutcomeFact& fact);
  void release_orphans(const std::set<model::AttachmentKey>& in_kernel);
  void adopt(const FoundInKernel& found);
  void place_adopted();
  void sync_wiring();
  void remember_listing(const ipam::Listing& listing);
  void remember_in_cloud(const ipam::Outcome& outcome);
  void answer_looked();

  // node.cpp
  void decide(Instant now);
  void apply(Attachments::Actions actions, Instant now);
  void absorb(ipam::Turn turn, Instant now);
  void demand(const std::variant<AddRequest, model::AttachmentKey>& demand, Instant now);
  void refuse_overdue(Instant now);
  void commit();
  void answer(const Answer& answer);  // of one part of a call
  void note(std::string_view kind, const std::string& subject, const std::string& message);
  void reconfigure();
  std::optional<datapath::EniPlan> eni_plan(const model::EniRecord& eni) const;
  std::vector<std::string> security_groups() const;
  std::string other_mode() const;  // why the mode of the daemon keeps new pods waiting
  void update_metrics();
  void look_at_kernel(Instant now);

  // node_reports.cpp
  Result<std::string> report(const Question& question) const;
  rpc::cli::Status status() const;
  rpc::cli::Pods pods() const;
  rpc::cli::Enis enis() const;
  rpc::cli::Pool pool() const;
  Result<rpc::cli::Journal> journal_report() const;
  rpc::cli::Metadata metadata() const;
  rpc::cli::Mapping mapping() const;
  rpc::cli::Config config_report() const;
  Result<std::string> resources(const std::string& type, const std::string& name) const;
  rpc::cli::EniEntry entry_of(const model::EniRecord& eni,
                              const std::vector<model::AddressRecord>& addresses) const;
  std::vector<rpc::cli::PoolCounts> pool_counts() const;
  std::vector<net::Family> families() const;

  // Constant after construction.
  const Parts parts_;
  const Names names_;
  const WallTime started_wall_;
  const Instant started_;

  config::Loaded loaded_;  // as in the file
  config::Config config_;  // as in force
  std::vector<std::string> restart_needed_;
  WallTime loaded_at_{};

  Identity identity_;
  std::map<std::string, model::VSwitch> vswitches_;
  ipam::Ipam ipam_;
  Attachments attachments_;
  std::map<std::string, datapath::EniNic> nics_;  // by ENI key: those that are ready
  // By ENI key: what the wiring was told to bring up and has not ended. IPAM's turns repeat it; a
  // burst of pods has hundreds of turns.
  std::map<std::string, datapath::EniPlan> rising_;

  // Callers who wait.
  struct Caller {
    ReplyTo reply;
    std::string verb;
    Instant since{};
    std::size_t parts = 1;  // a GC ends with the last of its removals
  };
  std::map<Call, Caller> callers_;
  struct LimitCaller {
    std::shared_ptr<Channel<Result<std::string>>> reply;
    std::string answer;
  };
  std::map<std::uint64_t, LimitCaller> limit_callers_;  // by order to the wiring
  std::uint64_t last_limit_ = 0;
  Call last_call_ = 0;
  bool draining_ = false;
  std::optional<Error> fatal_;
  // ADDs that wait for the instance's identity, without which IPAM would refuse them.
  std::map<model::AttachmentKey, AddRequest> early_;

  // One round of settle(): in the journal first, then done.
  std::vector<journal::Entry> entries_;
  std::vector<std::function<void()>> effects_;
  std::string journal_fault_;
  Instant journal_retry_{};
  std::optional<Instant> wake_at_;

  // What operators see.
  struct Noted {
    std::string message;
    WallTime last{};
    std::uint64_t count = 0;
  };
  std::map<std::pair<std::string, std::string>, Noted> notices_;
  std::map<std::string, std::uint64_t> drift_;
  std::set<std::string> exhausted_vswitches_;
  std::string cloud_fault_;  // of the last call; empty: it succeeded
  std::string poll_fault_;
  bool listed_ = false;  // a full listing of the API has come
  bool synced_ = false;  // … and the wiring knows
  bool fresh_ = false;   // the journal knew nothing: what the kernel has is adopted
  bool kernel_seen_ = false;
  Instant next_look_{};
  Instant next_metrics_{};
  std::set<net::IpAddress> in_cloud_;  // as of the last API listing
  std::vector<model::Eni> last_listing_;
  std::set<net::IpAddress> in_kernel_;  // as of the last look
  std::vector<Question> until_looked_;  // questions that want a fresh look at the kernel
};

std::string rfc3339(WallTime time);
datapath::PodPlan plan_of(const model::Attachment& attachment);

}  // namespace terway::agent
