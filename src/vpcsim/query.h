// SPDX-License-Identifier: Apache-2.0
// The parameters of an RPC-style call by name: checked, typed, repeated ("Name.1", "Name.2").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/message.h"
#include "model/eni.h"
#include "net/address.h"

namespace terway::vpcsim {

// Refusals are api_error()s that name the parameter.
class Query {
 public:
  explicit Query(const http::Parameters& parameters) : parameters_(parameters) {}

  bool has(std::string_view name) const;
  // Empty when it is not there.
  std::string text(std::string_view name) const;
  Result<std::string> required(std::string_view name) const;
  Result<std::optional<std::uint32_t>> number(std::string_view name, std::uint32_t lowest,
                                              std::uint32_t highest) const;
  // As number(), but one beyond the range is pulled into it.
  std::uint32_t clamped(std::string_view name, std::uint32_t fallback, std::uint32_t lowest,
                        std::uint32_t highest) const;
  Result<std::optional<bool>> boolean(std::string_view name) const;
  // Name.1, Name.2, … up to the first that is missing.
  std::vector<std::string> list(std::string_view name) const;
  Result<std::vector<net::IpAddress>> addresses(std::string_view name, net::Family family,
                                                std::size_t most) const;
  // Tag.N.Key, Tag.N.Value.
  Result<model::Tags> tags() const;

 private:
  const http::Parameters& parameters_;
};

}  // namespace terway::vpcsim
