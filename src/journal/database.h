// SPDX-License-Identifier: Apache-2.0
// SQLite behind types of ours: one connection and its prepared statements. Nothing else in the tree
// includes sqlite3.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace terway::journal {

struct CloseDatabase {
  void operator()(sqlite3* database) const;
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const;
};

// Error kinds: Internal with code() "corrupt" for a file that is damaged or no database, Exhausted
// for a full disk, Unavailable when another process holds the file, Internal otherwise.
inline constexpr std::string_view kCorrupt = "corrupt";

// One prepared statement. Bind all parameters in order, then run() or step through rows with
// next(). Both reset it for the next use when they end.
class Statement {
 public:
  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view text);  // copied
  // Runs a statement without rows.
  Result<> run();
  // True while there is a row to read.
  Result<bool> next();

  std::int64_t integer(int column) const;
  std::string text(int column) const;

 private:
  friend class Database;
  Statement(sqlite3* database, sqlite3_stmt* statement);
  void reset();

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement_;
  int bound_ = 0;
  bool bind_failed_ = false;
};

// Used by one thread.
class Database {
 public:
  // Opens or makes it, mode 0600, WAL, held exclusively: a second process gets Unavailable after
  // `patience`.
  static Result<Database> open(const std::filesystem::path& path, int patience_millis);
  // Another connection to a file that this process holds already and longer: for checkpoint() on
  // another thread, while the first one goes on writing.
  static Result<Database> open_again(const std::filesystem::path& path);

  Result<> execute(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  // PRAGMA quick_check: an error with code "corrupt" names what it found.
  Result<> check();
  // Moves the write-ahead log's pages into the file. With fsync, so: not where somebody waits.
  // Unavailable while another connection does.
  Result<> checkpoint();
  // Pages in the write-ahead log after the last commit.
  int log_pages() const { return *log_pages_; }

 private:
  Database(sqlite3* handle, UniqueFd held);

  // flock()ed. Goes after the connection: closing any descriptor of the file drops the locks that
  // SQLite has by fcntl().
  UniqueFd held_;
  std::unique_ptr<sqlite3, CloseDatabase> handle_;
  std::unique_ptr<int> log_pages_;  // written by SQLite's hook: its address must not move
};

}  // namespace terway::journal
