// SPDX-License-Identifier: Apache-2.0
// The cloud account that the node's configuration names, for verbs that ask the cloud itself and
// work without a daemon.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cloud/client.h"
#include "cloud/credentials.h"
#include "cloud/metadata.h"
#include "cloud/rate_limit.h"
#include "config/config.h"

namespace terway::cli {

class Account {
 public:
  // Reads the configuration file; the region comes from the metadata service.
  static Result<std::unique_ptr<Account>> open(const std::string& config_path, Clock& clock);
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

  cloud::Client& client() { return client_; }
  cloud::MetadataClient& metadata() { return metadata_; }
  Clock& clock() { return clock_; }

 private:
  Account(const config::Config& config, cloud::MetadataClient metadata,
          const std::string& region_id, Clock& clock);

  Clock& clock_;
  cloud::MetadataClient metadata_;
  std::unique_ptr<cloud::CredentialsSource> credentials_;
  cloud::RateLimiter limiter_;
  cloud::Client client_;
};

}  // namespace terway::cli
