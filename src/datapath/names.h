// SPDX-License-Identifier: Apache-2.0
// What is ours in the kernel of a node, by name and number. docs/operating.md lists the same for
// people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/pod.h"
#include "net/address.h"

namespace terway::datapath {

inline constexpr std::uint32_t kPodsTable = 999;
inline constexpr std::uint32_t kEniTableBase = 1000;  // + ifindex, as upstream
inline constexpr std::uint32_t kToPodPriority = 512;
inline constexpr std::uint32_t kFromPodPriority = 2048;
inline constexpr std::uint32_t kLastMetric =
    9999;                                      // of the unreachable route that ends an ENI's table
inline constexpr std::uint8_t kProtocol = 84;  // of our routes and rules
inline constexpr std::string_view kNftTable = "terway";
// Host ends of pods; those whose pod is gone wait in the second group to be deleted together. They
// differ in the lowest bit only, so that one comparison tells both.
inline constexpr std::uint32_t kPodGroup = 0x5400;
inline constexpr std::uint32_t kDyingGroup = 0x5401;
// Token buckets of pods (shaper.h).
inline constexpr std::uint32_t kShaperGroup = 0x5402;

inline constexpr std::string_view kGatewayV4 = "169.254.1.1";
inline constexpr std::string_view kGatewayV6 = "fe80::1";
net::IpAddress pod_gateway(net::Family family);
// The metadata service of an instance.
inline constexpr std::string_view kMetadata = "100.100.100.200";

// Upstream's name of the same pod's host end: SHA-1 over "<namespace>.<pod>", with the interface's
// name behind it unless that is eth0.
std::string upstream_ifname_of(const model::Pod& pod, const std::string& ifname);

// Both ends have MACs of their own, locally administered, the same whenever the same pod is wired:
// the pod's neighbour entry of its gateway is permanent, so the host end's must never change.
net::Mac host_mac_of(const model::AttachmentKey& key);
net::Mac pod_mac_of(const model::AttachmentKey& key);

// The owner, in the host end's ifalias: "terway:<container id>/<interface>".
std::string alias_of(const model::AttachmentKey& key);
std::optional<model::AttachmentKey> key_of_alias(std::string_view alias);

}  // namespace terway::datapath
