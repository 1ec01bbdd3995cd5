// SPDX-License-Identifier: Apache-2.0
#include "kernel/token_bucket.h"

#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace terway::kernel {

namespace {

constexpr std::uint32_t kHandle = 0x10000;  // 1:

template <class T>
std::optional<T> read_as(Bytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

std::optional<TokenBucketOf> parse(const MessageView& view) {
  const auto header = view.fixed<tcmsg>();
  if (!header || header->tcm_parent != TC_H_ROOT) return std::nullopt;
  const Attributes attributes(view.rest<tcmsg>());
  if (attributes.text(TCA_KIND) != "tbf") return std::nullopt;
  const Attributes options = attributes.nest(TCA_OPTIONS);
  const auto parameters = read_as<tc_tbf_qopt>(options.find(TCA_TBF_PARMS));
  if (!parameters) return std::nullopt;
  TokenBucketOf found;
  found.ifindex = header->tcm_ifindex;
  found.bucket.rate =
      read_as<std::uint64_t>(options.find(TCA_TBF_RATE64)).value_or(parameters->rate.rate);
  found.bucket.limit = parameters->limit;
  const auto queue = read_as<gnet_stats_queue>(attributes.nest(TCA_STATS2).find(TCA_STATS_QUEUE));
  if (queue) found.waiting = queue->backlog;
  return found;
}

}  // namespace

Result<std::vector<TokenBucketOf>> list_token_buckets(Socket& socket) {
  Message message(RTM_GETQDISC);
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  message.header(header);
  std::vector<TokenBucketOf> found;
  TRY(socket.dump(std::move(message))).for_each([&](const MessageView& view) {
    if (auto bucket = parse(view)) found.push_back(*bucket);
  });
  return found;
}

Message set_token_bucket(int ifindex, const TokenBucket& bucket) {
  constexpr std::uint64_t kMost32 = std::numeric_limits<std::uint32_t>::max();
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = ifindex;
  header.tcm_handle = kHandle;
  header.tcm_parent = TC_H_ROOT;
  tc_tbf_qopt parameters{};
  // With a link layer named, the kernel needs no table of what each length costs.
  parameters.rate.linklayer = TC_LINKLAYER_ETHERNET;
  parameters.rate.rate = static_cast<std::uint32_t>(std::min(bucket.rate, kMost32));
  parameters.limit = bucket.limit;
  Message message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);
  message.header(header).put_text(TCA_KIND, "tbf");
  message.nest(TCA_OPTIONS, [&] {
    message.put(TCA_TBF_PARMS, &parameters, sizeof(parameters));
    message.put_u32(TCA_TBF_BURST, bucket.burst);
    if (bucket.rate > kMost32) message.put(TCA_TBF_RATE64, &bucket.rate, sizeof(bucket.rate));
  });
  return message;
}

}  // namespace terway::kernel
