// SPDX-License-Identifier: Apache-2.0
#include "kernel/probe.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace terway::kernel {

namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kArp = 28;
constexpr std::size_t kIpv6 = 40;
constexpr std::size_t kNdMessage = 24;  // ICMPv6 header and target
constexpr std::size_t kNdOption = 8;    // link-layer address
constexpr std::uint8_t kIcmp6 = 58;
constexpr std::uint8_t kNeighbourSolicitation = 135;
constexpr std::uint8_t kNeighbourAdvertisement = 136;
constexpr net::Mac kEverybody{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

void put16(std::vector<std::uint8_t>& frame, unsigned value) {
  frame.push_back(static_cast<std::uint8_t>(value >> 8U));
  frame.push_back(static_cast<std::uint8_t>(value));
}

template <class Range>
void put_all(std::vector<std::uint8_t>& frame, const Range& bytes) {
  frame.insert(frame.end(), bytes.begin(), bytes.end());
}

unsigned get16(Bytes bytes, std::size_t at) {
  return (static_cast<unsigned>(bytes[at]) << 8U) | bytes[at + 1];
}

void put_ethernet(std::vector<std::uint8_t>& frame, const net::Mac& to, const net::Mac& from,
                  unsigned type) {
  put_all(frame, to.bytes);
  put_all(frame, from.bytes);
  put16(frame, type);
}

std::vector<std::uint8_t> arp_request(const net::Mac& own, const net::IpAddress& target,
                                      const net::IpAddress& sender) {
  std::vector<std::uint8_t> frame;
  put_ethernet(frame, kEverybody, own, ETH_P_ARP);
  put16(frame, 1);  // Ethernet
  put16(frame, ETH_P_IP);
  put_all(frame, std::array<std::uint8_t, 2>{6, 4});
  put16(frame, 1);  // request
  put_all(frame, own.bytes);
  put_all(frame, Bytes(sender.wire(), 4));
  put_all(frame, net::Mac{}.bytes);
  put_all(frame, Bytes(target.wire(), 4));
  return frame;
}

// Over the pseudo header and the message (RFC 4443 2.3).
std::uint16_t icmp6_checksum(const net::IpAddress& from, const net::IpAddress& to, Bytes message) {
  std::uint32_t sum = static_cast<std::uint32_t>(message.size()) + kIcmp6;
  for (std::size_t i = 0; i < 16; i += 2) sum += get16(from.bytes, i) + get16(to.bytes, i);
  for (std::size_t i = 0; i + 1 < message.size(); i += 2) sum += get16(message, i);
  while (sum >> 16U) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

std::vector<std::uint8_t> solicitation(const net::Mac& own, const net::IpAddress& target,
                                       const net::IpAddress& sender) {
  // Solicited-node multicast: ff02::1:ffXX:XXXX, Ethernet 33:33:ff:XX:XX:XX.
  net::IpAddress group{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}};
  net::Mac group_mac{{0x33, 0x33, 0xff}};
  for (std::size_t i = 0; i < 3; ++i) {
    group.bytes[13 + i] = target.bytes[13 + i];
    group_mac.bytes[3 + i] = target.bytes[13 + i];
  }
  std::vector<std::uint8_t> message = {kNeighbourSolicitation, 0, 0, 0, 0, 0, 0, 0};
  put_all(message, target.bytes);
  put_all(message, std::array<std::uint8_t, 2>{1, 1});  // source link-layer address, 8 bytes
  put_all(message, own.bytes);
  const std::uint16_t checksum = icmp6_checksum(sender, group, message);
  message[2] = static_cast<std::uint8_t>(checksum >> 8U);
  message[3] = static_cast<std::uint8_t>(checksum);

  std::vector<std::uint8_t> frame;
  put_ethernet(frame, group_mac, own, ETH_P_IPV6);
  put_all(frame, std::array<std::uint8_t, 4>{0x60, 0, 0, 0});
  put16(frame, static_cast<unsigned>(message.size()));
  // RFC 4861 7.1.1: hop limit 255, so that no router can have sent it.
  put_all(frame, std::array<std::uint8_t, 2>{kIcmp6, 255});
  put_all(frame, sender.bytes);
  put_all(frame, group.bytes);
  put_all(frame, message);
  return frame;
}

std::optional<ProbeReply> parse_arp(Bytes arp) {
  if (arp.size() < kArp || get16(arp, 0) != 1 || get16(arp, 2) != ETH_P_IP || arp[4] != 6 ||
      arp[5] != 4 || get16(arp, 6) != 2) {
    return std::nullopt;
  }
  ProbeReply reply;
  std::memcpy(reply.mac.bytes.data(), &arp[8], 6);
  reply.address = net::IpAddress::from_v4_bytes(&arp[14]);
  return reply;
}

std::optional<ProbeReply> parse_advertisement(Bytes packet, const net::Mac& from) {
  if (packet.size() < kIpv6 + kNdMessage || packet[6] != kIcmp6 || packet[7] != 255 ||
      packet[kIpv6] != kNeighbourAdvertisement) {
    return std::nullopt;
  }
  ProbeReply reply;
  reply.address = net::IpAddress::from_v6_bytes(&packet[kIpv6 + 8]);
  reply.mac = from;
  const Bytes options = packet.subspan(kIpv6 + kNdMessage);
  // Target link-layer address: type 2, length 1 unit of 8 bytes.
  if (options.size() >= kNdOption && options[0] == 2 && options[1] == 1) {
    std::memcpy(reply.mac.bytes.data(), &options[2], 6);
  }
  return reply;
}

// Replies only: without it the socket would see every packet of the NIC.
Result<> filter(int fd, net::Family family) {
  std::array<sock_filter, 4> arp = {
      sock_filter{BPF_LD | BPF_H | BPF_ABS, 0, 0, kEthernet + 6},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 2},
      sock_filter{BPF_RET | BPF_K, 0, 0, 256},
      sock_filter{BPF_RET | BPF_K, 0, 0, 0},
  };
  std::array<sock_filter, 6> nd = {
      sock_filter{BPF_LD | BPF_B | BPF_ABS, 0, 0, kEthernet + 6},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 3, kIcmp6},
      sock_filter{BPF_LD | BPF_B | BPF_ABS, 0, 0, kEthernet + kIpv6},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, kNeighbourAdvertisement},
      sock_filter{BPF_RET | BPF_K, 0, 0, 256},
      sock_filter{BPF_RET | BPF_K, 0, 0, 0},
  };
  sock_fprog program{};
  program.len = family == net::Family::V4 ? arp.size() : nd.size();
  program.filter = family == net::Family::V4 ? arp.data() : nd.data();
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
    return Error::from_errno(errno, "filter a probe socket");
  }
  return Ok{};
}

}  // namespace

net::IpAddress link_local_of(const net::Mac& mac) {
  net::IpAddress address{{0xfe, 0x80}};
  const auto& m = mac.bytes;
  const std::array<std::uint8_t, 8> id = {
      static_cast<std::uint8_t>(m[0] ^ 2U), m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
  std::memcpy(&address.bytes[8], id.data(), id.size());
  return address;
}

std::vector<std::uint8_t> probe_frame(const net::Mac& own, const net::IpAddress& target,
                                      const std::optional<net::IpAddress>& sender) {
  if (target.is_v4()) return arp_request(own, target, sender.value_or(net::IpAddress::from_v4(0)));
  return solicitation(own, target, sender.value_or(link_local_of(own)));
}

std::optional<ProbeReply> parse_probe_reply(Bytes frame) {
  if (frame.size() < kEthernet) return std::nullopt;
  net::Mac from;
  std::memcpy(from.bytes.data(), &frame[6], 6);
  const unsigned type = get16(frame, 12);
  if (type == ETH_P_ARP) return parse_arp(frame.subspan(kEthernet));
  if (type == ETH_P_IPV6) return parse_advertisement(frame.subspan(kEthernet), from);
  return std::nullopt;
}

Result<Probe> Probe::open(int ifindex, net::Family family) {
  // Protocol 0: it hears nothing before the filter is on and it is bound to its NIC.
  UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::from_errno(errno, "open a probe socket");
  TRY(filter(fd.get(), family));
  sockaddr_ll local{};
  local.sll_family = AF_PACKET;
  local.sll_protocol = htons(family == net::Family::V4 ? ETH_P_ARP : ETH_P_IPV6);
  local.sll_ifindex = ifindex;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&local), sizeof(local)) != 0) {
    return Error::from_errno(errno, "bind a probe socket to link " + std::to_string(ifindex));
  }
  return Probe(std::move(fd), ifindex);
}

Result<> Probe::send(const net::Mac& own, const net::IpAddress& target,
                     const std::optional<net::IpAddress>& sender) {
  const auto frame = probe_frame(own, target, sender);
  if (::send(fd_.get(), frame.data(), frame.size(), 0) < 0) {
    return Error::from_errno(
        errno, "ask link " + std::to_string(ifindex_) + " for the MAC of " + target.to_string());
  }
  return Ok{};
}

Result<std::vector<ProbeReply>> Probe::receive() {
  std::vector<ProbeReply> replies;
  std::array<std::uint8_t, 512> buffer;
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return replies;
      // The NIC went down or away since; the caller hears of it as an event.
      if (errno == ENETDOWN || errno == ENODEV || errno == ENXIO) return replies;
      return Error::from_errno(errno, "receive a probe's reply");
    }
    const auto reply = parse_probe_reply(Bytes(buffer.data(), static_cast<std::size_t>(got)));
    if (reply) replies.push_back(*reply);
  }
}

}  // namespace terway::kernel
