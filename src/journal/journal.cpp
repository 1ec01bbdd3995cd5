// SPDX-License-Identifier: Apache-2.0
#include "journal/journal.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "journal/checkpointer.h"
#include "journal/database.h"
#include "journal/rows.h"

namespace terway::journal {

namespace {

// Pages (of 4 KiB) of the log. It is moved when this many are new and nobody waits, …
constexpr int kLogPagesWorthMoving = 256;
// … when this many are, although somebody does, …
constexpr int kLogPagesMoved = 2048;
// … and at this many here and now: it is begun afresh only when all of it has been moved, and who
// writes without a pause is always ahead of another thread.
constexpr int kLogPagesBound = 4096;

bool is_corrupt(const Error& error) { return error.code() == kCorrupt; }

Result<std::uint32_t> version_of(Database& database) {
  Statement statement = TRY(database.prepare("PRAGMA user_version"));
  TRY(statement.next());
  const auto version = static_cast<std::uint32_t>(statement.integer(0));
  TRY(statement.next());
  return version;
}

Result<> migrate(Database& database) {
  std::uint32_t version = TRY(version_of(database));
  if (version > kSchemaVersion) {
    return Error(
        Error::Kind::Invalid,
        fmt::format("written with schema {}, this terwayd knows up to {}: start the newer terwayd, "
                    "or move the file away (pods keep running; their names are lost to us)",
                    version, kSchemaVersion));
  }
  for (; version < kSchemaVersion; ++version) {
    TRY_WITHIN(fmt::format("migrate from schema {}", version),
               database.execute(fmt::format("BEGIN IMMEDIATE; {} PRAGMA user_version={}; COMMIT;",
                                            kMigrations[version], version + 1)
                                    .c_str()));
  }
  return Ok{};
}

Result<std::string> meta(Database& database, std::string_view key) {
  Statement statement = TRY(database.prepare("SELECT value FROM meta WHERE key = ?"));
  statement.bind(key);
  std::string value;
  while (TRY(statement.next())) value = statement.text(0);
  return value;
}

// True when the journal is of another boot: then its instants mean nothing and its sandboxes are
// gone.
Result<bool> take_boot(Database& database, const std::string& boot_id, Instant now) {
  if (TRY(meta(database, "boot_id")) == boot_id) return false;
  const auto nanos = now.time_since_epoch().count();
  TRY(database.execute(
      fmt::format("BEGIN IMMEDIATE;"
                  "UPDATE attachment SET state = 'Removing', netns_inode = 0;"
                  "UPDATE eni SET since = {0};"
                  "UPDATE address SET until = {0} + max(until - since, 0), since = {0}"
                  "  WHERE until > 0;"
                  "UPDATE address SET since = {0} WHERE until <= 0;"
                  "COMMIT;",
                  nanos)
          .c_str()));
  Statement put = TRY(database.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"));
  TRY(put.bind("boot_id").bind(boot_id).run());
  return true;
}

}  // namespace

Journal::Journal(std::filesystem::path path, std::string boot_id,
                 std::unique_ptr<Database> database, std::unique_ptr<Statements> statements,
                 std::unique_ptr<Checkpointer> checkpointer,
                 std::shared_ptr<const LogFile> log_file)
    : path_(std::move(path)),
      boot_id_(std::move(boot_id)),
      database_(std::move(database)),
      statements_(std::move(statements)),
      checkpointer_(std::move(checkpointer)),
      log_file_(std::move(log_file)) {}

Journal::~Journal() = default;

Result<std::string> Journal::set_aside(const std::filesystem::path& path) {
  std::filesystem::path aside;
  std::error_code error;
  for (int n = 1; n == 1 || std::filesystem::exists(aside, error); ++n) {
    aside = fmt::format("{}.damaged-{}", path.native(), n);
  }
  std::filesystem::rename(path, aside, error);
  if (error) return Error::from_errno(error.value(), fmt::format("rename {}", path.native()));
  // The log belongs to the file: beside a new one it would be replayed into it.
  for (const char* suffix : {"-wal", "-shm"}) {
    std::filesystem::rename(path.native() + suffix, aside.native() + suffix, error);
  }
  return aside.native();
}

Result<> LogFile::sync() const {
  if (::fdatasync(fd_.get()) != 0) return Error::from_errno(errno, "sync the journal");
  return Ok{};
}

Result<Journal::Opened> Journal::open_file(const Options& options) {
  Opened opened;
  auto database =
      std::make_unique<Database>(TRY(Database::open(options.path, options.patience_millis)));
  TRY_WITHIN("check", database->check());
  TRY(migrate(*database));
  opened.fresh = TRY(meta(*database, "boot_id")).empty();
  opened.new_boot = TRY(take_boot(*database, options.boot_id, options.now));
  TRY(read_rows(*database));
  auto statements = TRY(Statements::prepare(*database));
  // Its own descriptor, for fdatasync. (Of the database file itself that would not do: closing any
  // descriptor of it drops the process's POSIX locks, SQLite's among them.)
  const std::string log = options.path.native() + "-wal";
  UniqueFd fd(::open(log.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Error::from_errno(errno, fmt::format("open {}", log));
  auto checkpointer = TRY(Checkpointer::start(options.path));
  opened.journal.reset(new Journal(options.path, options.boot_id, std::move(database),
                                   std::move(statements), std::move(checkpointer),
                                   std::make_shared<const LogFile>(std::move(fd))));
  return opened;
}

Result<Journal::Opened> Journal::open(const Options& options) {
  std::error_code error;
  std::filesystem::create_directories(options.path.parent_path(), error);
  if (error) {
    return Error::from_errno(error.value(),
                             fmt::format("make {}", options.path.parent_path().native()));
  }
  auto opened = open_file(options);
  if (!opened.ok() && is_corrupt(opened.error())) {
    const std::string why = opened.error().message();
    const std::string aside = TRY_WITHIN("set the damaged journal aside", set_aside(options.path));
    opened = open_file(options);
    if (opened.ok()) opened->set_aside = fmt::format("{}: {}", aside, why);
  }
  if (!opened.ok()) {
    return opened.take_error().within(fmt::format("journal {}", options.path.native()));
  }
  return opened;
}

Result<Contents> Journal::read() { return read_rows(*database_); }

Result<> Journal::write(std::span<const Entry> entries) {
  if (std::all_of(entries.begin(), entries.end(), [](const Entry& e) { return e.empty(); })) {
    return Ok{};
  }
  TRY_WITHIN("journal", statements_->begin.run());
  Result<> written = Ok{};
  for (const Entry& entry : entries) {
    if (written.ok()) written = write_rows(entry);
  }
  if (written.ok()) written = statements_->commit.run();
  if (!written.ok()) {
    // Fails harmlessly where SQLite has rolled back by itself (a full disk).
    (void)statements_->rollback.run();
    return written.take_error().within("journal");
  }
  const int pages = database_->log_pages();
  if (pages < moved_pages_) moved_pages_ = 0;  // begun afresh
  if (pages > kLogPagesBound) {
    auto moved = database_->checkpoint();
    if (!moved.ok() && !moved.is(Error::Kind::Unavailable)) return moved;
  } else if (pages - moved_pages_ > kLogPagesMoved) {
    move_log();
  }
  return Ok{};
}

Result<> Journal::write_rows(const Entry& entry) {
  for (const auto& attachment : entry.attachments) TRY(statements_->put(attachment));
  for (const auto& key : entry.erased_attachments) TRY(statements_->erase(key));
  const model::Changes& ipam = entry.ipam;
  for (const auto& eni : ipam.enis) TRY(statements_->put(eni));
  for (const auto& key : ipam.erased_enis) TRY(statements_->erase_eni(key));
  for (const auto& address : ipam.addresses) TRY(statements_->put(address));
  for (const auto& address : ipam.erased_addresses) TRY(statements_->erase_address(address));
  for (const auto& operation : ipam.begun) TRY(statements_->put(operation));
  for (const auto id : ipam.ended) TRY(statements_->erase_operation(id));
  for (const auto& fact : entry.facts) TRY(statements_->put(fact));
  return Ok{};
}

Result<> Journal::tidy() {
  if (database_->log_pages() - moved_pages_ >= kLogPagesWorthMoving) move_log();
  if (auto error = checkpointer_->take_error()) return std::move(*error).within("journal");
  return Ok{};
}

void Journal::move_log() {
  moved_pages_ = database_->log_pages();
  checkpointer_->begin();
}

std::uint64_t Journal::size_bytes() const {
  std::error_code error;
  std::uint64_t size = 0;
  for (const char* suffix : {"", "-wal"}) {
    const auto bytes = std::filesystem::file_size(path_.native() + suffix, error);
    if (!error) size += bytes;
  }
  return size;
}

}  // namespace terway::journal
