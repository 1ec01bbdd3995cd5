// SPDX-License-Identifier: Apache-2.0
#include "cni/failure.h"

#include <fmt/core.h>

#include <chrono>

#include "cni/json.h"

namespace terway::cni {

namespace {

std::string_view what_failed(Command command) {
  switch (command) {
    case Command::Add:
      return "the pod got no network";
    case Command::Del:
      return "the pod's network was not removed";
    case Command::Check:
      return "the pod's network is not as it should be";
    case Command::Gc:
      return "stale attachments were not removed";
    case Command::Status:
      return "no pod can be given a network now";
    case Command::Version:
      return "no version could be told";
  }
  return "";
}

}  // namespace

Code code_of(Command command, Error::Kind kind) {
  if (command == Command::Status) return Code::NotAvailable;
  switch (kind) {
    case Error::Kind::Invalid:
      return Code::InvalidConfig;
    case Error::Kind::NotFound:
      return command == Command::Check ? Code::UnknownContainer : Code::Internal;
    case Error::Kind::Throttled:
    case Error::Kind::Exhausted:
    case Error::Kind::Unavailable:
      return Code::TryAgainLater;
    case Error::Kind::Exists:
    case Error::Kind::Denied:
    case Error::Kind::Internal:
      return Code::Internal;
  }
  return Code::Internal;
}

Failure failure_from(Command command, std::string_view version, std::string_view layer,
                     const Error& error, std::optional<Duration> retry_in) {
  Failure failure;
  failure.version = version.empty() ? kNewestVersion : version;
  failure.code = code_of(command, error.kind());
  failure.message = what_failed(command);
  failure.details = fmt::format("{}: {}", layer, error.to_string());
  if (retry_in) {
    const auto seconds = std::chrono::duration<double>(*retry_in).count();
    failure.details += fmt::format("; the daemon tries again in {:.1f} s", seconds);
  }
  return failure;
}

std::string to_json(const Failure& failure) {
  JsonObject object;
  object.text("cniVersion", failure.version);
  object.number("code", static_cast<std::uint32_t>(failure.code));
  object.text("msg", failure.message);
  object.text("details", failure.details);
  return std::move(object).finish();
}

}  // namespace terway::cni
