// SPDX-License-Identifier: Apache-2.0
#include "model/pod.h"

namespace terway::model {

std::string_view to_string(NetworkMode mode) {
  switch (mode) {
    case NetworkMode::Veth:
      return "veth";
    case NetworkMode::Ipvlan:
      return "ipvlan";
    case NetworkMode::Exclusive:
      return "exclusive";
  }
  return "?";
}

std::optional<NetworkMode> network_mode_from(std::string_view text) {
  for (const auto mode : {NetworkMode::Veth, NetworkMode::Ipvlan, NetworkMode::Exclusive}) {
    if (to_string(mode) == text) return mode;
  }
  return std::nullopt;
}

std::string_view to_string(NetworkPriority priority) {
  switch (priority) {
    case NetworkPriority::None:
      return "";
    case NetworkPriority::BestEffort:
      return "best-effort";
    case NetworkPriority::Burstable:
      return "burstable";
    case NetworkPriority::Guaranteed:
      return "guaranteed";
  }
  return "?";
}

std::optional<NetworkPriority> network_priority_from(std::string_view text) {
  for (const auto priority : {NetworkPriority::None, NetworkPriority::BestEffort,
                              NetworkPriority::Burstable, NetworkPriority::Guaranteed}) {
    if (text == to_string(priority)) return priority;
  }
  return std::nullopt;
}

}  // namespace terway::model
