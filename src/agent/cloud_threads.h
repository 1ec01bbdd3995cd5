// SPDX-License-Identifier: Apache-2.0
// The threads that talk to the cloud: workers, each doing one attempt of one operation at a time,
// and a poller that learns what this instance is and what it has.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/events.h"
#include "agent/metrics.h"
#include "agent/poller.h"
#include "base/clock.h"
#include "base/random.h"
#include "cloud/client.h"
#include "cloud/credentials.h"
#include "cloud/metadata.h"
#include "cloud/rate_limit.h"
#include "journal/journal.h"

namespace terway::agent {

// What an operation needs to know beside itself: a snapshot, so that threads share nothing that
// changes.
struct CloudContext {
  config::Config config;
  Identity identity;
  std::vector<std::string> security_groups;
  std::string node;
  std::shared_ptr<cloud::RateLimiter> limiter;
};
using CloudContextRef = std::shared_ptr<const CloudContext>;

// One attempt. Pure but for the client.
ipam::Outcome carry_out(cloud::Client& client, const CloudContext& context,
                        const ipam::Operation& operation);

class CloudThreads final : public Cloud {
 public:
  struct Options {
    config::Config config;
    std::string node;
    // As the journal remembers it, and since when.
    std::optional<Identity> identity;
    WallTime identity_at{};
    std::shared_ptr<const journal::LogFile> log_file;
  };
  // References must outlive it. The threads end with the calls that they are in.
  CloudThreads(Options options, Inbox& inbox, Metrics& metrics, Clock& clock, Random& random);
  ~CloudThreads() override;

  void start(const ipam::Operation& operation) override;
  void list_soon() override;
  void configure(const config::Config& config) override;
  void identified(const Identity& identity, const std::vector<std::string>& groups) override;

 private:
  struct Job {
    ipam::Operation operation;
    CloudContextRef context;
  };

  void work(Random random);
  void publish(CloudContext context);

  const Options options_;
  Inbox& inbox_;
  Metrics& metrics_;
  Clock& clock_;
  std::unique_ptr<cloud::CredentialsSource> credentials_;
  CloudContextRef context_;  // of the agent thread
  Channel<Job> jobs_;
  Channel<PollOrder> poll_orders_;
  std::vector<std::thread> threads_;
};

}  // namespace terway::agent
