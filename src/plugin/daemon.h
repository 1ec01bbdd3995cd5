// SPDX-License-Identifier: Apache-2.0
// One question to the daemon (rpc/frame.h).
#pragma once

#include <stdint.h>

#include "cni/command.h"
#include "plugin/text.h"
#include "rpc/frame.h"

namespace terway::plugin {

struct Call {
  cni::Command command = cni::Command::Add;
  Text fields[rpc::kFields];  // in the order of rpc::Field
  rpc::Netns netns_state = rpc::Netns::None;
  int netns_errno = 0;
  int netns = -1;

  Text& field(rpc::Field which) { return fields[static_cast<unsigned>(which)]; }
  const Text& field(rpc::Field which) const { return fields[static_cast<unsigned>(which)]; }
  // The header that goes before the fields.
  rpc::RequestHeader header() const;
};

struct Reply {
  bool answered = false;  // else `reason` in ask() says why not
  uint8_t exit_code = 1;
  Text output;  // in a buffer that is overwritten by the next ask()
};

// Within rpc::kConnectMillis, rpc::kTransferMillis and rpc::reply_millis().
Reply ask(Text socket, const Call& call, Reason& reason);

// Milliseconds of CLOCK_MONOTONIC.
int64_t now_millis();
// Waits until `fd` has `events`, or is at its end. False once the deadline is over.
bool wait_for(int fd, short events, int64_t deadline);

}  // namespace terway::plugin
