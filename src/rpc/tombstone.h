// SPDX-License-Identifier: Apache-2.0
// DELs that came while the daemon did not answer. The plugin leaves each as a file and reports
// success, for the runtime must be able to remove its pod; the daemon does them once it is back.
// docs/formats/plugin-protocol.md, "Tombstones".
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/pod.h"
#include "rpc/plugin_request.h"

namespace terway::rpc {

struct Tombstone {
  model::AttachmentKey key;  // from the file's name
  WallTime left_at;          // when the plugin wrote it
  // As the plugin got it, without the namespace. When the file's content is damaged, a DEL of which
  // only the key is known, and `damage` says why.
  PluginRequest request;
  std::string damage;
};

// A directory of tombstones. Any number of plugins write while one thread reads.
class Tombstones {
 public:
  explicit Tombstones(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // Everything that waits, oldest first; empty when the directory does not exist. Read it after the
  // plugin's socket is open (a DEL that came before could not have reached it) and every now and
  // then (one may have been too slow to answer). Removes leftovers of plugins that died half-way.
  Result<std::vector<Tombstone>> list() const;

  // When the DEL is done, and when an ADD of the same key begins: what was to be deleted then is
  // the attachment before. Success when there is none.
  Result<> remove(const model::AttachmentKey& key) const;

  const std::filesystem::path& directory() const { return directory_; }

 private:
  std::filesystem::path directory_;
};

// "CONTAINER:IFNAME", the name of a tombstone's file; neither part can hold a ':'.
std::string tombstone_name(const model::AttachmentKey& key);

}  // namespace terway::rpc
