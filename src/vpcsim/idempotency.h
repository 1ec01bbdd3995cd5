// SPDX-License-Identifier: Apache-2.0
// ClientTokens: the same token with the same parameters gets the same answer and does nothing
// twice.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace terway::vpcsim {

// Remembers what succeeded for 24 hours ("How to ensure idempotence" of the ECS documentation). A
// request that failed leaves its token unused. For one thread.
class ClientTokens {
 public:
  // The answer given before; nullopt: the token is new. An api_error() when other parameters came
  // with it (IdempotentParameterMismatch).
  Result<std::optional<std::string>> find(const std::string& token, const std::string& parameters,
                                          Instant now);
  void remember(const std::string& token, std::string parameters, std::string answer, Instant now);

 private:
  struct Entry {
    std::string parameters;
    std::string answer;
    Instant expires;
  };
  std::map<std::string, Entry> entries_;
};

}  // namespace terway::vpcsim
