// SPDX-License-Identifier: Apache-2.0
// What this node must not forget when its daemon dies: attachments, and IPAM's records of ENIs,
// addresses and operations under way. Format and durability: docs/formats/journal.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "model/attachment.h"
#include "model/record.h"

namespace terway::journal {

inline constexpr std::uint32_t kSchemaVersion = 3;
inline constexpr char kDefaultPath[] = "/var/lib/cni/terway/journal.db";

// Something learnt from the cloud that a start without the cloud needs: the instance, its type's
// limits, vSwitches. The value's format is the writer's.
struct Fact {
  std::string key;
  std::string value;
  WallTime at{};

  bool operator==(const Fact&) const = default;
};

// What is written in one transaction. Of two records of one key the later counts.
struct Entry {
  model::Changes ipam;
  std::vector<model::Attachment> attachments;
  std::vector<model::AttachmentKey> erased_attachments;
  std::vector<Fact> facts;

  bool empty() const {
    return ipam.empty() && attachments.empty() && erased_attachments.empty() && facts.empty();
  }
};

struct Contents {
  model::Snapshot ipam;
  std::vector<model::Attachment> attachments;
  std::vector<Fact> facts;
};

class Checkpointer;
class Database;
class Statements;

// Makes what was written survive a power failure. For any thread, also while the journal is
// written.
class LogFile {
 public:
  explicit LogFile(UniqueFd fd) : fd_(std::move(fd)) {}
  // All that write() has answered for before this call is on the disk after it: milliseconds.
  Result<> sync() const;

 private:
  UniqueFd fd_;
};

// Owned by the agent thread. One process at a time holds the file.
class Journal {
 public:
  struct Options {
    std::filesystem::path path = kDefaultPath;
    std::string boot_id;  // /proc/sys/kernel/random/boot_id
    Instant now{};
    int patience_millis = 10'000;  // for another process to let go of the file
  };
  struct Opened;

  // Makes the file, its folder and its tables where they are missing, and migrates an older schema.
  // A damaged file is set aside under another name (`set_aside` says which and why) and a new one
  // begun. After a reboot every attachment is Removing, for no sandbox has survived, all instants
  // are `now`, and cool-downs and reservations start afresh. Invalid: written by a newer schema.
  static Result<Opened> open(const Options& options);
  ~Journal();

  // Moves a closed journal out of the way, under the name that is returned.
  static Result<std::string> set_aside(const std::filesystem::path& path);

  Result<Contents> read();

  // One transaction, in this order: all of it or nothing. It survives the process at once; what
  // must survive the machine too (an operation of the cloud, before it is begun) waits for
  // LogFile::sync(), off this thread.
  Result<> write(std::span<const Entry> entries);
  Result<> write(const Entry& entry) { return write(std::span(&entry, 1)); }
  std::shared_ptr<const LogFile> log_file() const { return log_file_; }

  // House-keeping: has the log moved into the file when it is long, on another thread. Call it when
  // nobody waits, for the disk is busy then. An error is that of the last time.
  Result<> tidy();

  const std::filesystem::path& path() const { return path_; }
  const std::string& boot_id() const { return boot_id_; }
  std::uint64_t size_bytes() const;

 private:
  Journal(std::filesystem::path path, std::string boot_id, std::unique_ptr<Database> database,
          std::unique_ptr<Statements> statements, std::unique_ptr<Checkpointer> checkpointer,
          std::shared_ptr<const LogFile> log_file);
  static Result<Opened> open_file(const Options& options);
  Result<> write_rows(const Entry& entry);
  void move_log();

  std::filesystem::path path_;
  std::string boot_id_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Statements> statements_;
  std::unique_ptr<Checkpointer> checkpointer_;
  int moved_pages_ = 0;  // of the log, as of the last order to move it
  std::shared_ptr<const LogFile> log_file_;
};

struct Journal::Opened {
  std::unique_ptr<Journal> journal;
  bool new_boot = false;  // also of a new journal
  bool fresh = false;     // nothing is known from before: first start, or the journal was lost
  std::optional<std::string> set_aside;
};

}  // namespace terway::journal
