// SPDX-License-Identifier: Apache-2.0
// The cloud's own services inside the VPC: a host with a NIC in the fabric, at the addresses by
// which instances reach the metadata service and the OpenAPI. Packets to it pass the fabric as all
// others do.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "http/server.h"
#include "vpcsim/owner.h"

namespace terway::vpcsim {

inline constexpr std::string_view kMetadataAddress = "100.100.100.200";
inline constexpr std::string_view kApiAddress = "100.100.0.10";

class ServiceHost {
 public:
  // A namespace of its own, its NIC plugged into the fabric as one of this VPC.
  static Result<std::unique_ptr<ServiceHost>> open(Owner& owner, const std::string& vpc_id);

  // A server that listens in there.
  Result<std::unique_ptr<http::Server>> serve(const http::Listen& listen,
                                              http::Handler handler) const;

 private:
  explicit ServiceHost(UniqueFd netns) : netns_(std::move(netns)) {}
  UniqueFd netns_;
};

}  // namespace terway::vpcsim
