// SPDX-License-Identifier: Apache-2.0
#include "kernel/filter.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>

namespace terway::kernel {

namespace {

std::uint32_t parent_of(Hook hook) {
  return TC_H_MAKE(TC_H_CLSACT, hook == Hook::Ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

tcmsg ours_at(int ifindex, Hook hook) {
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = ifindex;
  header.tcm_parent = parent_of(hook);
  header.tcm_handle = kFilterHandle;
  header.tcm_info = TC_H_MAKE(std::uint32_t{kFilterPriority} << 16U, htons(ETH_P_ALL));
  return header;
}

}  // namespace

std::string_view to_string(Hook hook) { return hook == Hook::Ingress ? "ingress" : "egress"; }

std::optional<Filter> parse_filter(const MessageView& message) {
  if (message.header.nlmsg_type != RTM_NEWTFILTER && message.header.nlmsg_type != RTM_DELTFILTER) {
    return std::nullopt;
  }
  const auto header = message.fixed<tcmsg>();
  if (!header) return std::nullopt;
  const bool is_head = header->tcm_handle == 0 && message.header.nlmsg_type == RTM_NEWTFILTER;
  if (is_head) return std::nullopt;
  Filter filter;
  filter.ifindex = header->tcm_ifindex;
  if (header->tcm_parent == parent_of(Hook::Egress)) {
    filter.hook = Hook::Egress;
  } else if (header->tcm_parent != parent_of(Hook::Ingress)) {
    return std::nullopt;
  }
  filter.priority = static_cast<std::uint16_t>(header->tcm_info >> 16U);
  filter.handle = header->tcm_handle;
  const Attributes attributes(message.rest<tcmsg>());
  filter.kind = attributes.text(TCA_KIND);
  if (filter.kind != "bpf") return filter;
  const Attributes options = attributes.nest(TCA_OPTIONS);
  filter.name = options.text(TCA_BPF_NAME);
  filter.program_id = options.u32(TCA_BPF_ID).value_or(0);
  const Bytes tag = options.find(TCA_BPF_TAG);
  if (tag.size() == filter.tag.size()) std::copy(tag.begin(), tag.end(), filter.tag.begin());
  return filter;
}

Result<std::vector<Filter>> list_filters(Socket& socket, int ifindex, Hook hook) {
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = ifindex;
  header.tcm_parent = parent_of(hook);
  Message message(RTM_GETTFILTER);
  message.header(header);
  std::vector<Filter> filters;
  TRY(socket.dump(std::move(message))).for_each([&](const MessageView& view) {
    if (auto filter = parse_filter(view)) filters.push_back(std::move(*filter));
  });
  return filters;
}

Message set_filter(int ifindex, Hook hook, int program, std::string_view name) {
  Message message(RTM_NEWTFILTER, NLM_F_CREATE);
  message.header(ours_at(ifindex, hook)).put_text(TCA_KIND, "bpf");
  message.nest(TCA_OPTIONS, [&] {
    message.put_u32(TCA_BPF_FD, static_cast<std::uint32_t>(program));
    message.put_text(TCA_BPF_NAME, name);
    message.put_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
  });
  return message;
}

Message delete_filter(int ifindex, Hook hook) {
  Message message(RTM_DELTFILTER);
  message.header(ours_at(ifindex, hook)).put_text(TCA_KIND, "bpf");
  return message;
}

}  // namespace terway::kernel
