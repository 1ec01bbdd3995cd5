// SPDX-License-Identifier: Apache-2.0
#include "kernel/conntrack.h"

#include <endian.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <set>

namespace terway::kernel {

namespace {

constexpr std::uint16_t request_type(unsigned operation) {
  return static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8U) | operation);
}

// Which fields of a tuple a filter compares. Not in the uapi headers, though part of the interface
// (net/netfilter/nf_internals.h, CTA_FILTER_F_CTA_IP_SRC; libnetfilter_conntrack has its own copy
// too).
constexpr std::uint32_t kFilterIpSource = 1U << 0;

// Entries that can be listed in the time that walking an empty table takes.
constexpr std::uint32_t kEntriesPerWalk = 10000;

nfgenmsg header_of(std::uint8_t family) {
  nfgenmsg header{};
  header.nfgen_family = family;
  header.version = NFNETLINK_V0;
  return header;
}

std::uint8_t family_number(net::Family family) {
  return family == net::Family::V4 ? AF_INET : AF_INET6;
}

struct Tuple {
  net::IpAddress source;
  net::IpAddress destination;
  std::uint8_t protocol = 0;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};

std::optional<Tuple> parse_tuple(const Attributes& tuple) {
  const Attributes ip = tuple.nest(CTA_TUPLE_IP);
  const Attributes proto = tuple.nest(CTA_TUPLE_PROTO);
  auto source = ip.address(CTA_IP_V4_SRC);
  auto destination = ip.address(CTA_IP_V4_DST);
  if (!source) source = ip.address(CTA_IP_V6_SRC);
  if (!destination) destination = ip.address(CTA_IP_V6_DST);
  if (!source || !destination) return std::nullopt;
  return Tuple{*source, *destination, proto.u8(CTA_PROTO_NUM).value_or(0),
               be16toh(proto.u16(CTA_PROTO_SRC_PORT).value_or(0)),
               be16toh(proto.u16(CTA_PROTO_DST_PORT).value_or(0))};
}

// Connections whose source, in the direction named, is the address.
Message list_by_source(const net::IpAddress& address, ctattr_type direction) {
  Message message(request_type(IPCTNL_MSG_CT_GET));
  message.header(header_of(family_number(address.family())));
  message.nest(static_cast<std::uint16_t>(direction | NLA_F_NESTED), [&] {
    message.nest(CTA_TUPLE_IP | NLA_F_NESTED, [&] {
      message.put_address(address.is_v4() ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, address);
    });
  });
  message.nest(CTA_FILTER | NLA_F_NESTED, [&] {
    message.put_u32(CTA_FILTER_ORIG_FLAGS, direction == CTA_TUPLE_ORIG ? kFilterIpSource : 0);
    message.put_u32(CTA_FILTER_REPLY_FLAGS, direction == CTA_TUPLE_REPLY ? kFilterIpSource : 0);
  });
  return message;
}

// By the very bytes that the kernel gave, so that zones and unknown protocols come out right.
Message delete_same(const MessageView& listed) {
  Message message(request_type(IPCTNL_MSG_CT_DELETE));
  message.header(header_of(listed.fixed<nfgenmsg>()->nfgen_family));
  const Attributes attributes(listed.rest<nfgenmsg>());
  for (const std::uint16_t type : {CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID}) {
    const Bytes value = attributes.find(type);
    if (value.empty()) continue;
    const bool nested = type == CTA_TUPLE_ORIG;
    message.put(static_cast<std::uint16_t>(type | (nested ? NLA_F_NESTED : 0)), value.data(),
                value.size());
  }
  return message;
}

}  // namespace

std::optional<Connection> parse_connection(const MessageView& message) {
  if (message.header.nlmsg_type != request_type(IPCTNL_MSG_CT_NEW) &&
      message.header.nlmsg_type != request_type(IPCTNL_MSG_CT_DELETE)) {
    return std::nullopt;
  }
  if (!message.fixed<nfgenmsg>()) return std::nullopt;
  const Attributes attributes(message.rest<nfgenmsg>());
  const auto original = parse_tuple(attributes.nest(CTA_TUPLE_ORIG));
  const auto reply = parse_tuple(attributes.nest(CTA_TUPLE_REPLY));
  if (!original || !reply) return std::nullopt;
  Connection connection;
  connection.source = original->source;
  connection.destination = original->destination;
  connection.reply_source = reply->source;
  connection.reply_destination = reply->destination;
  connection.protocol = original->protocol;
  connection.source_port = original->source_port;
  connection.destination_port = original->destination_port;
  connection.mark = attributes.be32(CTA_MARK).value_or(0);
  return connection;
}

Result<std::vector<Connection>> list_connections(Socket& socket, net::Family family) {
  Message message(request_type(IPCTNL_MSG_CT_GET));
  message.header(header_of(family_number(family)));
  std::vector<Connection> connections;
  TRY(socket.dump(std::move(message))).for_each([&](const MessageView& view) {
    if (const auto connection = parse_connection(view)) connections.push_back(*connection);
  });
  return connections;
}

Result<std::uint32_t> count_connections(Socket& socket) {
  Message message(request_type(IPCTNL_MSG_CT_GET_STATS));
  message.header(header_of(AF_UNSPEC));
  const auto answer = TRY(socket.ask(std::move(message)));
  Bytes bytes(answer);
  const auto view = next_message(bytes);
  const auto count =
      view ? Attributes(view->rest<nfgenmsg>()).be32(CTA_STATS_GLOBAL_ENTRIES) : std::nullopt;
  if (!count) return Error(Error::Kind::Internal, "conntrack statistics without a count");
  return *count;
}

Result<std::uint32_t> flush_connections_of(Socket& socket,
                                           const std::vector<net::IpAddress>& addresses) {
  std::uint32_t deleted = 0;
  if (addresses.empty()) return deleted;
  const std::uint32_t present = TRY(count_connections(socket));
  if (present == 0) return deleted;
  const std::set<net::IpAddress> wanted(addresses.begin(), addresses.end());
  std::vector<Message> deletions;
  const auto collect = [&](const MessageView& view) {
    const auto connection = parse_connection(view);
    if (!connection) return;
    if (wanted.contains(connection->source) || wanted.contains(connection->reply_source)) {
      deletions.push_back(delete_same(view));
    }
  };
  const std::size_t walks_saved = 2 * wanted.size() - 1;
  if (present < walks_saved * kEntriesPerWalk) {
    Message message(request_type(IPCTNL_MSG_CT_GET));
    message.header(header_of(AF_UNSPEC));
    TRY(socket.dump(std::move(message))).for_each(collect);
  } else {
    for (const net::IpAddress& address : wanted) {
      TRY(socket.dump(list_by_source(address, CTA_TUPLE_ORIG))).for_each(collect);
      TRY(socket.dump(list_by_source(address, CTA_TUPLE_REPLY))).for_each(collect);
    }
  }
  if (deletions.empty()) return deleted;
  for (auto& result : TRY(socket.batch(deletions))) {
    if (result.ok()) ++deleted;
    // Timed out since, or listed twice: as wanted.
    if (!result.ok() && !result.is(Error::Kind::NotFound)) return result.take_error();
  }
  return deleted;
}

Result<> flush_connections_marked(Socket& socket, std::uint32_t mark, std::uint32_t mask) {
  if (mask == 0) return Error(Error::Kind::Invalid, "flushing connections by mark needs a mask");
  Message message(request_type(IPCTNL_MSG_CT_DELETE));
  message.header(header_of(AF_UNSPEC)).put_be32(CTA_MARK, mark).put_be32(CTA_MARK_MASK, mask);
  return socket.request(std::move(message));
}

}  // namespace terway::kernel
