// SPDX-License-Identifier: Apache-2.0
// Who we are to the OpenAPI, and where that comes from.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cloud/metadata.h"

namespace terway::cloud {

struct Credentials {
  std::string access_key_id;
  std::string access_key_secret;
  std::string security_token;       // STS only
  std::optional<WallTime> expires;  // empty: never
};

// Shared by all clients; any thread.
class CredentialsSource {
 public:
  virtual ~CredentialsSource() = default;
  // Valid at this moment. Errors of the place that they come from.
  virtual Result<Credentials> current() = 0;
  // The cloud refused these: fetch others at the next occasion, if they change at all.
  virtual void refused(const Credentials& credentials) = 0;
};

class FixedCredentials final : public CredentialsSource {
 public:
  explicit FixedCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  Result<Credentials> current() override { return credentials_; }
  void refused(const Credentials&) override {}

 private:
  const Credentials credentials_;
};

// Keeps what `fetch` answered, and fetches again when a quarter of its life is left, at `max_age`,
// or after a refusal; never twice within 10 s. While fetching fails, the old ones are used until
// they expire. One thread fetches at a time; others go on with the old ones meanwhile.
class RefreshedCredentials final : public CredentialsSource {
 public:
  using Fetch = std::function<Result<Credentials>()>;
  // The clock must outlive the source.
  RefreshedCredentials(Fetch fetch, Clock& clock, Duration max_age);

  Result<Credentials> current() override;
  void refused(const Credentials& credentials) override;

 private:
  struct Kept {
    Credentials credentials;
    Instant fresh_until{};
  };
  bool usable(const Kept& kept) const;
  Instant freshness(const Credentials& credentials) const;

  const Fetch fetch_;
  Clock& clock_;
  const Duration max_age_;
  std::mutex fetching_;  // held while fetch_ runs; taken before state_
  std::mutex state_;     // guards what follows
  std::optional<Kept> kept_;
  Instant next_attempt_{};
};

// Where to look, in this order (as upstream does): the files of `secret_directory` when they are
// there, the key given here, the encrypted file when it is there, the instance's RAM role.
struct CredentialSettings {
  std::string access_key;
  std::string access_secret;
  std::string secret_directory = "/var/alibaba-addon-secret";
  std::string credential_path;
  MetadataSettings metadata;
};
std::unique_ptr<CredentialsSource> make_credentials(const CredentialSettings& settings,
                                                    Clock& clock);

// The instance's RAM role through the metadata service. With an empty `role` the service is asked.
RefreshedCredentials::Fetch from_ram_role(const MetadataSettings& settings, Clock& clock,
                                          std::string role = "");
// Files access-key-id and access-key-secret of one directory.
RefreshedCredentials::Fetch from_directory(std::string directory);
// The file that the vendor's add-on manager writes; see parse_encrypted_credentials().
RefreshedCredentials::Fetch from_encrypted_file(std::string path);

// The reply of ram/security-credentials/ROLE.
Result<Credentials> parse_role_credentials(std::string_view json);
// JSON with access.key.id, access.key.secret, security.token (each Base64 of a 16-byte IV and
// AES-CBC with PKCS#7 padding), expiration, and the key itself as keyring (16, 24 or 32 bytes).
Result<Credentials> parse_encrypted_credentials(std::string_view json);

}  // namespace terway::cloud
