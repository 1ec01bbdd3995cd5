// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/idempotency.h"

#include "vpcsim/api_error.h"

namespace terway::vpcsim {

namespace {

constexpr Duration kKept = std::chrono::hours(24);

}  // namespace

Result<std::optional<std::string>> ClientTokens::find(const std::string& token,
                                                      const std::string& parameters, Instant now) {
  const auto found = entries_.find(token);
  if (found == entries_.end() || found->second.expires <= now) {
    return std::optional<std::string>();
  }
  if (found->second.parameters != parameters) return api_error("IdempotentParameterMismatch");
  return std::optional<std::string>(found->second.answer);
}

void ClientTokens::remember(const std::string& token, std::string parameters, std::string answer,
                            Instant now) {
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.expires <= now; });
  entries_.insert_or_assign(token, Entry{std::move(parameters), std::move(answer), now + kKept});
}

}  // namespace terway::vpcsim
