// SPDX-License-Identifier: Apache-2.0
// What a runtime is told when a call fails: SPEC 1.1.0, "Error".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cni/command.h"

namespace terway::cni {

struct Failure {
  std::string version;  // cniVersion of the input, or the newest one where there was none
  Code code = Code::Internal;
  std::string message;  // short: what did not happen
  std::string details;  // why, and what happens next

  bool operator==(const Failure&) const = default;
};

// The one table from kinds of errors to CNI codes. CHECK of what is not there is UnknownContainer,
// any failure of STATUS is NotAvailable.
Code code_of(Command command, Error::Kind kind);

// The error of a layer ("ipam", "cloud", "datapath") as the runtime and `kubectl describe pod` show
// it: the foreign system's code and request id are part of it, and when the daemon tries again,
// where it does.
Failure failure_from(Command command, std::string_view version, std::string_view layer,
                     const Error& error, std::optional<Duration> retry_in = std::nullopt);

std::string to_json(const Failure& failure);

}  // namespace terway::cni
