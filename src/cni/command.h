// SPDX-License-Identifier: Apache-2.0
// The verbs of the CNI specification, and the largest inputs that we take. Needs no C++ library,
// for the plugin has none.
#pragma once

#include <stdint.h>

namespace terway::cni {

// The numbers are those of the plugin's protocol (rpc/frame.h): never change one.
enum class Command : uint8_t {
  Add = 1,
  Del = 2,
  Check = 3,
  Gc = 4,
  Status = 5,
  Version = 6,  // answered by the plugin itself, never sent
};

// The word in CNI_COMMAND.
constexpr const char* to_word(Command command) {
  switch (command) {
    case Command::Add:
      return "ADD";
    case Command::Del:
      return "DEL";
    case Command::Check:
      return "CHECK";
    case Command::Gc:
      return "GC";
    case Command::Status:
      return "STATUS";
    case Command::Version:
      return "VERSION";
  }
  return "";
}

// CNI error codes: SPEC 1.1.0, "Error". 0 to 99 are the specification's.
enum class Code : uint32_t {
  IncompatibleVersion = 1,
  UnsupportedField = 2,
  UnknownContainer = 3,
  InvalidEnvironment = 4,
  IoFailure = 5,
  DecodingFailure = 6,
  InvalidConfig = 7,
  TryAgainLater = 11,
  NotAvailable = 50,  // STATUS: cannot serve ADD
  Internal = 999,     // ours, as the reference library uses it
};

// The newest first, as VERSION prints them.
#define TERWAY_CNI_VERSIONS "\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\""
inline constexpr char kNewestVersion[] = "1.1.0";

}  // namespace terway::cni
