// SPDX-License-Identifier: Apache-2.0
// Addresses, prefixes and MACs as values. IPv4 is carried v4-mapped in 16 bytes (RFC 4291 2.5.5.2),
// so both families share one type and one path.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace terway::net {

enum class Family : std::uint8_t { V4, V6 };

// An IPv4 or IPv6 address. Ordered bytewise: all IPv4 together, before 2000::/3.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};  // network byte order

  static IpAddress from_v4(std::uint32_t host_order);
  static IpAddress from_v4_bytes(const std::uint8_t* four);
  static IpAddress from_v6_bytes(const std::uint8_t* sixteen);
  // "10.0.0.1", "fe80::1"; no zone, no prefix. A v4-mapped IPv6 text is taken as IPv4.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const;
  Family family() const { return is_v4() ? Family::V4 : Family::V6; }
  bool is_unspecified() const;  // 0.0.0.0 or ::
  bool is_link_local() const;   // 169.254.0.0/16 or fe80::/10
  // The IPv4 address in host order; only where is_v4().
  std::uint32_t v4() const;
  // The 4 or 16 bytes as they go on the wire.
  const std::uint8_t* wire() const { return is_v4() ? bytes.data() + 12 : bytes.data(); }
  std::size_t wire_size() const { return is_v4() ? 4 : 16; }
  std::uint8_t full_length() const { return is_v4() ? 32 : 128; }
  // RFC 5952 for IPv6.
  std::string to_string() const;
  // The address `offset` further; wraps at the end of the family.
  IpAddress plus(std::uint64_t offset) const;

  auto operator<=>(const IpAddress&) const = default;
};

// An address and a length in bits of its own family (0..32 or 0..128). The bits behind the length
// may be set ("10.0.0.7/24" is an interface's address); network() clears them.
struct Prefix {
  IpAddress address;
  std::uint8_t length = 0;

  // "10.0.0.0/8"; a bare address is a full-length prefix.
  static std::optional<Prefix> parse(std::string_view text);
  static Prefix host(const IpAddress& address) { return {address, address.full_length()}; }

  Family family() const { return address.family(); }
  Prefix network() const;
  bool contains(const IpAddress& other) const;
  bool contains(const Prefix& other) const;
  bool overlaps(const Prefix& other) const;
  IpAddress first() const { return network().address; }
  IpAddress last() const;
  // Addresses in it, saturating at 2^63.
  std::uint64_t size() const;
  std::string to_string() const;

  auto operator<=>(const Prefix&) const = default;
};

struct Mac {
  std::array<std::uint8_t, 6> bytes{};

  // "00:16:3e:12:34:56", any case.
  static std::optional<Mac> parse(std::string_view text);
  bool is_zero() const { return *this == Mac{}; }
  std::string to_string() const;  // lower case

  auto operator<=>(const Mac&) const = default;
};

}  // namespace terway::net

template <>
struct std::hash<terway::net::IpAddress> {
  std::size_t operator()(const terway::net::IpAddress& address) const noexcept;
};
template <>
struct std::hash<terway::net::Mac> {
  std::size_t operator()(const terway::net::Mac& mac) const noexcept;
};
