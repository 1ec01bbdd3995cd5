// SPDX-License-Identifier: Apache-2.0
// A frame as a line of text, for what a failing test prints.
#include <fmt/core.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>

#include "tests/packet/packet.h"

namespace terway::packet {

namespace {

// Reads forward; what is behind the end reads as zero and is remembered.
struct Reader {
  const Bytes& frame;
  std::size_t at = 0;
  bool truncated = false;

  std::uint8_t u8() {
    if (at >= frame.size()) {
      truncated = true;
      return 0;
    }
    return frame[at++];
  }
  std::uint16_t u16() {
    const unsigned high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  net::Mac mac() {
    net::Mac mac;
    for (auto& byte : mac.bytes) byte = u8();
    return mac;
  }
  net::IpAddress v4() { return net::IpAddress::from_v4(u32()); }
  net::IpAddress v6() {
    std::uint8_t bytes[16];
    for (auto& byte : bytes) byte = u8();
    return net::IpAddress::from_v6_bytes(bytes);
  }
};

struct IpHeader {
  net::IpAddress source;
  net::IpAddress destination;
  std::uint8_t protocol = 0;
  std::size_t end = 0;  // of the packet, by its own length
  bool later_fragment = false;
};

std::uint32_t sum(const Bytes& frame, std::size_t from, std::size_t to) {
  std::uint32_t total = 0;
  for (std::size_t i = from; i < std::min(to, frame.size()); ++i)
    total += (i - from) % 2 == 0 ? frame[i] * 256U : frame[i];
  return total;
}

bool sums_to_zero(std::uint32_t total) {
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return total == 0xffff;
}

bool checksum_is_good(const Bytes& frame, std::size_t at, const IpHeader& ip) {
  std::uint32_t total = sum(frame, at, ip.end);
  if (ip.protocol != IPPROTO_ICMP) {
    for (std::size_t i = 0; i < ip.source.wire_size(); ++i) {
      const std::uint32_t pair = ip.source.wire()[i] + ip.destination.wire()[i];
      total += i % 2 == 0 ? pair * 256U : pair;
    }
    total += static_cast<std::uint32_t>(ip.end - at) + ip.protocol;
  }
  return sums_to_zero(total);
}

std::string describe_arp(Reader& in) {
  in.at += 6;
  const std::uint16_t operation = in.u16();
  const auto sender_mac = in.mac();
  const auto sender = in.v4();
  const auto target_mac = in.mac();
  const auto target = in.v4();
  if (operation == 1)
    return fmt::format("ARP, who-has {} tell {} ({})", target.to_string(), sender.to_string(),
                       sender_mac.to_string());
  return fmt::format("ARP, {} is-at {} to {} ({}), operation {}", sender.to_string(),
                     sender_mac.to_string(), target.to_string(), target_mac.to_string(), operation);
}

std::string describe_neighbour(Reader& in, std::uint8_t type, std::uint32_t flags) {
  const auto target = in.v6();
  std::string text = type == 135 ? fmt::format("who has {}", target.to_string())
                                 : fmt::format("{} is here, flags {}{}{}", target.to_string(),
                                               (flags & 0x80000000U) != 0 ? "R" : "",
                                               (flags & 0x40000000U) != 0 ? "S" : "",
                                               (flags & 0x20000000U) != 0 ? "O" : "");
  while (in.at + 8 <= in.frame.size()) {
    const unsigned option = in.u8();
    in.u8();
    text += fmt::format(", option {} {}", option, in.mac().to_string());
  }
  return text;
}

std::string describe_icmp(Reader& in, std::uint8_t protocol) {
  const std::uint8_t type = in.u8();
  const unsigned code = in.u8();
  in.u16();
  const std::uint32_t rest = in.u32();
  if (protocol == IPPROTO_ICMPV6 && (type == 135 || type == 136))
    return "ICMPv6, " + describe_neighbour(in, type, rest);
  return fmt::format("{}, type {} code {} rest {:#x}", protocol == IPPROTO_ICMP ? "ICMP" : "ICMPv6",
                     static_cast<unsigned>(type), code, rest);
}

std::string describe_transport(Reader& in, const IpHeader& ip) {
  switch (ip.protocol) {
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return describe_icmp(in, ip.protocol);
    case IPPROTO_TCP:
    case IPPROTO_UDP: {
      const unsigned source = in.u16();
      return fmt::format("{} {} > {}", ip.protocol == IPPROTO_TCP ? "TCP" : "UDP", source,
                         static_cast<unsigned>(in.u16()));
    }
    default:
      return fmt::format("protocol {}", static_cast<unsigned>(ip.protocol));
  }
}

std::string describe_ip(Reader& in, const IpHeader& ip, std::string notes) {
  const std::size_t transport = in.at;
  const std::string inner =
      ip.later_fragment ? std::string("fragment") : describe_transport(in, ip);
  if (!ip.later_fragment && !checksum_is_good(in.frame, transport, ip)) notes += ", bad checksum";
  return fmt::format("{} > {}: {}, IP length {}{}", ip.source.to_string(),
                     ip.destination.to_string(), inner, ip.end - 14, notes);
}

std::string describe_ipv4(Reader& in) {
  IpHeader ip;
  const std::size_t start = in.at;
  const std::size_t size = (in.u8() & 0xfU) * 4U;
  in.u8();
  ip.end = start + in.u16();
  in.u16();
  const std::uint16_t fragment = in.u16();
  const unsigned ttl = in.u8();
  ip.protocol = in.u8();
  in.u16();
  ip.source = in.v4();
  ip.destination = in.v4();
  ip.later_fragment = (fragment & 0x3fff) != 0;
  std::string notes = fmt::format(", ttl {}", ttl);
  if ((fragment & 0x4000) != 0) notes += ", DF";
  if (!sums_to_zero(sum(in.frame, start, start + size))) notes += ", bad header checksum";
  in.at = start + size;
  return "IP " + describe_ip(in, ip, notes);
}

std::string describe_ipv6(Reader& in) {
  IpHeader ip;
  const std::size_t start = in.at;
  in.u32();
  ip.end = start + 40 + in.u16();
  ip.protocol = in.u8();
  const unsigned hops = in.u8();
  ip.source = in.v6();
  ip.destination = in.v6();
  return "IP6 " + describe_ip(in, ip, fmt::format(", hlim {}", hops));
}

}  // namespace

std::string describe(const Bytes& frame) {
  Reader in{frame};
  const auto destination = in.mac();
  const auto source = in.mac();
  const unsigned type = in.u16();
  std::string inner = fmt::format("ethertype {:#06x}", type);
  if (type == ETH_P_ARP) inner = describe_arp(in);
  if (type == ETH_P_IP) inner = describe_ipv4(in);
  if (type == ETH_P_IPV6) inner = describe_ipv6(in);
  return fmt::format("{} > {}, {}, frame {}{}", source.to_string(), destination.to_string(), inner,
                     frame.size(), in.truncated ? ", truncated" : "");
}

}  // namespace terway::packet
