// SPDX-License-Identifier: Apache-2.0
#include "net/address.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <charconv>
#include <cstring>

namespace terway::net {

namespace {

constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Where the address's own bits begin inside the 128: behind ::ffff: for IPv4.
constexpr unsigned offset_of(Family family) { return family == Family::V4 ? 96 : 0; }

IpAddress masked(const IpAddress& address, unsigned bits, bool ones) {
  IpAddress result = address;
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned start = i * 8;
    unsigned kept = 0;
    if (bits > start) kept = bits - start >= 8 ? 8 : bits - start;
    const auto mask = static_cast<std::uint8_t>(kept == 0 ? 0 : 0xff << (8 - kept));
    const auto tail = static_cast<std::uint8_t>(ones ? ~mask : 0);
    result.bytes[i] = static_cast<std::uint8_t>((result.bytes[i] & mask) | tail);
  }
  return result;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

IpAddress IpAddress::from_v4(std::uint32_t host_order) {
  const std::uint8_t four[] = {
      static_cast<std::uint8_t>(host_order >> 24), static_cast<std::uint8_t>(host_order >> 16),
      static_cast<std::uint8_t>(host_order >> 8), static_cast<std::uint8_t>(host_order)};
  return from_v4_bytes(four);
}

IpAddress IpAddress::from_v4_bytes(const std::uint8_t* four) {
  IpAddress address;
  std::memcpy(address.bytes.data(), kMapped.data(), kMapped.size());
  std::memcpy(address.bytes.data() + 12, four, 4);
  return address;
}

IpAddress IpAddress::from_v6_bytes(const std::uint8_t* sixteen) {
  IpAddress address;
  std::memcpy(address.bytes.data(), sixteen, 16);
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.empty() || text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  char buffer[INET6_ADDRSTRLEN];
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  if (std::memchr(buffer, '\0', text.size()) != nullptr) return std::nullopt;
  std::uint8_t raw[16];
  if (::inet_pton(AF_INET, buffer, raw) == 1) return from_v4_bytes(raw);
  if (::inet_pton(AF_INET6, buffer, raw) == 1) return from_v6_bytes(raw);
  return std::nullopt;
}

bool IpAddress::is_v4() const {
  return std::memcmp(bytes.data(), kMapped.data(), kMapped.size()) == 0;
}

bool IpAddress::is_unspecified() const { return is_v4() ? v4() == 0 : *this == IpAddress{}; }

bool IpAddress::is_link_local() const {
  if (is_v4()) return bytes[12] == 169 && bytes[13] == 254;
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

std::uint32_t IpAddress::v4() const {
  return static_cast<std::uint32_t>(bytes[12]) << 24 | static_cast<std::uint32_t>(bytes[13]) << 16 |
         static_cast<std::uint32_t>(bytes[14]) << 8 | bytes[15];
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  ::inet_ntop(is_v4() ? AF_INET : AF_INET6, wire(), buffer, sizeof buffer);
  return buffer;
}

IpAddress IpAddress::plus(std::uint64_t offset) const {
  IpAddress result = *this;
  const unsigned stop = is_v4() ? 12 : 0;
  std::uint64_t carry = offset;
  for (unsigned i = 16; i > stop && carry != 0; --i) {
    const std::uint64_t sum = (carry & 0xff) + result.bytes[i - 1];
    result.bytes[i - 1] = static_cast<std::uint8_t>(sum);
    carry = (carry >> 8) + (sum >> 8);
  }
  return result;
}

std::optional<Prefix> Prefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return host(*address);
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  if (length > address->full_length()) return std::nullopt;
  return Prefix{*address, static_cast<std::uint8_t>(length)};
}

Prefix Prefix::network() const {
  return {masked(address, offset_of(family()) + length, false), length};
}

bool Prefix::contains(const IpAddress& other) const {
  if (other.family() != family()) return false;
  return masked(other, offset_of(family()) + length, false) == network().address;
}

bool Prefix::contains(const Prefix& other) const {
  return other.length >= length && contains(other.address);
}

bool Prefix::overlaps(const Prefix& other) const {
  return contains(other) || other.contains(*this);
}

IpAddress Prefix::last() const { return masked(address, offset_of(family()) + length, true); }

std::uint64_t Prefix::size() const {
  const unsigned bits = static_cast<unsigned>(address.full_length()) - length;
  return std::uint64_t{1} << (bits > 63 ? 63 : bits);
}

std::string Prefix::to_string() const { return fmt::format("{}/{}", address.to_string(), length); }

std::optional<Mac> Mac::parse(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  Mac mac;
  for (unsigned i = 0; i < 6; ++i) {
    const int high = hex_digit(text[i * 3]);
    const int low = hex_digit(text[i * 3 + 1]);
    if (high < 0 || low < 0 || (i < 5 && text[i * 3 + 2] != ':')) return std::nullopt;
    mac.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return mac;
}

std::string Mac::to_string() const {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2],
                     bytes[3], bytes[4], bytes[5]);
}

}  // namespace terway::net

std::size_t std::hash<terway::net::IpAddress>::operator()(
    const terway::net::IpAddress& address) const noexcept {
  return std::hash<std::string_view>{}(
      {reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()});
}

std::size_t std::hash<terway::net::Mac>::operator()(const terway::net::Mac& mac) const noexcept {
  return std::hash<std::string_view>{}(
      {reinterpret_cast<const char*>(mac.bytes.data()), mac.bytes.size()});
}
