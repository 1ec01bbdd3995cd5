// SPDX-License-Identifier: Apache-2.0
// One call of the CNI plugin, from its bytes to its answer. Runs on the call's own thread: it may
// wait.
#pragma once

#include <functional>

#include "agent/events.h"
#include "agent/metrics.h"
#include "base/clock.h"
#include "rpc/plugin_server.h"
#include "rpc/tombstone.h"

namespace terway::agent {

class Calls {
 public:
  // References must outlive it.
  Calls(Inbox& inbox, const rpc::Tombstones& tombstones, Clock& clock)
      : inbox_(inbox), tombstones_(tombstones), clock_(clock) {}

  // For any thread.
  rpc::PluginAnswer serve(rpc::PluginRequest request);

 private:
  rpc::PluginAnswer add(const cni::Request& request, rpc::PluginRequest& raw);
  rpc::PluginAnswer simple(const cni::Request& request, Event event, const ReplyTo& reply,
                           int connection);
  std::optional<Answer> wait(const ReplyTo& reply, int connection);

  Inbox& inbox_;
  const rpc::Tombstones& tombstones_;
  Clock& clock_;
};

}  // namespace terway::agent
