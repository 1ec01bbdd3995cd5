// SPDX-License-Identifier: Apache-2.0
// Who may call the API: AccessKeys of the account, and temporary ones that the metadata service
// gives to an instance's RAM role.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"

namespace terway::vpcsim {

struct AccessKey {
  std::string id;
  std::string secret;
};

// What the metadata service answers under ram/security-credentials/ROLE.
struct StsCredential {
  std::string instance_id;
  AccessKey key;
  std::string security_token;
  WallTime issued{};
  WallTime expires{};
};

struct Identity {
  std::string secret;
  std::string instance_id;  // whose role it is; empty for an AccessKey of the account
};

// For one thread.
class Credentials {
 public:
  explicit Credentials(Random random) : random_(std::move(random)) {}

  void add(AccessKey key);

  // The role's current credential; a new one when half of the lifetime is over. Older ones stay
  // valid until they expire.
  const StsCredential& issue(const std::string& instance_id, const std::string& role,
                             Duration lifetime, WallTime now);

  // Who this is, with the secret that the request must be signed with; or the documented refusal:
  // unknown key, token missing, not this key's, or expired.
  Result<Identity> find(std::string_view access_key_id, std::string_view security_token,
                        WallTime now) const;

 private:
  std::string random_text(std::size_t length);

  Random random_;
  std::map<std::string, AccessKey, std::less<>> keys_;
  std::map<std::string, StsCredential, std::less<>> temporary_;  // by AccessKeyId
  std::map<std::string, std::string> current_;                   // instance → AccessKeyId
};

}  // namespace terway::vpcsim
