// SPDX-License-Identifier: Apache-2.0
// Frames that read like tcpdump's lines: built for a program under test, and told about when what
// comes out is not what was expected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace terway::packet {

using Bytes = std::vector<std::uint8_t>;

// "10.0.0.1" and "2001:db8::1" as texts; a text that is neither aborts: a test is wrong then.
net::IpAddress address(std::string_view text);
net::Mac mac(std::string_view text);

// Builds from the outside in; lengths and checksums are filled in by bytes(). E.g.
//   Packet::from("02:00:00:00:00:0a").to("ee:ff:ff:ff:ff:ff")
//       .ip("10.0.0.10", "10.0.1.20").udp(1234, 80).payload(100)
class Packet {
 public:
  static Packet from(std::string_view source_mac);
  Packet& to(std::string_view destination_mac);

  Packet& arp_request(std::string_view sender_mac, std::string_view sender,
                      std::string_view target);
  // `sender` is-at `sender_mac`, told to `target`.
  Packet& arp_reply(std::string_view sender, std::string_view sender_mac, std::string_view target,
                    std::string_view target_mac);
  Packet& ethertype(std::uint16_t type);

  // IPv4 or IPv6 by its texts. TTL and hop limit are 64.
  Packet& ip(std::string_view source, std::string_view destination);
  Packet& hops(std::uint8_t ttl_or_hop_limit);
  Packet& dont_fragment();
  // IPv4 only; in bytes, a multiple of 8.
  Packet& fragment(std::uint16_t offset, bool more);
  // IPv4 only: so many bytes of no-operation options, a multiple of 4.
  Packet& ip_options(std::size_t bytes);

  // IPv6 only, in front of the transport: so many bytes of padding options, a multiple of 8.
  Packet& extension(std::uint8_t kind, std::size_t bytes);
  Packet& fragment_v6(std::uint32_t id, std::uint16_t offset, bool more);

  Packet& udp(std::uint16_t source_port, std::uint16_t destination_port);
  // A SYN, unless other flags (the byte of the header) are given.
  Packet& tcp(std::uint16_t source_port, std::uint16_t destination_port, std::uint8_t flags = 2);
  // Of the IP header's family.
  Packet& echo_request(std::uint16_t id, std::uint16_t sequence);
  Packet& echo_reply(std::uint16_t id, std::uint16_t sequence);
  // With a source link-layer option unless the MAC is empty.
  Packet& neighbour_solicitation(std::string_view target, std::string_view option_mac);
  // Flags "R", "S", "O", in any combination.
  Packet& neighbour_advertisement(std::string_view target, std::string_view option_mac,
                                  std::string_view flags);
  Packet& router_solicitation(std::string_view option_mac);
  Packet& router_advertisement();
  // What a router says about `original` (a whole frame), quoting so many bytes of its IP packet.
  Packet& too_big(std::uint32_t mtu, const Bytes& original, std::size_t quoted);
  // Any ICMP or ICMPv6 error, likewise.
  Packet& icmp_error(std::uint8_t type, std::uint8_t code, const Bytes& original,
                     std::size_t quoted);

  // Behind everything else: so many bytes counting up.
  Packet& payload(std::size_t bytes);

  // One byte of the frame, whatever the header it belongs to says; last.
  Packet& set(std::size_t offset, std::uint8_t value);

  Bytes bytes() const;

 private:
  void fill_ipv4(Bytes& frame) const;
  void fill_ipv6(Bytes& frame) const;
  void fill_transport_checksum(Bytes& frame) const;
  Packet& icmp_header(std::uint8_t type, std::uint8_t code, std::uint32_t rest);
  Packet& transport(std::uint8_t protocol);
  Packet& mac_option(std::uint8_t type, std::string_view option_mac);

  Bytes frame_;  // lengths and checksums zero
  std::map<std::size_t, std::uint8_t> set_;
  bool has_ip_ = false;
  net::IpAddress source_;
  net::IpAddress destination_;
  std::size_t next_header_ = 0;  // where the kind of the header behind this one is said
  std::size_t transport_ = 0;    // where its header begins; 0: none
  std::uint8_t protocol_ = 0;
};

// One line, much like `tcpdump -enr`; says "bad checksum" where one is.
std::string describe(const Bytes& frame);

}  // namespace terway::packet
