// SPDX-License-Identifier: Apache-2.0
// One pod interface as the node remembers it: from the intent to wire it until its last trace is
// gone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/pod.h"
#include "net/address.h"

namespace terway::model {

enum class AttachmentState : std::uint8_t {
  Intent,    // its addresses are its own; the kernel may have anything from nothing to all of it
  Wired,     // the caller was, or may have been, told so
  Removing,  // to be taken down; its addresses are not free before that is done
};
std::string_view to_string(AttachmentState state);
std::optional<AttachmentState> attachment_state_from(std::string_view text);

struct Attachment {
  AttachmentKey key;
  Pod pod;
  AttachmentState state = AttachmentState::Intent;
  NetworkMode mode = NetworkMode::Veth;
  std::string network;            // "name" of the network configuration; GC speaks of one network
  std::string netns_path;         // as the caller named it: a text for results
  std::uint64_t netns_inode = 0;  // of the namespace itself; 0: not known
  std::string eni_key;
  std::string eni_id;
  std::vector<net::IpAddress> addresses;  // at most one of each family
  std::vector<net::Prefix> extra_routes;
  std::string host_ifname;
  net::Mac host_mac;
  net::Mac pod_mac;
  std::uint32_t mtu = 0;
  std::vector<net::IpAddress> gateways;
  Bandwidth bandwidth;
  NetworkPriority priority = NetworkPriority::None;
  // Of a pod with an ENI of its own: whether it has a pair to the host's stack, and what its
  // network configuration sends by that.
  bool host_peer = true;
  std::vector<net::Prefix> host_stack;
  bool sticky = false;
  WallTime created{};

  bool operator==(const Attachment&) const = default;
};

}  // namespace terway::model
