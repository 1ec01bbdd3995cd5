// SPDX-License-Identifier: Apache-2.0
// What an error code of the ECS and VPC OpenAPI means to us: the one table.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"

namespace terway::cloud {

enum class Meaning : std::uint8_t {
  Terminal,   // the same request will fail again
  Throttled,  // asked too fast
  Retryable,  // the cloud cannot now, or another operation is under way
  AlreadySo,  // what is to be undone is not there any more
  Exhausted,  // a limit is reached; not to be retried in a loop
};

// Of what there is no more. The caller chooses another vSwitch, another ENI, or gives up.
enum class Shortage : std::uint8_t {
  None,
  VSwitch,         // the vSwitch has no free address
  EnisOfInstance,  // the instance carries as many ENIs as its type allows
  AddressesOfEni,  // the ENI carries as many addresses as the instance type allows
  Quota,           // of the account, the region, a security group
};

struct CodeMeaning {
  Meaning meaning = Meaning::Terminal;
  Error::Kind kind = Error::Kind::Invalid;
  Shortage shortage = Shortage::None;
};

// `http_status` decides where the code is unknown (5xx and 429 are temporary).
CodeMeaning meaning_of(std::string_view code, int http_status);

// Of an Error that came from cloud::Client.
Shortage shortage_of(const Error& error);
// "Nothing to undo": the object of a detach, delete or unassign is not there.
bool already_so(const Error& error);
// The client token has been used for another request: retry with a fresh one.
bool token_spent(const Error& error);
// The classification of an Error from cloud::Client that the caller's retry loop needs.
bool worth_retrying(const Error& error);

}  // namespace terway::cloud
