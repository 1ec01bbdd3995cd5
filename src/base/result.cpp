// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace terway {

namespace {

Error::Kind kind_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO:
    case EADDRNOTAVAIL:
      return Error::Kind::NotFound;
    case EEXIST:
      return Error::Kind::Exists;
    case EINVAL:
    case ENAMETOOLONG:
    case ERANGE:
      return Error::Kind::Invalid;
    case EPERM:
    case EACCES:
      return Error::Kind::Denied;
    case EAGAIN:
    case EBUSY:
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EPIPE:
    case EINTR:
      return Error::Kind::Unavailable;
    case ENOSPC:
    case EMFILE:
    case ENFILE:
      return Error::Kind::Exhausted;
    default:
      return Error::Kind::Internal;
  }
}

}  // namespace

Error Error::from_errno(int error_number, std::string_view doing) {
  return {kind_of(error_number),
          fmt::format("{}: {}", doing, std::system_category().message(error_number))};
}

std::string Error::to_string() const {
  if (code_.empty() && request_id_.empty()) return message_;
  if (request_id_.empty()) return fmt::format("{} (code {})", message_, code_);
  return fmt::format("{} (code {}, request {})", message_, code_, request_id_);
}

std::string_view to_string(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::NotFound:
      return "NotFound";
    case Error::Kind::Exists:
      return "Exists";
    case Error::Kind::Invalid:
      return "Invalid";
    case Error::Kind::Denied:
      return "Denied";
    case Error::Kind::Throttled:
      return "Throttled";
    case Error::Kind::Exhausted:
      return "Exhausted";
    case Error::Kind::Unavailable:
      return "Unavailable";
    case Error::Kind::Internal:
      return "Internal";
  }
  return "Internal";
}

void verify_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: VERIFY(%s) failed\n", file, line, condition);
  std::abort();
}

}  // namespace terway
