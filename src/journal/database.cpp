// SPDX-License-Identifier: Apache-2.0
#include "journal/database.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/file.h>

#include <cerrno>
#include <utility>

#include "base/clock.h"

namespace terway::journal {

namespace {

Error error_of(sqlite3* database, int code, std::string_view doing) {
  const char* detail = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(code);
  std::string message = fmt::format("{}: {}", doing, detail);
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(Error::Kind::Internal, std::move(message)).with_code(std::string(kCorrupt), "");
    case SQLITE_FULL:
      return Error(Error::Kind::Exhausted, std::move(message));
    case SQLITE_BUSY:
      return Error(Error::Kind::Unavailable, std::move(message));
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return Error(Error::Kind::Denied, std::move(message));
    default:
      return Error(Error::Kind::Internal, std::move(message));
  }
}

// One process at a time: its connections share the file by SQLite's own locks.
Result<> hold(const UniqueFd& file, const std::filesystem::path& path, Duration patience) {
  SystemClock clock;
  const Instant give_up = clock.now() + patience;
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Error::from_errno(errno, "lock " + path.native());
    if (clock.now() >= give_up) {
      return Error(Error::Kind::Unavailable,
                   fmt::format("{}: another process holds it", path.native()));
    }
    clock.sleep_for(std::chrono::milliseconds(10));
  }
  return Ok{};
}

int count_log_pages(void* pages, sqlite3*, const char*, int now) {
  *static_cast<int*>(pages) = now;
  return SQLITE_OK;
}

}  // namespace

void CloseDatabase::operator()(sqlite3* database) const { sqlite3_close(database); }
void FinalizeStatement::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement::Statement(sqlite3* database, sqlite3_stmt* statement)
    : database_(database), statement_(statement) {}

Statement& Statement::bind(std::int64_t value) {
  bind_failed_ |= sqlite3_bind_int64(statement_.get(), ++bound_, value) != SQLITE_OK;
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  bind_failed_ |= sqlite3_bind_text(statement_.get(), ++bound_, text.data(),
                                    static_cast<int>(text.size()), SQLITE_TRANSIENT) != SQLITE_OK;
  return *this;
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  bound_ = 0;
  bind_failed_ = false;
}

Result<> Statement::run() {
  if (TRY(next())) {
    reset();
    return Error(Error::Kind::Internal, "statement has rows");
  }
  return Ok{};
}

Result<bool> Statement::next() {
  if (bind_failed_) {
    Error error = error_of(database_, sqlite3_errcode(database_), "bind");
    reset();
    return error;
  }
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  Error error = error_of(database_, code, sqlite3_sql(statement_.get()));
  reset();
  return error;
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Database::Database(sqlite3* handle, UniqueFd held)
    : held_(std::move(held)), handle_(handle), log_pages_(std::make_unique<int>(0)) {}

Result<Database> Database::open(const std::filesystem::path& path, int patience_millis) {
  // SQLite has no mode of its own; its log takes the file's. An empty file is an empty database.
  UniqueFd held(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!held) return Error::from_errno(errno, fmt::format("open {}", path.native()));
  TRY(hold(held, path, std::chrono::milliseconds(patience_millis)));
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database(handle, std::move(held));
  if (code != SQLITE_OK) return error_of(handle, code, fmt::format("open {}", path.native()));
  sqlite3_busy_timeout(handle, patience_millis);
  auto prepared = database.execute(
      "PRAGMA journal_mode=WAL;"
      // A commit survives the process; LogFile::sync() makes it survive the machine. Order is
      // kept: what a sync covers, it covers with all that came before.
      "PRAGMA synchronous=NORMAL;"
      "PRAGMA foreign_keys=OFF;"
      "PRAGMA temp_store=MEMORY;"
      // A write takes the lock now, so that a second daemon fails here and not later.
      "BEGIN IMMEDIATE; COMMIT;");
  if (!prepared.ok()) return prepared.take_error().within(path.native());
  sqlite3_wal_hook(handle, count_log_pages, database.log_pages_.get());
  return database;
}

Result<Database> Database::open_again(const std::filesystem::path& path) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database(handle, UniqueFd());
  if (code != SQLITE_OK) return error_of(handle, code, fmt::format("open {}", path.native()));
  // It learns that there is a log by reading.
  TRY_WITHIN(path.native(), database.execute("PRAGMA synchronous=NORMAL; PRAGMA schema_version;"));
  return database;
}

Result<> Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error_of(handle_.get(), code, sql);
  return Ok{};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return error_of(handle_.get(), code, sql);
  return Statement(handle_.get(), statement);
}

Result<> Database::check() {
  Statement statement = TRY(prepare("PRAGMA quick_check(1)"));
  while (TRY(statement.next())) {
    std::string found = statement.text(0);
    if (found != "ok") {
      return Error(Error::Kind::Internal, std::move(found)).with_code(std::string(kCorrupt), "");
    }
  }
  return Ok{};
}

Result<> Database::checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(handle_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                             nullptr, nullptr);
  if (code != SQLITE_OK) return error_of(handle_.get(), code, "checkpoint");
  *log_pages_ = 0;
  return Ok{};
}

}  // namespace terway::journal
