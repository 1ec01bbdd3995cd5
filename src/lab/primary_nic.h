// SPDX-License-Identifier: Apache-2.0
// What an image's network set-up does at boot: the primary NIC gets the address that the cloud
// gave it, and the default route.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/address.h"

namespace terway::lab {

struct PrimaryNic {
  net::Mac mac;
  net::Prefix address;  // with the vSwitch's length
  net::IpAddress gateway;
  std::optional<net::Prefix> address_v6;
  std::optional<net::IpAddress> gateway_v6;
  std::uint32_t mtu = 1500;
};

// Waits at most `timeout` for the NIC to appear. Also brings lo up.
Result<> configure_primary_nic(const std::string& netns_path, const PrimaryNic& nic,
                               Duration timeout);

}  // namespace terway::lab
