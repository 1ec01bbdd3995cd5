// SPDX-License-Identifier: Apache-2.0
// Netlink messages as bytes: written by Message, read by MessageView and Attributes. No sockets, so
// that tests and fuzzers can feed bytes without a kernel. (include/uapi/linux/netlink.h)
#pragma once

#include <linux/netlink.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace terway::kernel {

using Bytes = std::span<const std::uint8_t>;

// One request being written. Attributes go in order; NLM_F_REQUEST is always set. Numbers are in
// host byte order unless the name says be.
class Message {
 public:
  explicit Message(std::uint16_t type, std::uint16_t flags = 0);

  // The family's fixed header; before any attribute.
  template <class Header>
  Message& header(const Header& fixed) {
    append(&fixed, sizeof(fixed));
    return *this;
  }

  Message& put(std::uint16_t type, const void* data, std::size_t size);
  Message& put_flag(std::uint16_t type) { return put(type, nullptr, 0); }
  Message& put_u8(std::uint16_t type, std::uint8_t value) { return put(type, &value, 1); }
  Message& put_u32(std::uint16_t type, std::uint32_t value) {
    return put(type, &value, sizeof(value));
  }
  Message& put_be16(std::uint16_t type, std::uint16_t value);
  Message& put_be32(std::uint16_t type, std::uint32_t value);
  Message& put_be64(std::uint16_t type, std::uint64_t value);
  // With the terminating zero.
  Message& put_text(std::uint16_t type, std::string_view text);
  // 4 or 16 bytes.
  Message& put_address(std::uint16_t type, const net::IpAddress& address) {
    return put(type, address.wire(), address.wire_size());
  }
  Message& put_mac(std::uint16_t type, const net::Mac& mac) {
    return put(type, mac.bytes.data(), mac.bytes.size());
  }
  // Whatever `fill` puts, inside one attribute. NLA_F_NESTED is the caller's to add: rtnetlink's
  // old attributes go without.
  template <class Fill>
  Message& nest(std::uint16_t type, Fill&& fill) {
    const std::size_t start = open_nest(type);
    fill();
    close_nest(start);
    return *this;
  }
  // A fixed header inside a nest (the peer of a veth).
  template <class Header>
  Message& raw(const Header& fixed) {
    append(&fixed, sizeof(fixed));
    return *this;
  }

  void add_flags(std::uint16_t flags);
  void set_sequence(std::uint32_t sequence);
  std::uint32_t sequence() const;
  std::uint16_t type() const;
  Bytes bytes() const { return buffer_; }

 private:
  void append(const void* data, std::size_t size);
  std::size_t open_nest(std::uint16_t type);
  void close_nest(std::size_t start);
  void write_length();

  std::vector<std::uint8_t> buffer_;  // nlmsg_len is always right
};

// One received message; a view into the receiver's buffer.
struct MessageView {
  nlmsghdr header{};
  Bytes payload;  // behind the nlmsghdr

  // The family's fixed header, nullopt when the payload is too short for one.
  template <class Header>
  std::optional<Header> fixed() const {
    if (payload.size() < sizeof(Header)) return std::nullopt;
    Header value;
    std::memcpy(&value, payload.data(), sizeof(value));
    return value;
  }
  // What follows the fixed header.
  template <class Header>
  Bytes rest() const {
    constexpr std::size_t kAligned = NLMSG_ALIGN(sizeof(Header));
    return payload.size() <= kAligned ? Bytes{} : payload.subspan(kAligned);
  }
};

// Takes the first message off `buffer`; nullopt at the end and where the length field lies.
std::optional<MessageView> next_message(Bytes& buffer);

// The attributes of one level, found by type in O(1). Later ones win; types beyond kMost are
// skipped; a malformed tail is ignored, as the kernel's own readers do.
class Attributes {
 public:
  static constexpr std::uint16_t kMost = 80;

  explicit Attributes(Bytes bytes);

  bool has(std::uint16_t type) const { return find(type).data() != nullptr; }
  Bytes find(std::uint16_t type) const { return type < kMost ? found_[type] : Bytes{}; }
  // nullopt when absent or of another size.
  std::optional<std::uint8_t> u8(std::uint16_t type) const;
  std::optional<std::uint16_t> u16(std::uint16_t type) const;
  std::optional<std::uint32_t> u32(std::uint16_t type) const;
  std::optional<std::int32_t> s32(std::uint16_t type) const;
  std::optional<std::uint32_t> be32(std::uint16_t type) const;
  // Up to the first zero; empty when absent.
  std::string_view text(std::uint16_t type) const;
  // By size: 4 bytes are IPv4, 16 are IPv6.
  std::optional<net::IpAddress> address(std::uint16_t type) const;
  std::optional<net::Mac> mac(std::uint16_t type) const;
  Attributes nest(std::uint16_t type) const { return Attributes(find(type)); }

 private:
  std::array<Bytes, kMost> found_{};
};

// Takes the first attribute off `buffer`: for lists, whose types repeat.
struct AttributeView {
  std::uint16_t type = 0;  // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
  Bytes value;
};
std::optional<AttributeView> next_attribute(Bytes& buffer);

// One line that tells a person what a route message is about: "RTM_NEWROUTE 10.0.0.7/32 table
// 1042".
std::string describe(const MessageView& message);

}  // namespace terway::kernel
