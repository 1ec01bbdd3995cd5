// SPDX-License-Identifier: Apache-2.0
// Moves the journal's log into its file on a thread and a connection of its own: its fsync, tens of
// milliseconds on a busy disk, is nobody's wait.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include "base/channel.h"
#include "base/result.h"

namespace terway::journal {

class Database;

// Owned by who owns the journal; ends before the journal's own connection.
class Checkpointer {
 public:
  static Result<std::unique_ptr<Checkpointer>> start(const std::filesystem::path& path);
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // All that is in the log at this moment will be in the file.
  void begin() { orders_.send(Ok{}); }
  // Of one that failed since the last time.
  std::optional<Error> take_error() { return errors_.try_receive(); }

 private:
  explicit Checkpointer(std::unique_ptr<Database> database);
  void run();

  std::unique_ptr<Database> database_;  // the thread's
  Channel<Ok> orders_;
  Channel<Error> errors_;
  std::thread thread_;
};

}  // namespace terway::journal
