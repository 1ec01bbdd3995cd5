// SPDX-License-Identifier: Apache-2.0
// Records as rows: the SQL of every table and the text of every column (docs/formats/journal.md).
#pragma once

#include "base/result.h"
#include "journal/database.h"
#include "journal/journal.h"

namespace terway::journal {

// The schema's steps: kMigrations[n] leads from version n to n + 1.
extern const char* const kMigrations[kSchemaVersion];

// Every statement that write() uses, prepared once.
class Statements {
 public:
  static Result<std::unique_ptr<Statements>> prepare(Database& database);

  Result<> put(const model::Attachment& attachment);
  Result<> erase(const model::AttachmentKey& key);
  Result<> put(const model::EniRecord& eni);
  Result<> erase_eni(const std::string& key);
  Result<> put(const model::AddressRecord& address);
  Result<> erase_address(const net::IpAddress& address);
  Result<> put(const model::Operation& operation);
  Result<> erase_operation(std::uint64_t id);
  Result<> put(const Fact& fact);

  Statement begin, commit, rollback;

 private:
  Statements(Statement begin_, Statement commit_, Statement rollback_, Statement put_attachment,
             Statement erase_attachment, Statement put_eni, Statement erase_eni,
             Statement put_address, Statement erase_address, Statement put_operation,
             Statement erase_operation, Statement put_fact);

  Statement put_attachment_, erase_attachment_;
  Statement put_eni_, erase_eni_;
  Statement put_address_, erase_address_;
  Statement put_operation_, erase_operation_;
  Statement put_fact_;
};

// Every row of every table. A row that cannot be understood is an error with code "corrupt".
Result<Contents> read_rows(Database& database);

}  // namespace terway::journal
