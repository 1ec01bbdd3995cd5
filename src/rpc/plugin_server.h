// SPDX-License-Identifier: Apache-2.0
// The daemon's end of the plugin's socket (rpc/frame.h).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "rpc/plugin_request.h"

namespace terway::rpc {

// Runs on the connection's own thread and may take as long as it needs: nobody else waits for it.
// Called from many threads at once.
using PluginHandler = std::function<PluginAnswer(PluginRequest)>;

struct PluginServerOptions {
  // Calls at once; one more is told Outcome::Busy. More than the pods of any node.
  std::size_t max_calls = 1024;
  // Only this user may ask.
  uid_t allowed_uid = 0;
};

// Listens from start() to destruction, with one accepting thread and one thread per call. The
// socket (mode 0600) appears by rename, so it takes the place of a dead or an old daemon's without
// a gap.
class PluginServer {
 public:
  // Makes the socket's directory when it is missing.
  static Result<std::unique_ptr<PluginServer>> start(const std::filesystem::path& socket,
                                                     PluginHandler handler,
                                                     PluginServerOptions options = {});
  PluginServer(const PluginServer&) = delete;
  PluginServer& operator=(const PluginServer&) = delete;
  // Takes no further calls and waits for those under way: the handler's owner has to let them end.
  ~PluginServer();

 private:
  struct Shared;
  PluginServer(std::filesystem::path socket, ino_t inode, UniqueFd listener, UniqueFd stop,
               std::shared_ptr<Shared> shared);
  void accept_calls();

  std::filesystem::path socket_;
  ino_t inode_;  // of socket_ as we made it
  UniqueFd listener_;
  UniqueFd stop_;  // eventfd: readable once the server shall end
  std::shared_ptr<Shared> shared_;
  std::thread accepting_;
};

}  // namespace terway::rpc
