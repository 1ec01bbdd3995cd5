// SPDX-License-Identifier: Apache-2.0
#include "cni/version.h"

#include <array>

namespace terway::cni {

namespace {

constexpr std::array<std::string_view, 5> kTexts = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

}  // namespace

std::string_view to_string(Version version) { return kTexts.at(static_cast<std::size_t>(version)); }

std::optional<Version> version_from(std::string_view text) {
  for (std::size_t i = 0; i < kTexts.size(); ++i) {
    if (kTexts[i] == text) return static_cast<Version>(i);
  }
  return std::nullopt;
}

bool has(Version version, Command command) {
  switch (command) {
    case Command::Check:
      return version >= Version::V040;
    case Command::Gc:
    case Command::Status:
      return version >= Version::V110;
    case Command::Add:
    case Command::Del:
    case Command::Version:
      return true;
  }
  return false;
}

}  // namespace terway::cni
