// SPDX-License-Identifier: Apache-2.0
#include "cloud/credentials.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"

namespace terway::cloud {
namespace {

constexpr Duration kShortestInterval = std::chrono::seconds(10);
constexpr Duration kFileAge = std::chrono::minutes(30);
constexpr Duration kKeyFileAge = std::chrono::minutes(1);

}  // namespace

RefreshedCredentials::RefreshedCredentials(Fetch fetch, Clock& clock, Duration max_age)
    : fetch_(std::move(fetch)), clock_(clock), max_age_(max_age) {}

bool RefreshedCredentials::usable(const Kept& kept) const {
  return !kept.credentials.expires || clock_.wall() < *kept.credentials.expires;
}

Instant RefreshedCredentials::freshness(const Credentials& credentials) const {
  Duration fresh = max_age_;
  if (credentials.expires) {
    fresh = std::min<Duration>(fresh, (*credentials.expires - clock_.wall()) / 4 * 3);
  }
  return clock_.now() + fresh;
}

Result<Credentials> RefreshedCredentials::current() {
  std::unique_lock fetching(fetching_, std::defer_lock);
  {
    const std::lock_guard lock(state_);
    const bool have = kept_ && usable(*kept_);
    const bool due = !kept_ || clock_.now() >= kept_->fresh_until;
    if (have && (!due || clock_.now() < next_attempt_)) return kept_->credentials;
    // Somebody else fetches already.
    if (have && !fetching.try_lock()) return kept_->credentials;
  }
  if (!fetching.owns_lock()) {
    fetching.lock();
    const std::lock_guard lock(state_);
    // Whoever was waited for has brought some.
    if (kept_ && usable(*kept_) && clock_.now() < kept_->fresh_until) return kept_->credentials;
  }
  auto fetched = fetch_();
  const std::lock_guard lock(state_);
  next_attempt_ = clock_.now() + kShortestInterval;
  if (fetched.ok()) {
    Kept fresh{std::move(fetched).value(), {}};
    if (usable(fresh)) {
      fresh.fresh_until = freshness(fresh.credentials);
      kept_ = std::move(fresh);
      return kept_->credentials;
    }
    fetched = Error(Error::Kind::Unavailable, "the credentials that were fetched have expired");
  }
  if (kept_ && usable(*kept_)) return kept_->credentials;
  return fetched.take_error().within("credentials");
}

void RefreshedCredentials::refused(const Credentials& credentials) {
  const std::lock_guard lock(state_);
  // Those of a slow caller may have been replaced already.
  if (kept_ && kept_->credentials.access_key_id == credentials.access_key_id &&
      kept_->credentials.security_token == credentials.security_token) {
    kept_->fresh_until = clock_.now();
  }
}

RefreshedCredentials::Fetch from_ram_role(const MetadataSettings& settings, Clock& clock,
                                          std::string role) {
  // Shared only because std::function must be copyable; the source lets one thread in at a time.
  auto metadata = std::make_shared<MetadataClient>(settings, clock);
  return [metadata, role = std::move(role)]() -> Result<Credentials> {
    const std::string name = role.empty() ? TRY(metadata->ram_role()) : role;
    const std::string text = TRY(metadata->ram_credentials(name));
    return TRY_WITHIN("RAM role " + name, parse_role_credentials(text));
  };
}

RefreshedCredentials::Fetch from_directory(std::string directory) {
  return [directory = std::move(directory)]() -> Result<Credentials> {
    const std::filesystem::path base(directory);
    Credentials credentials;
    credentials.access_key_id = trimmed(TRY(read_file(base / "access-key-id")));
    credentials.access_key_secret = trimmed(TRY(read_file(base / "access-key-secret")));
    if (credentials.access_key_id.empty() || credentials.access_key_secret.empty()) {
      return Error(Error::Kind::Invalid,
                   fmt::format("{}: access-key-id or access-key-secret is empty", directory));
    }
    return credentials;
  };
}

RefreshedCredentials::Fetch from_encrypted_file(std::string path) {
  return [path = std::move(path)]() -> Result<Credentials> {
    const std::string text = TRY(read_file(path));
    return TRY_WITHIN(path, parse_encrypted_credentials(text));
  };
}

std::unique_ptr<CredentialsSource> make_credentials(const CredentialSettings& settings,
                                                    Clock& clock) {
  std::error_code ignored;
  const std::filesystem::path directory(settings.secret_directory);
  if (!directory.empty() && std::filesystem::exists(directory / "access-key-id", ignored)) {
    return std::make_unique<RefreshedCredentials>(from_directory(settings.secret_directory), clock,
                                                  kKeyFileAge);
  }
  if (!settings.access_key.empty()) {
    return std::make_unique<FixedCredentials>(
        Credentials{settings.access_key, settings.access_secret, "", std::nullopt});
  }
  auto role = from_ram_role(settings.metadata, clock);
  if (settings.credential_path.empty()) {
    return std::make_unique<RefreshedCredentials>(std::move(role), clock, kFileAge);
  }
  // The file may appear after the start, and its path is configured also where there is none.
  auto fetch = [file = from_encrypted_file(settings.credential_path),
                role = std::move(role)]() -> Result<Credentials> {
    auto credentials = file();
    return credentials.is(Error::Kind::NotFound) ? role() : std::move(credentials);
  };
  return std::make_unique<RefreshedCredentials>(std::move(fetch), clock, kFileAge);
}

}  // namespace terway::cloud
