// SPDX-License-Identifier: Apache-2.0
// One nftables table of our own: written whole in one transaction, its maps changed element by
// element, read back for a diff. Only the expressions that the datapath needs
// (include/uapi/linux/netfilter/nf_tables.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kernel/socket.h"

namespace terway::kernel::nft {

// Registers are 32 bit, NFT_REG32_00 up; a 16-byte value takes four.
using Register = std::uint32_t;
inline constexpr Register kRegister0 = 8;  // NFT_REG32_00

struct LoadMeta {
  std::uint32_t key = 0;  // NFT_META_*
  Register to = kRegister0;
};
struct StoreMeta {
  std::uint32_t key = 0;
  Register from = kRegister0;
};
struct LoadCt {
  std::uint32_t key = 0;  // NFT_CT_*
  Register to = kRegister0;
};
struct StoreCt {
  std::uint32_t key = 0;
  Register from = kRegister0;
};
struct LoadNetworkHeader {
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  Register to = kRegister0;
};
// The rule goes on where the register equals (or differs from) the value.
struct Compare {
  bool equal = true;
  std::vector<std::uint8_t> value;
  Register in = kRegister0;
};
// register = (register & mask) ^ flip, 32 bit in host byte order
struct Bitwise {
  std::uint32_t mask = 0;
  std::uint32_t flip = 0;
  Register in = kRegister0;
};
// The verdict that the map holds for the register; where it holds none, the rule ends.
struct VerdictMap {
  std::string map;
  Register key = kRegister0;
};
enum class Verdict : std::uint8_t { Accept, Drop, Return, Jump, Goto };
struct GiveVerdict {
  Verdict verdict = Verdict::Return;
  std::string chain;  // of Jump and Goto
};
// Sends on with an address of the NIC that the packet leaves by as its source (a chain of type
// "nat").
struct Masquerade {};
using Expression = std::variant<LoadMeta, StoreMeta, LoadCt, StoreCt, LoadNetworkHeader, Compare,
                                Bitwise, VerdictMap, GiveVerdict, Masquerade>;

struct Rule {
  std::string comment;  // shown by `nft list`; at most 100 bytes
  std::vector<Expression> expressions;
};

struct Hook {
  std::string type;          // "filter", "route", "nat"
  std::uint32_t number = 0;  // NF_INET_*
  std::int32_t priority = 0;
};

struct Chain {
  std::string name;
  std::vector<Hook> hook;  // one, or none for a chain that is only jumped to
  std::vector<Rule> rules;
};

// One entry of a map from a key to "go to this chain".
struct Element {
  std::vector<std::uint8_t> key;  // as in the register: addresses in network, numbers in host order
  std::string chain;

  auto operator<=>(const Element&) const = default;
};

// How `nft list` shows a key (nft's datatype numbers).
enum class KeyType : std::uint32_t { Ipv4 = 7, Ipv6 = 8, Mark = 19, Interface = 20 };

struct Map {
  std::string name;
  KeyType key_type = KeyType::Ipv4;
  std::vector<Element> elements;
};

// Family inet.
struct Table {
  std::string name;
  std::vector<Chain> chains;  // a chain before the chains whose rules go to it is not required
  std::vector<Map> maps;
};

// Replaces the table by this one in one transaction: no packet meets a half-made one.
Result<> replace_table(Socket& socket, const Table& table);
// Success when there is none.
Result<> delete_table(Socket& socket, const std::string& name);

// In one transaction; an element that is there already (with the same chain) or not there to be
// deleted fails all of it: diff first.
struct MapChange {
  std::string map;
  std::vector<Element> add;
  std::vector<Element> remove;
};
Result<> change_maps(Socket& socket, const std::string& table,
                     const std::vector<MapChange>& changes);

// A table as it is. Of a rule only its identity: rule_mark() of the rule that was written, kept in
// its comment; empty for a rule that somebody else added.
struct TableState {
  struct ChainState {
    std::string name;
    std::vector<std::string> rule_marks;
    auto operator<=>(const ChainState&) const = default;
  };
  struct MapState {
    std::string name;
    std::vector<Element> elements;
  };
  std::vector<ChainState> chains;
  std::vector<MapState> maps;
};
// NotFound when there is no such table.
Result<TableState> read_table(Socket& socket, const std::string& name);

// Some rule of some table that writes packet or connection marks.
struct MarkWriter {
  std::string table;
  std::string chain;
  std::uint32_t bits = 0;  // which it may change
};
// nftables' own statements, and MARK and CONNMARK targets as iptables-nft keeps them.
Result<std::vector<MarkWriter>> list_mark_writers(Socket& socket);
std::optional<MarkWriter> parse_mark_writer(const MessageView& message);

// A short hash over what the rule does: "#1f6c09e2".
std::string rule_mark(const Rule& rule);

// Elements of one NFT_MSG_NEWSETELEM message, and a rule's mark: codecs, for tests.
std::vector<Element> parse_elements(const MessageView& message);
std::string parse_rule_mark(const MessageView& message);

}  // namespace terway::kernel::nft
