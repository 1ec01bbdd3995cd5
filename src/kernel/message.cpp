// SPDX-License-Identifier: Apache-2.0
#include "kernel/message.h"

#include <arpa/inet.h>
#include <endian.h>

#include <algorithm>

namespace terway::kernel {

namespace {

constexpr std::size_t aligned(std::size_t size) { return (size + 3U) & ~std::size_t{3}; }

template <class Number>
std::optional<Number> number(Bytes bytes) {
  if (bytes.size() != sizeof(Number)) return std::nullopt;
  Number value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

}  // namespace

Message::Message(std::uint16_t type, std::uint16_t flags) {
  buffer_.reserve(256);
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  append(&header, sizeof(header));
}

void Message::append(const void* data, std::size_t size) {
  const std::size_t start = buffer_.size();
  buffer_.resize(start + aligned(size));
  if (size > 0) std::memcpy(buffer_.data() + start, data, size);
  write_length();
}

void Message::write_length() {
  const auto length = static_cast<std::uint32_t>(buffer_.size());
  std::memcpy(buffer_.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof(length));
}

Message& Message::put(std::uint16_t type, const void* data, std::size_t size) {
  nlattr attribute{};
  attribute.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + static_cast<int>(size));
  attribute.nla_type = type;
  append(&attribute, sizeof(attribute));
  if (size > 0) append(data, size);
  return *this;
}

Message& Message::put_be16(std::uint16_t type, std::uint16_t value) {
  const std::uint16_t wire = htobe16(value);
  return put(type, &wire, sizeof(wire));
}

Message& Message::put_be32(std::uint16_t type, std::uint32_t value) {
  const std::uint32_t wire = htobe32(value);
  return put(type, &wire, sizeof(wire));
}

Message& Message::put_be64(std::uint16_t type, std::uint64_t value) {
  const std::uint64_t wire = htobe64(value);
  return put(type, &wire, sizeof(wire));
}

Message& Message::put_text(std::uint16_t type, std::string_view text) {
  const std::string terminated(text);
  return put(type, terminated.c_str(), terminated.size() + 1);
}

std::size_t Message::open_nest(std::uint16_t type) {
  const std::size_t start = buffer_.size();
  put(type, nullptr, 0);
  return start;
}

void Message::close_nest(std::size_t start) {
  const auto length = static_cast<std::uint16_t>(buffer_.size() - start);
  std::memcpy(buffer_.data() + start + offsetof(nlattr, nla_len), &length, sizeof(length));
}

void Message::add_flags(std::uint16_t flags) {
  std::uint16_t value;
  std::memcpy(&value, buffer_.data() + offsetof(nlmsghdr, nlmsg_flags), sizeof(value));
  value = static_cast<std::uint16_t>(value | flags);
  std::memcpy(buffer_.data() + offsetof(nlmsghdr, nlmsg_flags), &value, sizeof(value));
}

void Message::set_sequence(std::uint32_t sequence) {
  std::memcpy(buffer_.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence, sizeof(sequence));
}

std::uint32_t Message::sequence() const {
  std::uint32_t value;
  std::memcpy(&value, buffer_.data() + offsetof(nlmsghdr, nlmsg_seq), sizeof(value));
  return value;
}

std::uint16_t Message::type() const {
  std::uint16_t value;
  std::memcpy(&value, buffer_.data() + offsetof(nlmsghdr, nlmsg_type), sizeof(value));
  return value;
}

std::optional<MessageView> next_message(Bytes& buffer) {
  if (buffer.size() < sizeof(nlmsghdr)) return std::nullopt;
  MessageView view;
  std::memcpy(&view.header, buffer.data(), sizeof(view.header));
  const std::size_t length = view.header.nlmsg_len;
  if (length < sizeof(nlmsghdr) || length > buffer.size()) return std::nullopt;
  view.payload = buffer.subspan(sizeof(nlmsghdr), length - sizeof(nlmsghdr));
  buffer = buffer.subspan(std::min(aligned(length), buffer.size()));
  return view;
}

std::optional<AttributeView> next_attribute(Bytes& buffer) {
  if (buffer.size() < sizeof(nlattr)) return std::nullopt;
  nlattr header;
  std::memcpy(&header, buffer.data(), sizeof(header));
  if (header.nla_len < sizeof(nlattr) || header.nla_len > buffer.size()) return std::nullopt;
  AttributeView view;
  view.type = static_cast<std::uint16_t>(header.nla_type & NLA_TYPE_MASK);
  view.value = buffer.subspan(sizeof(nlattr), header.nla_len - sizeof(nlattr));
  buffer = buffer.subspan(std::min(aligned(header.nla_len), buffer.size()));
  return view;
}

Attributes::Attributes(Bytes bytes) {
  while (const auto attribute = next_attribute(bytes)) {
    if (attribute->type < kMost) found_[attribute->type] = attribute->value;
  }
}

std::optional<std::uint8_t> Attributes::u8(std::uint16_t type) const {
  return number<std::uint8_t>(find(type));
}

std::optional<std::uint16_t> Attributes::u16(std::uint16_t type) const {
  return number<std::uint16_t>(find(type));
}

std::optional<std::uint32_t> Attributes::u32(std::uint16_t type) const {
  return number<std::uint32_t>(find(type));
}

std::optional<std::int32_t> Attributes::s32(std::uint16_t type) const {
  return number<std::int32_t>(find(type));
}

std::optional<std::uint32_t> Attributes::be32(std::uint16_t type) const {
  const auto wire = u32(type);
  if (!wire) return std::nullopt;
  return be32toh(*wire);
}

std::string_view Attributes::text(std::uint16_t type) const {
  const Bytes bytes = find(type);
  const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{0});
  return {reinterpret_cast<const char*>(bytes.data()),
          static_cast<std::size_t>(end - bytes.begin())};
}

std::optional<net::IpAddress> Attributes::address(std::uint16_t type) const {
  const Bytes bytes = find(type);
  if (bytes.size() == 4) return net::IpAddress::from_v4_bytes(bytes.data());
  if (bytes.size() == 16) return net::IpAddress::from_v6_bytes(bytes.data());
  return std::nullopt;
}

std::optional<net::Mac> Attributes::mac(std::uint16_t type) const {
  const Bytes bytes = find(type);
  net::Mac mac;
  if (bytes.size() != mac.bytes.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), mac.bytes.begin());
  return mac;
}

}  // namespace terway::kernel
