// SPDX-License-Identifier: Apache-2.0
// What a fallible function returns: Result<T>, and how errors travel: TRY.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace terway {

// An error has one of few kinds, each something that the caller can act on. A message grows outward
// with within(): "attach eni-1: DescribeNetworkInterfaces: throttled".
class [[nodiscard]] Error {
 public:
  enum class Kind : std::uint8_t {
    NotFound,   // the thing is not there
    Exists,     // the thing is there already
    Invalid,    // the request itself is wrong; asking again cannot help
    Denied,     // credentials or permissions
    Throttled,  // asked too fast; wait and ask again
    Exhausted,  // a limit is reached (vSwitch, quota, ENIs of the instance); not retried in a loop
    Unavailable,  // cannot now (network, timeout, 5xx); ask again later
    Internal,     // a bug, or something nobody expected
  };

  Error(Kind kind, std::string message) : kind_(kind), message_(std::move(message)) {}

  // From errno: ENOENT is NotFound, EEXIST is Exists, EPERM is Denied, and so on.
  static Error from_errno(int error_number, std::string_view doing);

  Kind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  // The foreign system's own code ("InvalidVSwitchId.IpNotEnough") and request id; may be empty.
  const std::string& code() const { return code_; }
  const std::string& request_id() const { return request_id_; }

  Error&& within(std::string_view where) && {
    message_.insert(0, ": ").insert(0, where);
    return std::move(*this);
  }
  Error&& with_code(std::string code, std::string request_id) && {
    code_ = std::move(code);
    request_id_ = std::move(request_id);
    return std::move(*this);
  }

  // "message (code X, request Y)".
  std::string to_string() const;

 private:
  Kind kind_;
  std::string message_;
  std::string code_;
  std::string request_id_;
};

std::string_view to_string(Error::Kind kind);

struct Ok {};

// A value or an Error. Return `Ok{}` for Result<> (nothing to return but success).
template <class T = Ok>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(*explicit*)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(*explicit*)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return *std::get_if<0>(&state_); }
  const T& value() const& { return *std::get_if<0>(&state_); }
  T&& value() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  T& operator*() { return *std::get_if<0>(&state_); }
  const T& operator*() const { return *std::get_if<0>(&state_); }

  const Error& error() const { return *std::get_if<1>(&state_); }
  Error take_error() { return std::move(*std::get_if<1>(&state_)); }
  bool is(Error::Kind kind) const { return !ok() && error().kind() == kind; }

 private:
  std::variant<T, Error> state_;
};

// Aborts with the place and the condition: for what is a bug, never for what the world may do.
[[noreturn]] void verify_failed(const char* condition, const char* file, int line);

}  // namespace terway

// The value of a Result, or return its error from the enclosing function.
#define TRY(expression)                                     \
  __extension__({                                           \
    auto try_result_ = (expression);                        \
    if (!try_result_.ok()) return try_result_.take_error(); \
    std::move(try_result_).value();                         \
  })

// The same, with a word about what was being done.
#define TRY_WITHIN(where, expression)                                     \
  __extension__({                                                         \
    auto try_result_ = (expression);                                      \
    if (!try_result_.ok()) return try_result_.take_error().within(where); \
    std::move(try_result_).value();                                       \
  })

#define VERIFY(condition) \
  (static_cast<bool>(condition) ? void(0) : ::terway::verify_failed(#condition, __FILE__, __LINE__))
