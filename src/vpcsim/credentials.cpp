// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/credentials.h"

#include "vpcsim/api_error.h"

namespace terway::vpcsim {

void Credentials::add(AccessKey key) {
  std::string id = key.id;
  keys_.insert_or_assign(std::move(id), std::move(key));
}

std::string Credentials::random_text(std::size_t length) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string text;
  while (text.size() < length) text += kAlphabet[random_.below(kAlphabet.size())];
  return text;
}

const StsCredential& Credentials::issue(const std::string& instance_id, const std::string& role,
                                        Duration lifetime, WallTime now) {
  const std::string owner = instance_id + "/" + role;
  if (const auto current = temporary_.find(current_[owner]); current != temporary_.end()) {
    const StsCredential& credential = current->second;
    const Duration half = (credential.expires - credential.issued) / 2;
    // A shorter lifetime, set since, counts at once.
    if (now < credential.issued + half && credential.expires <= now + lifetime) return credential;
  }
  const Duration kept = std::chrono::hours(24);
  std::erase_if(temporary_, [&](const auto& entry) { return entry.second.expires + kept < now; });
  StsCredential credential;
  credential.instance_id = instance_id;
  credential.key = {"STS." + random_text(25), random_text(44)};
  credential.security_token = "CAIS" + random_text(256);
  credential.issued = now;
  credential.expires = now + lifetime;
  current_[owner] = credential.key.id;
  std::string id = credential.key.id;
  return temporary_.insert_or_assign(std::move(id), std::move(credential)).first->second;
}

Result<Identity> Credentials::find(std::string_view access_key_id, std::string_view security_token,
                                   WallTime now) const {
  if (const auto key = keys_.find(access_key_id); key != keys_.end()) {
    if (!security_token.empty()) {
      return api_error("InvalidSecurityToken.MismatchWithAccessKey");
    }
    return Identity{key->second.secret, {}};
  }
  const auto credential = temporary_.find(access_key_id);
  if (credential == temporary_.end()) return api_error("InvalidAccessKeyId.NotFound");
  if (security_token.empty()) return api_error("MissingSecurityToken");
  if (credential->second.security_token != security_token) {
    return api_error("InvalidSecurityToken.MismatchWithAccessKey");
  }
  if (credential->second.expires <= now) return api_error("InvalidSecurityToken.Expired");
  return Identity{credential->second.key.secret, credential->second.instance_id};
}

}  // namespace terway::vpcsim
