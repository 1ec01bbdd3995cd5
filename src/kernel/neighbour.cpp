// SPDX-License-Identifier: Apache-2.0
#include "kernel/neighbour.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace terway::kernel {

namespace {

ndmsg header_of(int ifindex, const net::IpAddress& address) {
  ndmsg header{};
  header.ndm_family = address.is_v4() ? AF_INET : AF_INET6;
  header.ndm_ifindex = ifindex;
  return header;
}

}  // namespace

bool Neighbour::permanent() const { return (state & NUD_PERMANENT) != 0; }

std::optional<Neighbour> parse_neighbour(const MessageView& message) {
  if (message.header.nlmsg_type != RTM_NEWNEIGH && message.header.nlmsg_type != RTM_DELNEIGH) {
    return std::nullopt;
  }
  const auto header = message.fixed<ndmsg>();
  if (!header) return std::nullopt;
  const Attributes attributes(message.rest<ndmsg>());
  const auto address = attributes.address(NDA_DST);
  if (!address) return std::nullopt;
  Neighbour neighbour;
  neighbour.ifindex = header->ndm_ifindex;
  neighbour.address = *address;
  neighbour.mac = attributes.mac(NDA_LLADDR).value_or(net::Mac{});
  neighbour.state = header->ndm_state;
  return neighbour;
}

Result<std::vector<Neighbour>> list_neighbours(Socket& socket, net::Family family, int ifindex) {
  ndmsg header{};
  header.ndm_family = family == net::Family::V4 ? AF_INET : AF_INET6;
  Message message(RTM_GETNEIGH);
  message.header(header);
  if (ifindex != 0) message.put_u32(NDA_IFINDEX, static_cast<std::uint32_t>(ifindex));
  std::vector<Neighbour> neighbours;
  TRY(socket.dump(std::move(message))).for_each([&](const MessageView& view) {
    const auto neighbour = parse_neighbour(view);
    if (neighbour && (ifindex == 0 || neighbour->ifindex == ifindex)) {
      neighbours.push_back(*neighbour);
    }
  });
  return neighbours;
}

Message set_neighbour(int ifindex, const net::IpAddress& address, const net::Mac& mac) {
  ndmsg header = header_of(ifindex, address);
  header.ndm_state = NUD_PERMANENT;
  Message message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  message.header(header).put_address(NDA_DST, address).put_mac(NDA_LLADDR, mac);
  return message;
}

Message delete_neighbour(int ifindex, const net::IpAddress& address) {
  Message message(RTM_DELNEIGH);
  message.header(header_of(ifindex, address)).put_address(NDA_DST, address);
  return message;
}

Result<> flush_neighbour(Socket& socket, const net::IpAddress& address) {
  std::vector<Message> messages;
  for (const auto& neighbour : TRY(list_neighbours(socket, address.family()))) {
    if (neighbour.address != address || neighbour.permanent()) continue;
    messages.push_back(delete_neighbour(neighbour.ifindex, address));
  }
  if (messages.empty()) return Ok{};
  for (auto& result : TRY(socket.batch(messages))) {
    // Aged out between the dump and the request: as wanted.
    if (!result.ok() && !result.is(Error::Kind::NotFound)) return result.take_error();
  }
  return Ok{};
}

}  // namespace terway::kernel
