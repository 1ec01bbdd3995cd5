// SPDX-License-Identifier: Apache-2.0
// A pod and its attachment, as plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
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

}  // namespace terway::model
