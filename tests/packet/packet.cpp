// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/packet.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>

namespace terway::packet {

namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kIpv6 = 40;

void put(Bytes& out, std::size_t at, const void* from, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(from);
  std::copy(bytes, bytes + size, out.begin() + static_cast<std::ptrdiff_t>(at));
}

void put16(Bytes& out, std::size_t at, std::size_t value) {
  out[at] = static_cast<std::uint8_t>(value >> 8);
  out[at + 1] = static_cast<std::uint8_t>(value);
}

void append16(Bytes& out, std::size_t value) {
  out.resize(out.size() + 2);
  put16(out, out.size() - 2, value);
}

void append32(Bytes& out, std::uint32_t value) {
  append16(out, value >> 16);
  append16(out, value & 0xffff);
}

void append(Bytes& out, const void* from, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(from);
  out.insert(out.end(), bytes, bytes + size);
}

void append(Bytes& out, const net::Mac& address) { append(out, address.bytes.data(), 6); }

std::size_t ipv4_header_size(const Bytes& frame) { return (frame[kEthernet] & 0xfU) * 4U; }

// RFC 1071, the slow and obvious way.
std::uint32_t sum(const std::uint8_t* from, std::size_t size) {
  std::uint32_t total = 0;
  for (std::size_t i = 0; i < size; ++i) total += i % 2 == 0 ? from[i] * 256U : from[i];
  return total;
}

std::uint16_t fold(std::uint32_t total) {
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return static_cast<std::uint16_t>(~total);
}

std::uint16_t transport_checksum(const Bytes& frame, std::size_t at, std::uint8_t protocol,
                                 const net::IpAddress& source, const net::IpAddress& destination) {
  const std::size_t size = frame.size() - at;
  std::uint32_t total = sum(frame.data() + at, size);
  if (protocol != IPPROTO_ICMP) {
    total += sum(source.wire(), source.wire_size());
    total += sum(destination.wire(), destination.wire_size());
    total += static_cast<std::uint32_t>(size) + protocol;
  }
  return fold(total);
}

std::size_t checksum_offset(std::uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return 16;
    case IPPROTO_UDP:
      return 6;
    default:
      return 2;
  }
}

}  // namespace

net::IpAddress address(std::string_view text) {
  const auto parsed = net::IpAddress::parse(text);
  VERIFY(parsed.has_value());
  return *parsed;
}

net::Mac mac(std::string_view text) {
  const auto parsed = net::Mac::parse(text);
  VERIFY(parsed.has_value());
  return *parsed;
}

Packet Packet::from(std::string_view source_mac) {
  Packet packet;
  packet.frame_.resize(kEthernet);
  put(packet.frame_, 6, mac(source_mac).bytes.data(), 6);
  return packet;
}

Packet& Packet::to(std::string_view destination_mac) {
  put(frame_, 0, mac(destination_mac).bytes.data(), 6);
  return *this;
}

Packet& Packet::ethertype(std::uint16_t type) {
  put16(frame_, 12, type);
  return *this;
}

Packet& Packet::arp_request(std::string_view sender_mac, std::string_view sender,
                            std::string_view target) {
  arp_reply(sender, sender_mac, target, "00:00:00:00:00:00");
  frame_[kEthernet + 7] = 1;
  return *this;
}

Packet& Packet::arp_reply(std::string_view sender, std::string_view sender_mac,
                          std::string_view target, std::string_view target_mac) {
  ethertype(ETH_P_ARP);
  append16(frame_, 1);
  append16(frame_, ETH_P_IP);
  append16(frame_, 0x0604);
  append16(frame_, 2);
  append(frame_, mac(sender_mac));
  append(frame_, address(sender).wire(), 4);
  append(frame_, mac(target_mac));
  append(frame_, address(target).wire(), 4);
  return *this;
}

Packet& Packet::ip(std::string_view source, std::string_view destination) {
  source_ = address(source);
  destination_ = address(destination);
  has_ip_ = true;
  const bool v4 = source_.is_v4();
  ethertype(v4 ? ETH_P_IP : ETH_P_IPV6);
  if (v4) {
    append32(frame_, 0x45000000);
    append32(frame_, 0);
    append32(frame_, 0x40000000);
  } else {
    append32(frame_, 0x60000000);
    append32(frame_, 0x00003b40);  // no next header
  }
  append(frame_, source_.wire(), source_.wire_size());
  append(frame_, destination_.wire(), destination_.wire_size());
  next_header_ = kEthernet + (v4 ? 9 : 6);
  return *this;
}

Packet& Packet::hops(std::uint8_t ttl_or_hop_limit) {
  frame_[kEthernet + (source_.is_v4() ? 8 : 7)] = ttl_or_hop_limit;
  return *this;
}

Packet& Packet::dont_fragment() {
  if (source_.is_v4()) frame_[kEthernet + 6] |= 0x40;
  return *this;
}

Packet& Packet::fragment(std::uint16_t offset, bool more) {
  put16(frame_, kEthernet + 6, (more ? 0x2000U : 0U) | (offset / 8U));
  return *this;
}

Packet& Packet::ip_options(std::size_t bytes) {
  frame_.resize(frame_.size() + bytes, 1);
  frame_[kEthernet] = static_cast<std::uint8_t>(frame_[kEthernet] + bytes / 4);
  return *this;
}

Packet& Packet::transport(std::uint8_t protocol) {
  transport_ = frame_.size();
  protocol_ = protocol;
  frame_[next_header_] = protocol;
  return *this;
}

Packet& Packet::extension(std::uint8_t kind, std::size_t bytes) {
  frame_[next_header_] = kind;
  next_header_ = frame_.size();
  append16(frame_, 59U << 8 | (bytes / 8 - 1));
  // PadN (RFC 8200 4.2), as many as it takes.
  for (std::size_t left = bytes - 2; left > 0;) {
    const std::size_t option = std::min<std::size_t>(left, 250);
    if (option == 1) {
      frame_.push_back(0);
    } else {
      append16(frame_, 1U << 8 | (option - 2));
      frame_.resize(frame_.size() + option - 2);
    }
    left -= option;
  }
  return *this;
}

Packet& Packet::fragment_v6(std::uint32_t id, std::uint16_t offset, bool more) {
  frame_[next_header_] = IPPROTO_FRAGMENT;
  next_header_ = frame_.size();
  append32(frame_, 59U << 24 | offset | (more ? 1U : 0U));
  append32(frame_, id);
  return *this;
}

Packet& Packet::udp(std::uint16_t source_port, std::uint16_t destination_port) {
  transport(IPPROTO_UDP);
  append16(frame_, source_port);
  append16(frame_, destination_port);
  append32(frame_, 0);
  return *this;
}

Packet& Packet::tcp(std::uint16_t source_port, std::uint16_t destination_port, std::uint8_t flags) {
  transport(IPPROTO_TCP);
  append16(frame_, source_port);
  append16(frame_, destination_port);
  append32(frame_, 1);
  append32(frame_, 0);
  append32(frame_, 0x50000400U | std::uint32_t{flags} << 16);
  append32(frame_, 0);
  return *this;
}

Packet& Packet::icmp_header(std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
  const int protocol = source_.is_v4() ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  transport(static_cast<std::uint8_t>(protocol));
  append16(frame_, static_cast<std::size_t>(type) << 8 | code);
  append16(frame_, 0);
  append32(frame_, rest);
  return *this;
}

Packet& Packet::echo_request(std::uint16_t id, std::uint16_t sequence) {
  return icmp_header(source_.is_v4() ? 8 : 128, 0, static_cast<std::uint32_t>(id) << 16 | sequence);
}

Packet& Packet::echo_reply(std::uint16_t id, std::uint16_t sequence) {
  return icmp_header(source_.is_v4() ? 0 : 129, 0, static_cast<std::uint32_t>(id) << 16 | sequence);
}

Packet& Packet::mac_option(std::uint8_t type, std::string_view option_mac) {
  if (option_mac.empty()) return *this;
  append16(frame_, static_cast<std::size_t>(type) << 8 | 1);
  append(frame_, mac(option_mac));
  return *this;
}

Packet& Packet::neighbour_solicitation(std::string_view target, std::string_view option_mac) {
  hops(255).icmp_header(135, 0, 0);
  append(frame_, address(target).wire(), 16);
  return mac_option(1, option_mac);
}

Packet& Packet::neighbour_advertisement(std::string_view target, std::string_view option_mac,
                                        std::string_view flags) {
  std::uint32_t bits = 0;
  for (const char flag : flags)
    bits |= flag == 'R' ? 0x80000000U : flag == 'S' ? 0x40000000U : 0x20000000U;
  hops(255).icmp_header(136, 0, bits);
  append(frame_, address(target).wire(), 16);
  return mac_option(2, option_mac);
}

Packet& Packet::router_solicitation(std::string_view option_mac) {
  return hops(255).icmp_header(133, 0, 0).mac_option(1, option_mac);
}

Packet& Packet::router_advertisement() {
  hops(255).icmp_header(134, 0, 0x40000708);
  append32(frame_, 0);
  append32(frame_, 0);
  return *this;
}

Packet& Packet::too_big(std::uint32_t mtu, const Bytes& original, std::size_t quoted) {
  if (source_.is_v4())
    icmp_header(3, 4, mtu);
  else
    icmp_header(2, 0, mtu);
  append(frame_, original.data() + kEthernet, std::min(quoted, original.size() - kEthernet));
  return *this;
}

Packet& Packet::icmp_error(std::uint8_t type, std::uint8_t code, const Bytes& original,
                           std::size_t quoted) {
  icmp_header(type, code, 0);
  append(frame_, original.data() + kEthernet, std::min(quoted, original.size() - kEthernet));
  return *this;
}

Packet& Packet::payload(std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) frame_.push_back(static_cast<std::uint8_t>(i));
  return *this;
}

void Packet::fill_ipv4(Bytes& frame) const {
  put16(frame, kEthernet + 2, frame.size() - kEthernet);
  put16(frame, kEthernet + 10, fold(sum(frame.data() + kEthernet, ipv4_header_size(frame))));
}

void Packet::fill_ipv6(Bytes& frame) const {
  put16(frame, kEthernet + 4, frame.size() - kEthernet - kIpv6);
}

void Packet::fill_transport_checksum(Bytes& frame) const {
  if (protocol_ == IPPROTO_UDP) put16(frame, transport_ + 4, frame.size() - transport_);
  put16(frame, transport_ + checksum_offset(protocol_),
        transport_checksum(frame, transport_, protocol_, source_, destination_));
}

Packet& Packet::set(std::size_t offset, std::uint8_t value) {
  set_[offset] = value;
  return *this;
}

Bytes Packet::bytes() const {
  Bytes frame = frame_;
  if (has_ip_ && source_.is_v4()) fill_ipv4(frame);
  if (has_ip_ && !source_.is_v4()) fill_ipv6(frame);
  if (transport_ != 0) fill_transport_checksum(frame);
  for (const auto& [offset, value] : set_) frame[offset] = value;
  return frame;
}

}  // namespace terway::packet
