// SPDX-License-Identifier: Apache-2.0
#include "kernel/nftables.h"

#include <fmt/core.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>

namespace terway::kernel::nft {

namespace {

constexpr std::uint16_t kNested = NLA_F_NESTED;
// Elements in one message: an attribute's length has 16 bits, an element takes under 100 bytes.
constexpr std::size_t kElementsPerMessage = 400;
// nft's own way to keep a comment in a rule's user data: type 0, length, text with its zero.
constexpr std::uint8_t kCommentType = 0;

Message request(unsigned operation, std::uint16_t flags = 0) {
  Message message(static_cast<std::uint16_t>((NFNL_SUBSYS_NFTABLES << 8U) | operation), flags);
  nfgenmsg header{};
  header.nfgen_family = NFPROTO_INET;
  header.version = NFNETLINK_V0;
  message.header(header);
  return message;
}

Bytes as_bytes(const std::uint32_t& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof(value)};
}

void put_data(Message& message, std::uint16_t type, Bytes value) {
  message.nest(type | kNested, [&] { message.put(NFTA_DATA_VALUE, value.data(), value.size()); });
}

void put_verdict(Message& message, std::uint16_t type, Verdict verdict, const std::string& chain) {
  std::int32_t code = NFT_RETURN;
  if (verdict == Verdict::Accept) code = NF_ACCEPT;
  if (verdict == Verdict::Drop) code = NF_DROP;
  if (verdict == Verdict::Jump) code = NFT_JUMP;
  if (verdict == Verdict::Goto) code = NFT_GOTO;
  message.nest(type | kNested, [&] {
    message.nest(NFTA_DATA_VERDICT | kNested, [&] {
      message.put_be32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code));
      if (!chain.empty()) message.put_text(NFTA_VERDICT_CHAIN, chain);
    });
  });
}

// One overload writes one expression: its name and its data.
struct Write {
  Message& message;

  template <class Fill>
  void named(std::string_view name, Fill&& fill) const {
    message.nest(NFTA_LIST_ELEM | kNested, [&] {
      message.put_text(NFTA_EXPR_NAME, name);
      message.nest(NFTA_EXPR_DATA | kNested, fill);
    });
  }
  void operator()(const LoadMeta& e) const {
    named("meta", [&] { message.put_be32(NFTA_META_KEY, e.key).put_be32(NFTA_META_DREG, e.to); });
  }
  void operator()(const StoreMeta& e) const {
    named("meta", [&] { message.put_be32(NFTA_META_KEY, e.key).put_be32(NFTA_META_SREG, e.from); });
  }
  void operator()(const LoadCt& e) const {
    named("ct", [&] { message.put_be32(NFTA_CT_KEY, e.key).put_be32(NFTA_CT_DREG, e.to); });
  }
  void operator()(const StoreCt& e) const {
    named("ct", [&] { message.put_be32(NFTA_CT_KEY, e.key).put_be32(NFTA_CT_SREG, e.from); });
  }
  void operator()(const LoadNetworkHeader& e) const {
    named("payload", [&] {
      message.put_be32(NFTA_PAYLOAD_DREG, e.to);
      message.put_be32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
      message.put_be32(NFTA_PAYLOAD_OFFSET, e.offset).put_be32(NFTA_PAYLOAD_LEN, e.length);
    });
  }
  void operator()(const Compare& e) const {
    named("cmp", [&] {
      message.put_be32(NFTA_CMP_SREG, e.in);
      message.put_be32(NFTA_CMP_OP, e.equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
      put_data(message, NFTA_CMP_DATA, e.value);
    });
  }
  void operator()(const Bitwise& e) const {
    named("bitwise", [&] {
      message.put_be32(NFTA_BITWISE_SREG, e.in).put_be32(NFTA_BITWISE_DREG, e.in);
      message.put_be32(NFTA_BITWISE_LEN, sizeof(e.mask));
      put_data(message, NFTA_BITWISE_MASK, as_bytes(e.mask));
      put_data(message, NFTA_BITWISE_XOR, as_bytes(e.flip));
    });
  }
  void operator()(const VerdictMap& e) const {
    named("lookup", [&] {
      message.put_text(NFTA_LOOKUP_SET, e.map);
      message.put_be32(NFTA_LOOKUP_SREG, e.key);
      message.put_be32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
    });
  }
  void operator()(const GiveVerdict& e) const {
    named("immediate", [&] {
      message.put_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
      put_verdict(message, NFTA_IMMEDIATE_DATA, e.verdict, e.chain);
    });
  }
  void operator()(const Masquerade&) const {
    named("masq", [] {});
  }
};

void put_expressions(Message& message, const Rule& rule) {
  message.nest(NFTA_RULE_EXPRESSIONS | kNested, [&] {
    for (const Expression& expression : rule.expressions) std::visit(Write{message}, expression);
  });
}

Message table_message(unsigned operation, const std::string& name, std::uint16_t flags = 0) {
  Message message = request(operation, flags);
  message.put_text(NFTA_TABLE_NAME, name);
  return message;
}

Message chain_message(const std::string& table, const Chain& chain) {
  Message message = request(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  message.put_text(NFTA_CHAIN_TABLE, table).put_text(NFTA_CHAIN_NAME, chain.name);
  if (!chain.hook.empty()) {
    const Hook& hook = chain.hook.front();
    message.nest(NFTA_CHAIN_HOOK | kNested, [&] {
      message.put_be32(NFTA_HOOK_HOOKNUM, hook.number);
      message.put_be32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(hook.priority));
    });
    message.put_text(NFTA_CHAIN_TYPE, hook.type);
    message.put_be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
  }
  return message;
}

Message rule_message(const std::string& table, const std::string& chain, const Rule& rule) {
  Message message = request(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  message.put_text(NFTA_RULE_TABLE, table).put_text(NFTA_RULE_CHAIN, chain);
  put_expressions(message, rule);
  std::string comment = rule.comment.substr(0, 100) + " " + rule_mark(rule);
  std::vector<std::uint8_t> data = {kCommentType, static_cast<std::uint8_t>(comment.size() + 1)};
  data.insert(data.end(), comment.begin(), comment.end());
  data.push_back(0);
  message.put(NFTA_RULE_USERDATA, data.data(), data.size());
  return message;
}

std::uint32_t key_length(KeyType type) { return type == KeyType::Ipv6 ? 16 : 4; }

Message map_message(const std::string& table, const Map& map, std::uint32_t id) {
  Message message = request(NFT_MSG_NEWSET, NLM_F_CREATE);
  message.put_text(NFTA_SET_TABLE, table).put_text(NFTA_SET_NAME, map.name);
  message.put_be32(NFTA_SET_FLAGS, NFT_SET_MAP);
  message.put_be32(NFTA_SET_KEY_TYPE, static_cast<std::uint32_t>(map.key_type));
  message.put_be32(NFTA_SET_KEY_LEN, key_length(map.key_type));
  message.put_be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
  message.put_be32(NFTA_SET_DATA_LEN, 0);
  message.put_be32(NFTA_SET_ID, id);
  return message;
}

void add_element_messages(std::vector<Message>& messages, unsigned operation,
                          const std::string& table, const std::string& map,
                          const std::vector<Element>& elements) {
  for (std::size_t start = 0; start < elements.size(); start += kElementsPerMessage) {
    const bool adding = operation == NFT_MSG_NEWSETELEM;
    Message message =
        request(operation, static_cast<std::uint16_t>(adding ? NLM_F_CREATE | NLM_F_EXCL : 0));
    message.put_text(NFTA_SET_ELEM_LIST_TABLE, table).put_text(NFTA_SET_ELEM_LIST_SET, map);
    message.nest(NFTA_SET_ELEM_LIST_ELEMENTS | kNested, [&] {
      const std::size_t end = std::min(start + kElementsPerMessage, elements.size());
      for (std::size_t i = start; i < end; ++i) {
        message.nest(NFTA_LIST_ELEM | kNested, [&] {
          put_data(message, NFTA_SET_ELEM_KEY, elements[i].key);
          if (adding) {
            put_verdict(message, NFTA_SET_ELEM_DATA, Verdict::Goto, elements[i].chain);
          }
        });
      }
    });
    messages.push_back(std::move(message));
  }
}

}  // namespace

std::string rule_mark(const Rule& rule) {
  Message message(0);
  put_expressions(message, rule);
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (const std::uint8_t byte : message.bytes().subspan(sizeof(nlmsghdr))) {
    hash = (hash ^ byte) * 16777619U;
  }
  return fmt::format("#{:08x}", hash);
}

Result<> replace_table(Socket& socket, const Table& table) {
  std::vector<Message> messages;
  // Deleting one that is not there fails; so make sure first that it is.
  messages.push_back(table_message(NFT_MSG_NEWTABLE, table.name, NLM_F_CREATE));
  messages.push_back(table_message(NFT_MSG_DELTABLE, table.name));
  messages.push_back(table_message(NFT_MSG_NEWTABLE, table.name, NLM_F_CREATE));
  for (const Chain& chain : table.chains) messages.push_back(chain_message(table.name, chain));
  std::uint32_t id = 0;
  for (const Map& map : table.maps) messages.push_back(map_message(table.name, map, ++id));
  for (const Map& map : table.maps) {
    add_element_messages(messages, NFT_MSG_NEWSETELEM, table.name, map.name, map.elements);
  }
  for (const Chain& chain : table.chains) {
    for (const Rule& rule : chain.rules) {
      messages.push_back(rule_message(table.name, chain.name, rule));
    }
  }
  return socket.transaction(messages);
}

Result<> delete_table(Socket& socket, const std::string& name) {
  std::vector<Message> messages;
  messages.push_back(table_message(NFT_MSG_NEWTABLE, name, NLM_F_CREATE));
  messages.push_back(table_message(NFT_MSG_DELTABLE, name));
  return socket.transaction(messages);
}

Result<> change_maps(Socket& socket, const std::string& table,
                     const std::vector<MapChange>& changes) {
  std::vector<Message> messages;
  for (const MapChange& change : changes) {
    add_element_messages(messages, NFT_MSG_DELSETELEM, table, change.map, change.remove);
  }
  for (const MapChange& change : changes) {
    add_element_messages(messages, NFT_MSG_NEWSETELEM, table, change.map, change.add);
  }
  return socket.transaction(messages);
}

std::vector<Element> parse_elements(const MessageView& message) {
  std::vector<Element> elements;
  if (message.header.nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8U) | NFT_MSG_NEWSETELEM)) {
    return elements;
  }
  Bytes list = Attributes(message.rest<nfgenmsg>()).find(NFTA_SET_ELEM_LIST_ELEMENTS);
  while (const auto item = next_attribute(list)) {
    const Attributes element(item->value);
    const Bytes key = element.nest(NFTA_SET_ELEM_KEY).find(NFTA_DATA_VALUE);
    const Attributes verdict = element.nest(NFTA_SET_ELEM_DATA).nest(NFTA_DATA_VERDICT);
    elements.push_back({{key.begin(), key.end()}, std::string(verdict.text(NFTA_VERDICT_CHAIN))});
  }
  return elements;
}

std::string parse_rule_mark(const MessageView& message) {
  Bytes data = Attributes(message.rest<nfgenmsg>()).find(NFTA_RULE_USERDATA);
  if (data.size() < 2 || data[0] != kCommentType || data.size() < 2U + data[1]) return {};
  data = data.subspan(2, data[1]);
  std::string comment(data.begin(), std::find(data.begin(), data.end(), std::uint8_t{0}));
  const std::size_t mark = comment.rfind(" #");
  return mark == std::string::npos ? std::string() : comment.substr(mark + 1);
}

Result<TableState> read_table(Socket& socket, const std::string& name) {
  TRY(socket.ask(table_message(NFT_MSG_GETTABLE, name)));
  TableState state;
  const auto ours = [&](const MessageView& view, std::uint16_t table_attribute) {
    return Attributes(view.rest<nfgenmsg>()).text(table_attribute) == name;
  };
  TRY(socket.dump(request(NFT_MSG_GETCHAIN))).for_each([&](const MessageView& view) {
    if (!ours(view, NFTA_CHAIN_TABLE)) return;
    const Attributes attributes(view.rest<nfgenmsg>());
    state.chains.push_back({std::string(attributes.text(NFTA_CHAIN_NAME)), {}});
  });
  Message rules = request(NFT_MSG_GETRULE);
  rules.put_text(NFTA_RULE_TABLE, name);
  TRY(socket.dump(std::move(rules))).for_each([&](const MessageView& view) {
    if (!ours(view, NFTA_RULE_TABLE)) return;
    const std::string_view chain = Attributes(view.rest<nfgenmsg>()).text(NFTA_RULE_CHAIN);
    for (auto& known : state.chains) {
      if (known.name == chain) known.rule_marks.push_back(parse_rule_mark(view));
    }
  });
  Message maps = request(NFT_MSG_GETSET);
  maps.put_text(NFTA_SET_TABLE, name);
  TRY(socket.dump(std::move(maps))).for_each([&](const MessageView& view) {
    if (!ours(view, NFTA_SET_TABLE)) return;
    state.maps.push_back({std::string(Attributes(view.rest<nfgenmsg>()).text(NFTA_SET_NAME)), {}});
  });
  for (auto& map : state.maps) {
    Message elements = request(NFT_MSG_GETSETELEM);
    elements.put_text(NFTA_SET_ELEM_LIST_TABLE, name);
    elements.put_text(NFTA_SET_ELEM_LIST_SET, map.name);
    TRY(socket.dump(std::move(elements))).for_each([&](const MessageView& view) {
      for (auto& element : parse_elements(view)) map.elements.push_back(std::move(element));
    });
  }
  return state;
}

}  // namespace terway::kernel::nft
