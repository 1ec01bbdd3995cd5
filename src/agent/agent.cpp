// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <thread>
#include <utility>

#include "agent/calls.h"
#include "agent/cli_server.h"
#include "agent/cloud_threads.h"
#include "agent/datapath_report.h"
#include "agent/datapath_thread.h"
#include "agent/facts.h"
#include "agent/node.h"
#include "agent/settings.h"
#include "base/file.h"
#include "base/log.h"
#include "config/watch.h"
#include "journal/journal.h"

namespace terway::agent {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kEventsAtOnce = 128;
constexpr Duration kDrainAtMost = seconds(5);
constexpr Duration kSuccessionAtMost = seconds(5);
constexpr Duration kTidyAfter = milliseconds(200);
constexpr Duration kTombstonesEvery = seconds(30);

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

// Watches the configuration, the stop descriptor and the tombstones: what comes by files.
class Watcher {
 public:
  Watcher(const Options& options, const rpc::Tombstones& tombstones, config::Loaded loaded,
          Inbox& inbox, UniqueFd end)
      : options_(options),
        tombstones_(tombstones),
        loaded_(std::move(loaded)),
        inbox_(inbox),
        end_(std::move(end)),
        thread_([this] { run(); }) {}
  ~Watcher() {
    ::eventfd_write(end_.get(), 1);
    thread_.join();
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

 private:
  void run() {
    auto watch = config::FileWatch::open(options_.config_path);
    if (!watch.ok()) {
      log::warning("the configuration is not watched, so changes need a restart",
                   {{log::kError, watch.error().to_string()}});
    }
    replay_tombstones();
    for (;;) {
      std::array<pollfd, 3> entries = {{{end_.get(), POLLIN, 0},
                                        {options_.stop_fd, POLLIN, 0},
                                        {watch.ok() ? watch->poll_fd() : -1, POLLIN, 0}}};
      const int ready =
          ::poll(entries.data(), entries.size(),
                 static_cast<int>(std::chrono::ceil<milliseconds>(kTombstonesEvery).count()));
      if (entries[0].revents != 0) return;
      if (entries[1].revents != 0) {
        inbox_.send(Stop{});
        return;
      }
      if (ready == 0) replay_tombstones();
      if (entries[2].revents != 0) reload(*watch);
    }
  }

  void reload(config::FileWatch& watch) {
    // A file is written in several steps; half of one is not worth a complaint.
    std::this_thread::sleep_for(milliseconds(100));
    (void)watch.drain();
    auto loaded = config::load(options_.config_path);
    if (!loaded.ok()) {
      log::error("the changed configuration is not taken; the one before stays in force",
                 {{log::kError, loaded.error().to_string()}});
      return;
    }
    if (loaded->raw == loaded_.raw) return;
    loaded_ = *loaded;
    inbox_.send(ConfigFact{std::move(*loaded)});
  }

  // DELs that came while we were away. Each is forgotten once it is done.
  void replay_tombstones() {
    auto waiting = tombstones_.list();
    if (!waiting.ok()) {
      log::warning("tombstones cannot be read", {{log::kError, waiting.error().to_string()}});
      return;
    }
    for (const auto& tombstone : *waiting) {
      const auto reply = std::make_shared<Channel<Answer>>();
      if (!inbox_.send(DelCall{tombstone.key, reply, nullptr})) return;
      if (!reply->receive_for(seconds(15))) return;  // it stays for the next time
      log::info("removed what was deleted while terwayd was away",
                {{log::kContainer, tombstone.key.to_string()}});
      if (auto removed = tombstones_.remove(tombstone.key); !removed.ok()) {
        log::warning("tombstone stays", {{log::kError, removed.error().to_string()}});
      }
    }
  }

  const Options& options_;
  const rpc::Tombstones& tombstones_;
  config::Loaded loaded_;
  Inbox& inbox_;
  UniqueFd end_;
  std::thread thread_;
};

Result<journal::Journal::Opened> open_journal(const Options& options, const config::Config& config,
                                              Clock& clock) {
  const std::string boot_id = TRY_WITHIN("boot id", read_file(options.boot_id_path));
  auto opened = TRY(journal::Journal::open(
      {config.journal_path, std::string(trimmed(boot_id)), clock.now(), 10'000}));
  if (opened.set_aside) {
    log::error("the journal was damaged and is begun afresh from kernel and cloud",
               {{"set_aside", *opened.set_aside}});
  }
  if (opened.new_boot && !opened.fresh) log::info("the machine was rebooted: no pod is left");
  return opened;
}

// The journal is ours alone, so whoever still has the socket is a daemon that dies at this moment.
Result<std::unique_ptr<CliServer>> start_cli_server(const config::Config& config, Inbox& inbox,
                                                    Metrics& metrics, DatapathThread& datapath,
                                                    Clock& clock) {
  const Instant give_up = clock.now() + kSuccessionAtMost;
  for (;;) {
    auto server =
        CliServer::start(config.cli_socket, config.metrics_listen, inbox, metrics, datapath);
    if (server.ok() || server.is(Error::Kind::Invalid) || clock.now() >= give_up) return server;
    clock.sleep_for(milliseconds(20));
  }
}

// What the kernel has, and whether programs carry pods' packets: said once, at the start.
void tell_fast_path(const datapath::FastPathStatus& status) {
  std::string there, missing;
  for (const auto& feature : status.features.all) {
    std::string& list = feature.there ? there : missing;
    list += fmt::format("{}{}", list.empty() ? "" : " ", feature.name);
  }
  log::info("kernel", {{"release", status.features.kernel}, {"has", there}, {"lacks", missing}});
  if (status.on) {
    log::info("fast path on", {{"programs", status.reason}});
  } else if (status.mode == datapath::FastPathMode::Stack) {
    log::info("fast path off", {{"reason", status.reason}});
  } else {
    log::warning("fast path off: policy routing carries pods' packets",
                 {{"reason", status.reason}});
  }
}

// The agent thread. Returns once drained, or why it cannot go on.
Result<> serve(Node& node, Inbox& inbox, journal::Journal& journal, Clock& clock) {
  std::optional<Instant> wake_at = node.settle();
  std::optional<Instant> drain_until;
  const auto handle = [&](Event event) {
    if (std::holds_alternative<Stop>(event)) drain_until = clock.now() + kDrainAtMost;
    node.handle(std::move(event));
  };
  for (;;) {
    Duration wait = seconds(10);
    if (wake_at) wait = std::clamp(*wake_at - clock.now(), Duration::zero(), wait);
    auto event = inbox.receive_for(std::min(wait, kTidyAfter));
    if (!event && wait > kTidyAfter) {
      // Silence: what keeps the disk busy is begun now.
      if (auto tidied = journal.tidy(); !tidied.ok()) {
        log::warning("journal", {{log::kError, tidied.error().to_string()}});
      }
      event = inbox.receive_for(wait - kTidyAfter);
    }
    if (event) {
      handle(std::move(*event));
      inbox.take(kEventsAtOnce - 1, handle);
    }
    wake_at = node.settle();
    if (node.fatal()) drain_until = drain_until.value_or(clock.now() + kDrainAtMost);
    if (drain_until && (node.drained() || clock.now() >= *drain_until)) break;
  }
  if (node.fatal()) return *node.fatal();
  return Ok{};
}

}  // namespace

Result<> run(const Options& options, config::Loaded loaded, Clock& clock, Random& random) {
  const DaemonMode mode = TRY(daemon_mode_from(options.daemon_mode));
  const config::Config config = loaded.config;
  for (const auto& warning : loaded.warnings) log::warning("configuration", {{"message", warning}});
  auto opened = TRY(open_journal(options, config, clock));
  const auto contents = TRY(opened.journal->read());

  // Made first, so that it goes last: everybody sends to it until they are gone.
  Inbox inbox;
  Metrics metrics;
  const rpc::Tombstones tombstones(config.tombstone_directory);
  auto datapath = TRY(DatapathThread::start(datapath_settings(config, mode), inbox, clock));

  tell_fast_path(datapath->fast_path());
  if (datapath->fast_path().on && config.service_cidrs.empty()) {
    log::warning("Services are not known",
                 {{"message",
                   "service_cidr is not set: programs send what pods send to a Service "
                   "to the VPC, past a kube-proxy on this node; set it to the cluster's "
                   "Service CIDR"}});
  }

  Node::Names names;
  names.fast_path = in_short(datapath->fast_path());
  names.node = config.node_name.empty() ? host_name() : config.node_name;
  names.config_path = options.config_path;
  names.version = options.version;
  names.mode = mode;
  CloudThreads::Options cloud_options;
  cloud_options.config = config;
  cloud_options.node = names.node;
  cloud_options.log_file = opened.journal->log_file();
  for (const auto& fact : contents.facts) {
    if (fact.key != kIdentityFact) continue;
    cloud_options.identity = decode_identity(fact.value);
    cloud_options.identity_at = fact.at;
  }
  auto cloud =
      std::make_unique<CloudThreads>(std::move(cloud_options), inbox, metrics, clock, random);
  Node node({*opened.journal, *datapath, *cloud, clock, metrics}, names, loaded,
            Random(random.below(~0ULL)));
  node.start(opened, contents);

  Calls calls(inbox, tombstones, clock);
  auto plugin_server =
      TRY(rpc::PluginServer::start(config.plugin_socket, [&calls](rpc::PluginRequest request) {
        return calls.serve(std::move(request));
      }));
  auto cli_server = TRY(start_cli_server(config, inbox, metrics, *datapath, clock));
  UniqueFd end(::eventfd(0, EFD_CLOEXEC));
  if (!end) return Error::from_errno(errno, "eventfd");
  auto watcher =
      std::make_unique<Watcher>(options, tombstones, std::move(loaded), inbox, std::move(end));
  log::info("terwayd serves", {{"node", names.node},
                               {"plugin_socket", config.plugin_socket},
                               {"cli_socket", config.cli_socket},
                               {"journal", config.journal_path},
                               {"pods", contents.attachments.size()}});

  auto served = serve(node, inbox, *opened.journal, clock);
  // Nobody asks any more: who still waits is told, then the threads that answer can end.
  inbox.close();
  plugin_server.reset();
  cli_server.reset();
  watcher.reset();
  cloud.reset();
  datapath.reset();
  if (node.fatal()) {
    opened.journal.reset();
    const std::string aside = TRY(journal::Journal::set_aside(config.journal_path));
    return std::move(served).take_error().within(
        fmt::format("the journal was set aside as {}, start again", aside));
  }
  return served;
}

}  // namespace terway::agent
