// SPDX-License-Identifier: Apache-2.0
#include "cni/args.h"

#include <fmt/core.h>

#include <array>

namespace terway::cni {

namespace {

// As Go's strconv.ParseBool, for that is what the reference library calls.
bool is_true(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "TRUE", "true", "True"};
  for (const std::string_view word : kTrue) {
    if (text == word) return true;
  }
  return false;
}

}  // namespace

Args parse_args(std::string_view text) {
  Args args;
  bool ignore_unknown = false;
  std::vector<std::string> unknown;
  while (!text.empty()) {
    const std::size_t end = text.find(';');
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      args.problems.push_back(fmt::format("\"{}\" is not KEY=VALUE", pair));
      continue;
    }
    const std::string_view key = pair.substr(0, equals);
    const std::string_view value = pair.substr(equals + 1);
    if (key == "IgnoreUnknown") {
      ignore_unknown = is_true(value);
    } else if (key == "K8S_POD_NAMESPACE") {
      args.pod.namespace_ = value;
    } else if (key == "K8S_POD_NAME") {
      args.pod.name = value;
    } else if (key == "K8S_POD_UID") {
      args.pod.uid = value;
    } else if (key == "K8S_POD_OWNER_KIND") {
      args.pod.owner_kind = value;
    } else if (key == "K8S_POD_INFRA_CONTAINER_ID") {
      args.infra_container_id = value;
    } else {
      unknown.push_back(fmt::format("{}={} is unknown (allowed with IgnoreUnknown=1)", key, value));
    }
  }
  if (!ignore_unknown) {
    args.problems.insert(args.problems.end(), unknown.begin(), unknown.end());
  }
  return args;
}

}  // namespace terway::cni
