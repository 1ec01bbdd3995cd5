// SPDX-License-Identifier: Apache-2.0
// The addresses of one vSwitch in one family: which are free, and which of them comes next.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "net/address.h"

namespace terway::vpcsim {

// Of a vSwitch's CIDR the first address and the last three are the system's (VPC documentation,
// "vSwitch"), the third-last is the gateway. The lowest free address is given next, which makes the
// reuse of a freed one as quick as it can be.
class AddressSpace {
 public:
  explicit AddressSpace(net::Prefix cidr);

  const net::Prefix& cidr() const { return cidr_; }
  // Inside the CIDR and not the system's.
  bool usable(const net::IpAddress& address) const;
  bool taken(const net::IpAddress& address) const { return taken_.contains(address); }
  // Saturates at 2^63.
  std::uint64_t available() const;

  // Nullopt: none is left.
  std::optional<net::IpAddress> take_next();
  // False: not usable, or taken already.
  bool take(const net::IpAddress& address);
  void give_back(const net::IpAddress& address);

 private:
  net::Prefix cidr_;
  std::uint64_t capacity_;
  std::set<net::IpAddress> taken_;
  // Every usable address below this one is taken.
  net::IpAddress lowest_;
};

}  // namespace terway::vpcsim
