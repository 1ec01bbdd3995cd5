// SPDX-License-Identifier: Apache-2.0
// Reading foreign rules just far enough to see which mark bits they write.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include <map>

#include "kernel/nftables.h"

namespace terway::kernel::nft {

namespace {

std::optional<std::uint32_t> number_at(Bytes bytes, std::size_t offset) {
  if (bytes.size() < offset + sizeof(std::uint32_t)) return std::nullopt;
  std::uint32_t value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

// The bits that (value & mask) ^ flip may change, for any value.
std::uint32_t bits_of_bitwise(const Attributes& data) {
  const auto mask = number_at(data.nest(NFTA_BITWISE_MASK).find(NFTA_DATA_VALUE), 0);
  const auto flip = number_at(data.nest(NFTA_BITWISE_XOR).find(NFTA_DATA_VALUE), 0);
  return mask && flip ? ~*mask | *flip : 0xffffffffU;
}

// struct xt_mark_tginfo2 is {mark, mask}: mark = (mark & ~mask) ^ mark.
// struct xt_connmark_tginfo1 is {ctmark, ctmask, nfmask, mode}; mode 0 sets, 1 saves, 2 restores.
std::uint32_t bits_of_target(const Attributes& data) {
  const std::string_view name = data.text(NFTA_TARGET_NAME);
  const Bytes info = data.find(NFTA_TARGET_INFO);
  const auto first = number_at(info, 0);
  const auto second = number_at(info, 4);
  if (!first || !second) return 0;
  if (name == "MARK") return *first | *second;
  if (name != "CONNMARK") return 0;
  const auto restored = number_at(info, 8);
  const auto mode = number_at(info, 12);
  if (restored && mode && (*mode & 0xffU) == 2) return *restored;
  return *first | *second;
}

bool stores_mark(std::string_view name, const Attributes& data) {
  if (name == "meta") {
    return data.has(NFTA_META_SREG) && data.be32(NFTA_META_KEY) == NFT_META_MARK;
  }
  return name == "ct" && data.has(NFTA_CT_SREG) && data.be32(NFTA_CT_KEY) == NFT_CT_MARK;
}

}  // namespace

std::optional<MarkWriter> parse_mark_writer(const MessageView& message) {
  if (message.header.nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8U) | NFT_MSG_NEWRULE)) {
    return std::nullopt;
  }
  const Attributes rule(message.rest<nfgenmsg>());
  MarkWriter writer{std::string(rule.text(NFTA_RULE_TABLE)),
                    std::string(rule.text(NFTA_RULE_CHAIN)), 0};
  // By register: what the last bitwise expression leaves open. A mark that comes from anything else
  // (a constant, a map) replaces all bits.
  std::map<std::uint32_t, std::uint32_t> open_bits;
  Bytes list = rule.find(NFTA_RULE_EXPRESSIONS);
  while (const auto item = next_attribute(list)) {
    const Attributes expression(item->value);
    const std::string_view name = expression.text(NFTA_EXPR_NAME);
    const Attributes data = expression.nest(NFTA_EXPR_DATA);
    if (name == "bitwise") {
      open_bits[data.be32(NFTA_BITWISE_DREG).value_or(0)] = bits_of_bitwise(data);
    } else if (name == "target") {
      writer.bits |= bits_of_target(data);
    } else if (stores_mark(name, data)) {
      const auto source =
          data.be32(name == "meta" ? std::uint16_t{NFTA_META_SREG} : std::uint16_t{NFTA_CT_SREG});
      const auto known = open_bits.find(source.value_or(0));
      writer.bits |= known == open_bits.end() ? 0xffffffffU : known->second;
    }
  }
  if (writer.bits == 0) return std::nullopt;
  return writer;
}

Result<std::vector<MarkWriter>> list_mark_writers(Socket& socket) {
  Message message((NFNL_SUBSYS_NFTABLES << 8U) | NFT_MSG_GETRULE);
  nfgenmsg header{};
  header.nfgen_family = NFPROTO_UNSPEC;
  header.version = NFNETLINK_V0;
  message.header(header);
  std::vector<MarkWriter> writers;
  TRY(socket.dump(std::move(message))).for_each([&](const MessageView& view) {
    if (auto writer = parse_mark_writer(view)) writers.push_back(std::move(*writer));
  });
  return writers;
}

}  // namespace terway::kernel::nft
