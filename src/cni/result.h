// SPDX-License-Identifier: Apache-2.0
// What ADD answers and what CHECK and DEL get back as prevResult: SPEC 1.1.0, "ADD Success", in
// each version's shape.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cni/version.h"
#include "net/address.h"

namespace terway::cni {

struct Interface {
  std::string name;
  std::string mac;          // may be empty
  std::uint32_t mtu = 0;    // 0: not told; 1.1.0
  std::string sandbox;      // CNI_NETNS for one in the container, empty for one of the host
  std::string socket_path;  // 1.1.0
  std::string pci_id;       // 1.1.0

  bool operator==(const Interface&) const = default;
};

struct IpConfig {
  net::Prefix address;  // the interface's address with its length
  std::optional<net::IpAddress> gateway;
  std::optional<std::uint32_t> interface;  // index into AddResult::interfaces

  bool operator==(const IpConfig&) const = default;
};

struct RouteConfig {
  net::Prefix destination;
  std::optional<net::IpAddress> gateway;
  // All of 1.1.0; 0 or nothing: not told.
  std::uint32_t mtu = 0;
  std::uint32_t advmss = 0;
  std::uint32_t priority = 0;
  std::optional<std::uint32_t> table;
  std::optional<std::uint8_t> scope;  // rtnetlink: global 0, link 253, host 254

  bool operator==(const RouteConfig&) const = default;
};

struct Dns {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search;
  std::vector<std::string> options;

  bool empty() const {
    return nameservers.empty() && domain.empty() && search.empty() && options.empty();
  }
  bool operator==(const Dns&) const = default;
};

struct AddResult {
  std::vector<Interface> interfaces;
  std::vector<IpConfig> ips;
  std::vector<RouteConfig> routes;
  Dns dns;

  bool operator==(const AddResult&) const = default;
};

std::string to_json(const AddResult& result, Version version);

// `earlier` with ours added behind it: a plugin in the middle of a chain passes on what came
// before.
AddResult appended(AddResult earlier, const AddResult& ours);

}  // namespace terway::cni
