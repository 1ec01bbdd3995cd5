// SPDX-License-Identifier: Apache-2.0
#include "cli/account.h"

#include <utility>

namespace terway::cli {
namespace {

cloud::MetadataSettings metadata_settings(const config::Config& config) {
  cloud::MetadataSettings settings;
  if (!config.metadata_endpoint.empty()) settings.url = config.metadata_endpoint;
  return settings;
}

cloud::CredentialSettings credential_settings(const config::Config& config) {
  cloud::CredentialSettings settings;
  settings.access_key = config.access_key;
  settings.access_secret = config.access_secret;
  settings.credential_path = config.credential_path;
  settings.metadata = metadata_settings(config);
  return settings;
}

cloud::ClientSettings client_settings(const config::Config& config, const std::string& region) {
  auto settings =
      cloud::ClientSettings::of_region(region, config.ecs_endpoint, config.vpc_endpoint);
  settings.ca_path = config.ca_file;
  return settings;
}

}  // namespace

Result<std::unique_ptr<Account>> Account::open(const std::string& config_path, Clock& clock) {
  const config::Loaded loaded = TRY(config::load(config_path));
  cloud::MetadataClient metadata(metadata_settings(loaded.config), clock);
  const std::string region = TRY_WITHIN("the region of this instance", metadata.region_id());
  return std::unique_ptr<Account>(new Account(loaded.config, std::move(metadata), region, clock));
}

Account::Account(const config::Config& config, cloud::MetadataClient metadata,
                 const std::string& region_id, Clock& clock)
    : clock_(clock),
      metadata_(std::move(metadata)),
      credentials_(cloud::make_credentials(credential_settings(config), clock)),
      limiter_(clock),
      client_(client_settings(config, region_id), *credentials_, limiter_, clock,
              Random::from_system()) {}

}  // namespace terway::cli
