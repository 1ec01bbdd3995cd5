// SPDX-License-Identifier: Apache-2.0
// What the kernel tells of changes, as typed values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "kernel/address.h"
#include "kernel/filter.h"
#include "kernel/link.h"
#include "kernel/neighbour.h"
#include "kernel/qdisc.h"
#include "kernel/route.h"
#include "kernel/rule.h"

namespace terway::kernel {

// Something in an nftables table (its chains, rules, sets or elements) changed.
struct TableChange {
  std::string table;
};

struct Event {
  bool removed = false;
  // The netlink port of who did it; 0 when the kernel did it itself (and for links before 6.2).
  std::uint32_t by_port = 0;
  std::variant<Link, Address, Route, Rule, Neighbour, Qdisc, Filter, TableChange> what;
};

// nullopt for messages that are none of these.
std::optional<Event> parse_event(const MessageView& message);

// For one thread. Its descriptor is readable while events wait.
class Monitor {
 public:
  struct Groups {
    bool links = false;
    bool addresses = false;
    bool routes = false;
    bool rules = false;
    bool neighbours = false;
    bool filters = false;  // and qdiscs
    // Of other namespaces too, where they have a number in this one (number_netns()). This keeps
    // none of them alive.
    bool everywhere = false;
  };
  static Result<Monitor> open(const Groups& groups);
  static Result<Monitor> open_nftables();

  int fd() const { return socket_.fd(); }

  struct Batch {
    std::vector<Event> events;
    // The queue overflowed: some events are gone, so look at everything again.
    bool lost = false;
  };
  // All that wait now; does not block.
  Result<Batch> read();

 private:
  explicit Monitor(Socket socket);
  Socket socket_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace terway::kernel
