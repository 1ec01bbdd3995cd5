// SPDX-License-Identifier: Apache-2.0
#include "kernel/monitor.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>

namespace terway::kernel {

namespace {

// A datagram holds one event; links are the largest, a few KiB.
constexpr std::size_t kReceiveBuffer = 65536;

Result<> join(const Socket& socket, int group) {
  if (::setsockopt(socket.fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) {
    return Error::from_errno(errno, "join netlink group " + std::to_string(group));
  }
  return Ok{};
}

template <class Parsed>
std::optional<Event> event_of(const MessageView& message, bool removed,
                              std::optional<Parsed> what) {
  if (!what) return std::nullopt;
  return Event{removed, message.header.nlmsg_pid, std::move(*what)};
}

}  // namespace

std::optional<Event> parse_event(const MessageView& message) {
  const std::uint16_t type = message.header.nlmsg_type;
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return event_of(message, type == RTM_DELLINK, parse_link(message));
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return event_of(message, type == RTM_DELADDR, parse_address(message));
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return event_of(message, type == RTM_DELROUTE, parse_route(message));
    case RTM_NEWRULE:
    case RTM_DELRULE:
      return event_of(message, type == RTM_DELRULE, parse_rule(message));
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return event_of(message, type == RTM_DELNEIGH, parse_neighbour(message));
    case RTM_NEWQDISC:
    case RTM_DELQDISC:
      return event_of(message, type == RTM_DELQDISC, parse_qdisc(message));
    case RTM_NEWTFILTER:
    case RTM_DELTFILTER:
      return event_of(message, type == RTM_DELTFILTER, parse_filter(message));
    default:
      break;
  }
  if ((type >> 8U) != NFNL_SUBSYS_NFTABLES || (type & 0xffU) == NFT_MSG_NEWGEN) {
    return std::nullopt;
  }
  // Every kind of object names its table in attribute 1.
  static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
                NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1);
  TableChange change{std::string(Attributes(message.rest<nfgenmsg>()).text(NFTA_TABLE_NAME))};
  if (change.table.empty()) return std::nullopt;
  const unsigned operation = type & 0xffU;
  const bool removed = operation == NFT_MSG_DELTABLE || operation == NFT_MSG_DELCHAIN ||
                       operation == NFT_MSG_DELRULE || operation == NFT_MSG_DELSET ||
                       operation == NFT_MSG_DELSETELEM;
  return Event{removed, message.header.nlmsg_pid, std::move(change)};
}

Monitor::Monitor(Socket socket) : socket_(std::move(socket)), buffer_(kReceiveBuffer) {}

Result<Monitor> Monitor::open(const Groups& groups) {
  Monitor monitor(TRY(Socket::open(Protocol::Route)));
  std::vector<int> wanted;
  if (groups.links) wanted.push_back(RTNLGRP_LINK);
  if (groups.addresses) wanted.insert(wanted.end(), {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR});
  if (groups.routes) wanted.insert(wanted.end(), {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE});
  if (groups.rules) wanted.insert(wanted.end(), {RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE});
  if (groups.neighbours) wanted.push_back(RTNLGRP_NEIGH);
  if (groups.filters) wanted.push_back(RTNLGRP_TC);
  const int yes = 1;
  if (groups.everywhere && ::setsockopt(monitor.socket_.fd(), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID,
                                        &yes, sizeof(yes)) != 0) {
    return Error::from_errno(errno, "listen to the events of other namespaces");
  }
  for (const int group : wanted) TRY(join(monitor.socket_, group));
  return monitor;
}

Result<Monitor> Monitor::open_nftables() {
  Monitor monitor(TRY(Socket::open(Protocol::Netfilter)));
  TRY(join(monitor.socket_, NFNLGRP_NFTABLES));
  return monitor;
}

Result<Monitor::Batch> Monitor::read() {
  Batch batch;
  for (;;) {
    const ssize_t got = ::recv(socket_.fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return batch;
      if (errno != ENOBUFS) return Error::from_errno(errno, "read kernel events");
      batch.lost = true;
      continue;
    }
    Bytes rest(buffer_.data(), static_cast<std::size_t>(got));
    while (const auto message = next_message(rest)) {
      if (auto event = parse_event(*message)) batch.events.push_back(std::move(*event));
    }
  }
}

}  // namespace terway::kernel
