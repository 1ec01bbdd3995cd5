// SPDX-License-Identifier: Apache-2.0
// Learns what this instance is and may have, and goes on looking at which ENIs and addresses it
// has: at the metadata service often, by the API seldom or when asked to.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/events.h"
#include "agent/metrics.h"
#include "base/clock.h"
#include "base/random.h"
#include "cloud/client.h"
#include "cloud/metadata.h"
#include "cloud/rate_limit.h"

namespace terway::agent {

struct PollSettings {
  config::Config config;
  std::shared_ptr<cloud::RateLimiter> limiter;
};
struct PollOrder {
  bool list = false;
  std::optional<PollSettings> settings;
};

// The endpoints and the observer are all that clients of one daemon have in common.
cloud::ClientSettings client_settings(const config::Config& config, const std::string& region,
                                      cloud::Observer observer);
cloud::MetadataSettings metadata_settings(const config::Config& config, Metrics& metrics);

// Lives in one thread.
class Poller {
 public:
  struct Parts {
    config::Config config;
    std::optional<Identity> remembered;  // by the journal …
    WallTime remembered_at{};            // … since then
    cloud::CredentialsSource& credentials;
    std::shared_ptr<cloud::RateLimiter> limiter;
    Inbox& inbox;
    Metrics& metrics;
    Clock& clock;
    Channel<PollOrder>& orders;
  };
  Poller(Parts parts, Random random);

  // Until `orders` is closed.
  void run();

 private:
  Result<> identify();
  Result<Identity> ask_metadata();
  Result<bool> complete(Identity& identity);  // true: the limits were asked of the API
  Result<> list_by_api();
  Result<> list_by_metadata();
  Result<> learn_vswitches(const std::vector<std::string>& ids);
  cloud::Client& client();
  // False at the end. Takes the orders that came.
  bool pause(Duration at_most);

  Parts parts_;
  Random random_;
  cloud::MetadataClient metadata_;
  std::optional<cloud::Client> client_;
  Identity identity_;
  std::set<std::string> known_vswitches_;
  bool list_now_ = false;
};

}  // namespace terway::agent
