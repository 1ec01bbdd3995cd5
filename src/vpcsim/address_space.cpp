// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/address_space.h"

namespace terway::vpcsim {

namespace {

constexpr std::uint64_t kReserved = 4;

// Only within one family, so that a bytewise comparison is one of numbers.
net::IpAddress minus(net::IpAddress address, std::uint8_t offset) {
  // The last address of a CIDR of at least four addresses ends in binary 11.
  address.bytes[15] = static_cast<std::uint8_t>(address.bytes[15] - offset);
  return address;
}

}  // namespace

AddressSpace::AddressSpace(net::Prefix cidr)
    : cidr_(cidr.network()),
      capacity_(cidr_.size() > kReserved ? cidr_.size() - kReserved : 0),
      lowest_(cidr_.first().plus(1)) {}

bool AddressSpace::usable(const net::IpAddress& address) const {
  if (capacity_ == 0 || !cidr_.contains(address)) return false;
  return address != cidr_.first() && address < minus(cidr_.last(), 2);
}

std::uint64_t AddressSpace::available() const { return capacity_ - taken_.size(); }

std::optional<net::IpAddress> AddressSpace::take_next() {
  if (available() == 0) return std::nullopt;
  while (taken_.contains(lowest_)) lowest_ = lowest_.plus(1);
  taken_.insert(lowest_);
  return lowest_;
}

bool AddressSpace::take(const net::IpAddress& address) {
  return usable(address) && taken_.insert(address).second;
}

void AddressSpace::give_back(const net::IpAddress& address) {
  if (taken_.erase(address) > 0 && address < lowest_) lowest_ = address;
}

}  // namespace terway::vpcsim
