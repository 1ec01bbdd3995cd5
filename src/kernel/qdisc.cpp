// SPDX-License-Identifier: Apache-2.0
#include "kernel/qdisc.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace terway::kernel {

namespace {

tcmsg header_of(int ifindex, std::uint32_t handle, std::uint32_t parent) {
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = ifindex;
  header.tcm_handle = handle;
  header.tcm_parent = parent;
  return header;
}

tcmsg clsact_of(int ifindex) { return header_of(ifindex, TC_H_MAKE(TC_H_CLSACT, 0U), TC_H_CLSACT); }

}  // namespace

std::optional<Qdisc> parse_qdisc(const MessageView& message) {
  if (message.header.nlmsg_type != RTM_NEWQDISC && message.header.nlmsg_type != RTM_DELQDISC) {
    return std::nullopt;
  }
  const auto header = message.fixed<tcmsg>();
  if (!header) return std::nullopt;
  const Attributes attributes(message.rest<tcmsg>());
  return Qdisc{header->tcm_ifindex, std::string(attributes.text(TCA_KIND)), header->tcm_handle,
               header->tcm_parent};
}

Result<std::vector<Qdisc>> list_qdiscs(Socket& socket, int ifindex) {
  Message message(RTM_GETQDISC);
  message.header(header_of(ifindex, 0, 0));
  std::vector<Qdisc> qdiscs;
  TRY(socket.dump(std::move(message))).for_each([&](const MessageView& view) {
    auto qdisc = parse_qdisc(view);
    // The kernel gives all of them, whatever the header says.
    if (qdisc && (ifindex == 0 || qdisc->ifindex == ifindex)) qdiscs.push_back(std::move(*qdisc));
  });
  return qdiscs;
}

Message add_clsact(int ifindex) {
  Message message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
  message.header(clsact_of(ifindex)).put_text(TCA_KIND, "clsact");
  return message;
}

Message delete_clsact(int ifindex) {
  Message message(RTM_DELQDISC);
  message.header(clsact_of(ifindex));
  return message;
}

}  // namespace terway::kernel
