// SPDX-License-Identifier: Apache-2.0
// The thread that owns the datapath: carries out the agent's commands in their order, heals what
// others change, and does the slow things when nobody waits.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "agent/events.h"
#include "base/clock.h"
#include "base/fd.h"
#include "datapath/datapath.h"

namespace terway::agent {

class DatapathThread final : public Wiring {
 public:
  // Facts go to `inbox`. Both references must outlive the thread.
  static Result<std::unique_ptr<DatapathThread>> start(const datapath::Settings& settings,
                                                       Inbox& inbox, Clock& clock);
  // Ends after the commands given so far.
  ~DatapathThread() override;

  void restore(datapath::Desired desired,
               std::map<std::string, std::string> eni_keys_by_id) override;
  void keep(datapath::PodPlan plan) override;
  void caches_synced() override;
  void wire(datapath::PodPlan plan, std::uint64_t serial, std::shared_ptr<UniqueFd> netns) override;
  void unwire(datapath::PodPlan plan, std::uint64_t serial,
              std::shared_ptr<UniqueFd> netns) override;
  void limit(const model::AttachmentKey& key, const model::Bandwidth& bandwidth,
             std::uint64_t order) override;
  void check(datapath::PodPlan plan, std::shared_ptr<UniqueFd> netns, Call call) override;
  void bring_up(std::string eni_key, datapath::EniPlan plan) override;
  void tear_down(std::string eni_id) override;
  void find_attachments() override;

  // For any thread; both wait for the thread, some seconds at most.
  Result<datapath::Inspection> inspect(datapath::InspectLinks links);
  struct Watched {
    std::vector<datapath::SeenEvent> events;
    std::uint64_t last = 0;  // to be asked for next
  };
  // Drops (and new flows, while somebody asks for them) after the event of that number; waits a
  // second for one where there is none. nullopt: from now on.
  Result<Watched> watch(std::optional<std::uint64_t> after, bool flows);
  // As of the start.
  const datapath::FastPathStatus& fast_path() const { return fast_path_; }

 private:
  struct Restore {
    datapath::Desired desired;
    std::map<std::string, std::string> eni_keys_by_id;
  };
  struct Keep {
    datapath::PodPlan plan;
  };
  struct Synced {};
  struct Wire {
    datapath::PodPlan plan;
    std::uint64_t serial = 0;
    std::shared_ptr<UniqueFd> netns;
    Instant since{};
  };
  struct Unwire {
    datapath::PodPlan plan;
    std::uint64_t serial = 0;
    std::shared_ptr<UniqueFd> netns;
  };
  struct Limit {
    model::AttachmentKey key;
    model::Bandwidth bandwidth;
    std::uint64_t order = 0;
  };
  struct Check {
    datapath::PodPlan plan;
    std::shared_ptr<UniqueFd> netns;
    Call call = 0;
  };
  struct BringUp {
    std::string eni_key;
    datapath::EniPlan plan;
  };
  struct TearDown {
    std::string eni_id;
  };
  struct Find {};
  struct Inspect {
    datapath::InspectLinks links = datapath::InspectLinks::Yes;
    std::shared_ptr<Channel<Result<datapath::Inspection>>> reply;
  };
  struct Watch {
    std::optional<std::uint64_t> after;
    bool flows = false;
    std::shared_ptr<Channel<Watched>> reply;
    Instant until{};
  };
  using Order = std::variant<Restore, Keep, Synced, Wire, Unwire, Limit, Check, BringUp, TearDown,
                             Find, Inspect, Watch>;

  DatapathThread(std::unique_ptr<datapath::Datapath> datapath, UniqueFd wake, Inbox& inbox,
                 Clock& clock);
  void give(Order order);

  // Below: in the thread.
  void run();
  bool wait();
  void obey(Order order);
  void on(Restore order);
  void on(Keep order);
  void on(Synced order);
  void on(Wire order);
  void on(Unwire order);
  void on(const Limit& order);
  void on(const Check& order);
  void on(BringUp order);
  void on(TearDown order);
  void on(Find order);
  void on(const Inspect& order);
  void on(Watch order);
  void answer_watchers();
  void sweep();
  void wire_now(const Wire& order);
  void try_nics();
  void release_waiting_wires();
  Duration heal_after() const;
  void heal();
  void tidy();
  std::optional<Duration> until_next_work() const;

  Inbox& inbox_;
  Clock& clock_;
  datapath::FastPathStatus fast_path_;
  Channel<Order> orders_;
  UniqueFd wake_;  // eventfd: an order has come, or the channel was closed

  // Owned by the thread.
  std::unique_ptr<datapath::Datapath> datapath_;
  std::map<model::AttachmentKey, datapath::PodPlan> pods_;
  std::map<std::string, datapath::EniPlan> enis_;  // by id: those that are up, or were before us
  struct Rising {
    datapath::EniPlan plan;
    Instant next_try{};
    bool seen = false;
    std::string why;
  };
  std::map<std::string, Rising> rising_;  // by ENI key
  std::vector<Wire> waiting_;             // for their ENI, after a restart
  bool restored_ = false;
  bool authoritative_ = false;
  bool backlog_ = false;  // there may be more orders, of which wake_ does not tell again
  bool dirty_ = false;
  Instant last_order_{};
  Instant next_resync_{};
  Instant dirty_since_{};
  std::optional<Instant> marked_since_;
  std::string resync_fault_;
  std::vector<Watch> watchers_;
  std::optional<Instant> flows_watched_;  // when somebody asked for them last
  Instant next_sweep_{};

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace terway::agent
