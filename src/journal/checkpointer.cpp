// SPDX-License-Identifier: Apache-2.0
#include "journal/checkpointer.h"

#include <utility>

#include "journal/database.h"

namespace terway::journal {

Result<std::unique_ptr<Checkpointer>> Checkpointer::start(const std::filesystem::path& path) {
  auto database = std::make_unique<Database>(TRY(Database::open_again(path)));
  return std::unique_ptr<Checkpointer>(new Checkpointer(std::move(database)));
}

Checkpointer::Checkpointer(std::unique_ptr<Database> database)
    : database_(std::move(database)), thread_([this] { run(); }) {}

Checkpointer::~Checkpointer() {
  orders_.close();
  thread_.join();
}

void Checkpointer::run() {
  while (orders_.receive()) {
    // One does for all that were ordered before it.
    while (orders_.try_receive()) {
    }
    auto moved = database_->checkpoint();
    if (!moved.ok() && !moved.is(Error::Kind::Unavailable)) errors_.send(moved.take_error());
  }
}

}  // namespace terway::journal
