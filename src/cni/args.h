// SPDX-License-Identifier: Apache-2.0
// CNI_ARGS: "K=V;K=V", Kubernetes' keys. Private to this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/pod.h"

namespace terway::cni {

struct Args {
  model::Pod pod;
  std::string infra_container_id;
  // Keys that we do not know, where IgnoreUnknown does not allow them; and what is no K=V.
  std::vector<std::string> problems;
};

Args parse_args(std::string_view text);

}  // namespace terway::cni
