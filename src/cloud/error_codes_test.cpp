// SPDX-License-Identifier: Apache-2.0
#include "cloud/error_codes.h"

#include <doctest/doctest.h>

using namespace terway;
using namespace terway::cloud;

namespace {
Error error_with(std::string code) {
  return Error(Error::Kind::Invalid, "x").with_code(std::move(code), "id");
}
}  // namespace

TEST_CASE("throttling in every spelling is throttling") {
  for (const char* code : {"Throttling", "Throttling.User", "Throttling.Api", "FlowControl"}) {
    CHECK(meaning_of(code, 400).kind == Error::Kind::Throttled);
  }
  CHECK(meaning_of("NeverHeardOf", 429).kind == Error::Kind::Throttled);
}

TEST_CASE("limits are exhausted, not retried, and say of what there is no more") {
  const auto shortage = [](const char* code) { return shortage_of(error_with(code)); };
  CHECK(shortage("InvalidVSwitchId.IpNotEnough") == Shortage::VSwitch);
  CHECK(shortage("EniPerInstanceLimitExceeded") == Shortage::EnisOfInstance);
  CHECK(shortage("InvalidOperation.Ipv4CountExceeded") == Shortage::AddressesOfEni);
  CHECK(shortage("InvalidOperation.Ipv6CountExceeded") == Shortage::AddressesOfEni);
  CHECK(shortage("QuotaExceeded.PrivateIpAddress") == Shortage::VSwitch);
  CHECK(shortage("QuotaExceeded.Eni") == Shortage::Quota);
  CHECK(shortage("InvalidVSwitchId.NotFound") == Shortage::None);
  CHECK(meaning_of("InvalidVSwitchId.IpNotEnough", 403).kind == Error::Kind::Exhausted);
}

TEST_CASE("what is not there any more needs no undoing") {
  for (const char* code :
       {"InvalidEniId.NotFound", "InvalidEcsId.NotFound", "InvalidIp.IpUnassigned"}) {
    CHECK(already_so(error_with(code)));
    CHECK(meaning_of(code, 404).kind == Error::Kind::NotFound);
  }
  CHECK(!already_so(error_with("InvalidVSwitchId.NotFound")));
  CHECK(!already_so(Error(Error::Kind::NotFound, "no code")));
}

TEST_CASE("conflicts and the cloud's own troubles are worth another attempt, mistakes are not") {
  const auto retry = [](const char* code, int status) {
    return worth_retrying(Error(meaning_of(code, status).kind, "x"));
  };
  CHECK(retry("InternalError", 500));
  CHECK(retry("ServiceUnavailable", 503));
  CHECK(retry("Operation.Conflict", 403));
  CHECK(retry("NeverHeardOf", 502));
  CHECK(retry("Throttling.User", 400));
  CHECK(!retry("InvalidParameter", 400));
  CHECK(!retry("Forbidden.RAM", 403));
  CHECK(!retry("EniPerInstanceLimitExceeded", 403));
  CHECK(!retry("IdempotentFailed", 400));
  CHECK(token_spent(error_with("IdempotentFailed")));
  CHECK(meaning_of("Forbidden.RAM", 403).kind == Error::Kind::Denied);
  CHECK(meaning_of("InvalidAccessKeyId.NotFound", 404).kind == Error::Kind::Denied);
}
