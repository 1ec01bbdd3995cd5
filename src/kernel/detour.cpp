// SPDX-License-Identifier: Apache-2.0
#include "kernel/detour.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace terway::kernel {

namespace {

std::uint32_t priority_of(Hook hook) {
  return std::uint32_t{hook == Hook::Ingress ? kIngressDetourPriority : kEgressDetourPriority}
         << 16U;
}

tcmsg at(int ifindex, Hook hook, std::uint32_t handle) {
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = ifindex;
  header.tcm_handle = handle;
  header.tcm_parent =
      TC_H_MAKE(TC_H_CLSACT, hook == Hook::Ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
  header.tcm_info = priority_of(hook) | htons(ETH_P_ALL);
  return header;
}

std::optional<Detour> parse(const MessageView& view, Hook hook) {
  const auto header = view.fixed<tcmsg>();
  if (!header || TC_H_MAJ(header->tcm_info) != priority_of(hook)) return std::nullopt;
  const Attributes attributes(view.rest<tcmsg>());
  if (attributes.text(TCA_KIND) != "u32") return std::nullopt;
  const Attributes action = attributes.nest(TCA_OPTIONS).nest(TCA_U32_ACT).nest(1);
  const Bytes parameters = action.nest(TCA_ACT_OPTIONS).find(TCA_MIRRED_PARMS);
  tc_mirred mirred{};
  if (action.text(TCA_ACT_KIND) != "mirred" || parameters.size() < sizeof(mirred)) {
    return std::nullopt;
  }
  std::memcpy(&mirred, parameters.data(), sizeof(mirred));
  return Detour{static_cast<int>(mirred.ifindex), header->tcm_handle};
}

}  // namespace

Result<std::optional<Detour>> find_detour(Socket& socket, int ifindex, Hook hook) {
  tcmsg header = at(ifindex, hook, 0);
  header.tcm_info = 0;
  Message message(RTM_GETTFILTER);
  message.header(header);
  std::optional<Detour> found;
  TRY(socket.dump(std::move(message))).for_each([&](const MessageView& view) {
    if (const auto detour = parse(view, hook)) found = detour;
  });
  return found;
}

Message set_detour(int ifindex, Hook hook, int through, std::uint32_t handle) {
  tc_u32_sel selector{};
  selector.flags = TC_U32_TERMINAL;
  selector.nkeys = 1;
  // Its one key, behind it, is all zeros: it compares nothing.
  std::array<std::uint8_t, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> everything{};
  std::memcpy(everything.data(), &selector, sizeof(selector));
  tc_mirred mirred{};
  mirred.action = TC_ACT_STOLEN;
  mirred.eaction = TCA_EGRESS_REDIR;
  mirred.ifindex = static_cast<std::uint32_t>(through);
  Message message(RTM_NEWTFILTER, NLM_F_CREATE);
  message.header(at(ifindex, hook, handle)).put_text(TCA_KIND, "u32");
  message.nest(TCA_OPTIONS, [&] {
    message.put(TCA_U32_SEL, everything.data(), everything.size());
    message.nest(TCA_U32_ACT, [&] {
      message.nest(1, [&] {
        message.put_text(TCA_ACT_KIND, "mirred");
        message.nest(TCA_ACT_OPTIONS | NLA_F_NESTED,
                     [&] { message.put(TCA_MIRRED_PARMS, &mirred, sizeof(mirred)); });
      });
    });
  });
  return message;
}

Message delete_detour(int ifindex, Hook hook) {
  // With the table that u32 made for it: a lone node would leave that behind.
  Message message(RTM_DELTFILTER);
  message.header(at(ifindex, hook, 0)).put_text(TCA_KIND, "u32");
  return message;
}

}  // namespace terway::kernel
