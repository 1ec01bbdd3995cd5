// SPDX-License-Identifier: Apache-2.0
#include "cloud/error_codes.h"

#include <array>

namespace terway::cloud {
namespace {

using Kind = Error::Kind;

struct Row {
  std::string_view code;  // one ending in "*" stands for all that begin so; the first row fits
  CodeMeaning meaning;
};

constexpr CodeMeaning terminal(Kind kind) { return {Meaning::Terminal, kind, Shortage::None}; }
constexpr CodeMeaning already() { return {Meaning::AlreadySo, Kind::NotFound, Shortage::None}; }
constexpr CodeMeaning exhausted(Shortage what) {
  return {Meaning::Exhausted, Kind::Exhausted, what};
}
constexpr CodeMeaning kThrottled = {Meaning::Throttled, Kind::Throttled, Shortage::None};
constexpr CodeMeaning kRetryable = {Meaning::Retryable, Kind::Unavailable, Shortage::None};

// Sources: the error tables of the vendor's pages of each action that the client calls, and the
// common errors of the OpenAPI gateway.
constexpr std::array kRows = {
    // Asked too fast. "Throttling" alone and with a scope: Throttling.User, Throttling.Api.
    Row{"Throttling*", kThrottled},
    Row{"FlowControl*", kThrottled},

    // Of what is to be undone.
    Row{"InvalidEniId.NotFound", already()},
    Row{"InvalidEcsId.NotFound", already()},
    Row{"InvalidInstanceId.NotFound", already()},
    Row{"InvalidIp.IpUnassigned", already()},

    // No more of something.
    Row{"InvalidVSwitchId.IpNotEnough", exhausted(Shortage::VSwitch)},
    Row{"QuotaExceeded.PrivateIpAddress", exhausted(Shortage::VSwitch)},
    Row{"EniPerInstanceLimitExceeded", exhausted(Shortage::EnisOfInstance)},
    Row{"InvalidOperation.Ipv4CountExceeded", exhausted(Shortage::AddressesOfEni)},
    Row{"InvalidOperation.Ipv6CountExceeded", exhausted(Shortage::AddressesOfEni)},
    Row{"InvalidOperation.Ipv4PrefixCountExceeded", exhausted(Shortage::AddressesOfEni)},
    Row{"InvalidOperation.Ipv6PrefixCountExceeded", exhausted(Shortage::AddressesOfEni)},
    Row{"MaxEniCountExceeded", exhausted(Shortage::Quota)},
    Row{"MaxEniIpCountExceeded", exhausted(Shortage::AddressesOfEni)},
    Row{"SecurityGroupInstanceLimitExceed", exhausted(Shortage::Quota)},
    Row{"QuotaExceed*", exhausted(Shortage::Quota)},

    // Wait and ask again.
    Row{"InternalError*", kRetryable},
    Row{"ServiceUnavailable*", kRetryable},
    Row{"UnknownError", kRetryable},
    Row{"Operation.Conflict", kRetryable},
    Row{"OperationConflict*", kRetryable},
    Row{"LastTokenProcessing", kRetryable},
    Row{"IdempotentProcessing", kRetryable},
    Row{"InvalidOperation.Conflict", kRetryable},
    // The ENI or the instance is between two states: attaching, starting.
    Row{"InvalidOperation.InvalidEniState", kRetryable},
    Row{"InvalidOperation.InvalidEcsState", kRetryable},
    Row{"IncorrectInstanceStatus", kRetryable},
    Row{"IncorrectVSwitchStatus", kRetryable},

    // The token was used with other parameters; the request itself may be good with a fresh one.
    Row{"IdempotentFailed", terminal(Kind::Invalid)},
    Row{"IdempotentParameterMismatch", terminal(Kind::Invalid)},

    // Credentials and permissions.
    Row{"Forbidden*", terminal(Kind::Denied)},
    Row{"NoPermission*", terminal(Kind::Denied)},
    Row{"Unauthorized*", terminal(Kind::Denied)},
    Row{"InvalidAccessKeyId*", terminal(Kind::Denied)},
    Row{"InvalidSecurityToken*", terminal(Kind::Denied)},
    Row{"MissingSecurityToken", terminal(Kind::Denied)},
    Row{"SignatureDoesNotMatch", terminal(Kind::Denied)},
    Row{"IncompleteSignature", terminal(Kind::Denied)},
    Row{"SignatureNonceUsed", kRetryable},  // the next attempt draws another nonce
    Row{"InvalidTimeStamp*", terminal(Kind::Denied)},
    Row{"IllegalTimestamp", terminal(Kind::Denied)},
    Row{"InvalidUserType.NotSupported", terminal(Kind::Denied)},
    Row{"Abs.InvalidAccount.NotFound", terminal(Kind::Denied)},

    // Named things that are not there, or there already.
    Row{"InvalidVSwitchId.NotFound", terminal(Kind::NotFound)},
    Row{"InvalidVpcId.NotFound", terminal(Kind::NotFound)},
    Row{"InvalidSecurityGroupId.NotFound", terminal(Kind::NotFound)},
    Row{"InvalidRegionId.NotFound", terminal(Kind::NotFound)},
    Row{"InvalidInstanceType*", terminal(Kind::NotFound)},
    Row{"InvalidIp.IpAssigned", terminal(Kind::Exists)},
    Row{"InvalidPrivateIpAddress.Duplicated", terminal(Kind::Exists)},
};

bool fits(std::string_view pattern, std::string_view code) {
  if (!pattern.ends_with('*')) return pattern == code;
  return code.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

CodeMeaning meaning_of(std::string_view code, int http_status) {
  for (const Row& row : kRows) {
    if (fits(row.code, code)) return row.meaning;
  }
  if (http_status == 429) return kThrottled;
  if (http_status >= 500) return kRetryable;
  if (http_status == 404) return terminal(Kind::NotFound);
  return terminal(Kind::Invalid);
}

Shortage shortage_of(const Error& error) {
  return error.code().empty() ? Shortage::None : meaning_of(error.code(), 0).shortage;
}

bool already_so(const Error& error) {
  return !error.code().empty() && meaning_of(error.code(), 0).meaning == Meaning::AlreadySo;
}

bool token_spent(const Error& error) {
  return error.code() == "IdempotentFailed" || error.code() == "IdempotentParameterMismatch";
}

bool worth_retrying(const Error& error) {
  return error.kind() == Kind::Throttled || error.kind() == Kind::Unavailable;
}

}  // namespace terway::cloud
