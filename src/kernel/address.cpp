// SPDX-License-Identifier: Apache-2.0
#include "kernel/address.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace terway::kernel {

namespace {

ifaddrmsg header_of(int ifindex, const net::Prefix& prefix) {
  ifaddrmsg header{};
  header.ifa_family = prefix.family() == net::Family::V4 ? AF_INET : AF_INET6;
  header.ifa_prefixlen = prefix.length;
  header.ifa_index = static_cast<std::uint32_t>(ifindex);
  return header;
}

}  // namespace

bool Address::tentative() const { return (flags & IFA_F_TENTATIVE) != 0; }

std::optional<Address> parse_address(const MessageView& message) {
  if (message.header.nlmsg_type != RTM_NEWADDR && message.header.nlmsg_type != RTM_DELADDR) {
    return std::nullopt;
  }
  const auto header = message.fixed<ifaddrmsg>();
  if (!header) return std::nullopt;
  const Attributes attributes(message.rest<ifaddrmsg>());
  // On point-to-point links IFA_ADDRESS is the far end; IFA_LOCAL, where given, is ours.
  auto local = attributes.address(IFA_LOCAL);
  if (!local) local = attributes.address(IFA_ADDRESS);
  if (!local || header->ifa_prefixlen > local->full_length()) return std::nullopt;
  Address address;
  address.ifindex = static_cast<int>(header->ifa_index);
  address.prefix = {*local, header->ifa_prefixlen};
  address.scope = header->ifa_scope;
  address.flags = attributes.u32(IFA_FLAGS).value_or(header->ifa_flags);
  return address;
}

Result<std::vector<Address>> list_addresses(Socket& socket, net::Family family, int ifindex) {
  ifaddrmsg header{};
  header.ifa_family = family == net::Family::V4 ? AF_INET : AF_INET6;
  header.ifa_index = static_cast<std::uint32_t>(ifindex);
  Message message(RTM_GETADDR);
  message.header(header);
  std::vector<Address> addresses;
  TRY(socket.dump(std::move(message))).for_each([&](const MessageView& view) {
    const auto address = parse_address(view);
    if (address && (ifindex == 0 || address->ifindex == ifindex)) addresses.push_back(*address);
  });
  return addresses;
}

Message add_address(int ifindex, const net::Prefix& prefix, std::uint32_t flags,
                    std::uint8_t scope) {
  ifaddrmsg header = header_of(ifindex, prefix);
  header.ifa_scope = scope;
  Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
  message.header(header).put_address(IFA_LOCAL, prefix.address);
  message.put_address(IFA_ADDRESS, prefix.address).put_u32(IFA_FLAGS, flags);
  return message;
}

Message delete_address(int ifindex, const net::Prefix& prefix) {
  Message message(RTM_DELADDR);
  message.header(header_of(ifindex, prefix)).put_address(IFA_LOCAL, prefix.address);
  return message;
}

}  // namespace terway::kernel
