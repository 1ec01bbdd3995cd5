// SPDX-License-Identifier: Apache-2.0
// Tells when a file was replaced, also where a ConfigMap volume does so by swapping a symbolic link
// beside it.
#pragma once

#include <filesystem>

#include "base/fd.h"
#include "base/result.h"

namespace terway::config {

// Owned by the thread that polls it. Watches the folder, not the file, whose inode changes.
class FileWatch {
 public:
  static Result<FileWatch> open(const std::filesystem::path& file);

  // Readable when something happened in the folder.
  int poll_fd() const { return inotify_.get(); }
  // Takes what happened; whether the file's content differs is for the caller to see.
  Result<> drain();

 private:
  explicit FileWatch(UniqueFd inotify) : inotify_(std::move(inotify)) {}

  UniqueFd inotify_;
};

}  // namespace terway::config
