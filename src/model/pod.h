// SPDX-License-Identifier: Apache-2.0
// A pod and its attachment, as plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace terway::model {

// Who asks. The sandbox, not the name: a re-created pod of the same name is somebody else.
struct AttachmentKey {
  std::string container_id;
  std::string ifname;

  std::string to_string() const { return container_id + "/" + ifname; }
  auto operator<=>(const AttachmentKey&) const = default;
};

// Kubernetes' view, from CNI_ARGS (K8S_POD_NAMESPACE, K8S_POD_NAME, K8S_POD_UID); empty where the
// caller is no Kubernetes.
struct Pod {
  std::string namespace_;
  std::string name;
  std::string uid;
  // The kind of its controller ("StatefulSet", "ReplicaSet", "DaemonSet", "Job"); empty when
  // unknown.
  std::string owner_kind;

  std::string to_string() const { return namespace_ + "/" + name; }
  auto operator<=>(const Pod&) const = default;
};

// How a pod's interface is joined to the VPC.
enum class NetworkMode : std::uint8_t {
  Veth,       // a pair, its host end outside the pod; shared ENI
  Ipvlan,     // an L2 sub-interface of a shared ENI
  Exclusive,  // the ENI itself
};
std::string_view to_string(NetworkMode mode);
std::optional<NetworkMode> network_mode_from(std::string_view text);

// Limits of a pod's interface, in bits of L2 frames per second; 0: none.
struct Bandwidth {
  std::uint64_t egress = 0;   // what the pod sends
  std::uint64_t ingress = 0;  // what it receives

  auto operator<=>(const Bandwidth&) const = default;
};

// `k8s.aliyun.com/network-priority`.
enum class NetworkPriority : std::uint8_t { None, BestEffort, Burstable, Guaranteed };
// "best-effort", "burstable", "guaranteed"; None is an empty text.
std::string_view to_string(NetworkPriority priority);
std::optional<NetworkPriority> network_priority_from(std::string_view text);

}  // namespace terway::model
