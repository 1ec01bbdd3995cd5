// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>

using namespace terway;

namespace {

Result<int> parse(const std::string& text) {
  if (text.empty()) return Error(Error::Kind::Invalid, "empty").with_code("Code", "Request-1");
  return static_cast<int>(text.size());
}

Result<std::string> twice(const std::string& text, int* reached) {
  const int length = TRY_WITHIN("length", parse(text));
  ++*reached;
  return text + text + std::to_string(length);
}

Result<> outer(const std::string& text, int* reached) {
  TRY_WITHIN("twice", twice(text, reached));
  return Ok{};
}

Result<std::unique_ptr<int>> moves() { return std::make_unique<int>(7); }

Result<int> takes_what_moves() {
  const std::unique_ptr<int> owned = TRY(moves());
  return *owned;
}

}  // namespace

TEST_CASE("TRY gives the value, or returns the error from where it stands") {
  int reached = 0;
  const auto good = twice("ab", &reached);
  REQUIRE(good.ok());
  CHECK(*good == "abab2");
  CHECK(reached == 1);
  const auto bad = twice("", &reached);
  REQUIRE_FALSE(bad.ok());
  CHECK(reached == 1);
  CHECK(takes_what_moves().value() == 7);
}

TEST_CASE("an error's message grows outward; kind, code and request stay what they were") {
  int reached = 0;
  const auto failed = outer("", &reached);
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().message() == "twice: length: empty");
  CHECK(failed.is(Error::Kind::Invalid));
  CHECK_FALSE(failed.is(Error::Kind::Internal));
  CHECK(failed.error().code() == "Code");
  CHECK(failed.error().to_string() == "twice: length: empty (code Code, request Request-1)");
  CHECK(Error(Error::Kind::Internal, "x").with_code("C", "").to_string() == "x (code C)");
  CHECK(Error(Error::Kind::Internal, "x").to_string() == "x");
}

TEST_CASE("what the system says becomes something to act on") {
  const std::pair<int, Error::Kind> expected[] = {
      {ENOENT, Error::Kind::NotFound},      {ENODEV, Error::Kind::NotFound},
      {EEXIST, Error::Kind::Exists},        {EINVAL, Error::Kind::Invalid},
      {EPERM, Error::Kind::Denied},         {EACCES, Error::Kind::Denied},
      {EBUSY, Error::Kind::Unavailable},    {ETIMEDOUT, Error::Kind::Unavailable},
      {ENETDOWN, Error::Kind::Unavailable}, {ENOSPC, Error::Kind::Exhausted},
      {EMFILE, Error::Kind::Exhausted},     {EFAULT, Error::Kind::Internal}};
  for (const auto& [number, kind] : expected) {
    const Error error = Error::from_errno(number, "open the door");
    CAPTURE(number);
    CHECK(to_string(error.kind()) == to_string(kind));
    CHECK(error.message().starts_with("open the door: "));
  }
}
