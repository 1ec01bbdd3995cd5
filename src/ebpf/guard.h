// SPDX-License-Identifier: Apache-2.0
// Keeps pods with NET_ADMIN inside their own network namespace: BPF LSM programs (bpf/guard.bpf.c)
// that refuse them messages which make, move, change or delete links of the node or of another pod.
//
// Programs and maps are pinned below a folder of the node's bpf file system and guard on while the
// daemon is away. They are the machine's, but hinder only pods that their map knows: what several
// nodes on one machine have beside each other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/pod.h"

struct guard_bpf;    // NOLINT(readability-identifier-naming): the generated skeleton
struct ring_buffer;  // NOLINT(readability-identifier-naming): libbpf's

namespace terway::ebpf {

// Owned by the datapath thread.
class Guard {
 public:
  // What was refused, to whom.
  struct Refusal {
    std::uint32_t pid = 0;  // in the machine's first pid namespace
    std::string program;
    std::uint64_t pod_netns = 0;  // inode
    std::uint64_t target_netns = 0;
    std::string_view what;  // for people: "named a namespace by its number (…)"
  };

  // Attaches what is not yet pinned in `folder` (made if it is not there), replaces what is of
  // another version, keeps the rest. Unavailable, with the reason, where the kernel cannot.
  static Result<Guard> open(const std::filesystem::path& folder);
  Guard(Guard&&) noexcept;
  Guard& operator=(Guard&&) noexcept;
  ~Guard();

  // Namespaces by inode number. Repeatable; an inode has one owner, the last.
  Result<> set_host(std::uint64_t netns);
  Result<> add_pod(const model::AttachmentKey& key, std::uint64_t netns);
  // Success when it is not there.
  Result<> remove_pod(const model::AttachmentKey& key);
  // Forgets pods that are not among these; how many it forgot.
  Result<std::size_t> keep_pods(const std::vector<model::AttachmentKey>& keys);

  // Pinned links that are gone or changed (somebody deleted the files) are made anew; which.
  Result<std::vector<std::string>> restore();

  // Readable when something was refused; drain() hands all of it out.
  int poll_fd() const;
  void drain(const std::function<void(const Refusal&)>& each);

  // Removes programs and maps with their folder: nothing is guarded any more.
  static Result<> remove(const std::filesystem::path& folder);

 private:
  struct Close {
    void operator()(guard_bpf* programs) const;
    void operator()(ring_buffer* refusals) const;
  };
  using Programs = std::unique_ptr<guard_bpf, Close>;
  using Refusals = std::unique_ptr<ring_buffer, Close>;

  Guard(std::filesystem::path folder, Programs programs);
  int spaces() const;
  Result<> write(std::uint64_t netns, std::uint32_t role, std::uint64_t owner);

  std::filesystem::path folder_;
  Programs programs_;
  Refusals refusals_;
  // Where the ring buffer's callback finds whom to call; its address must not change.
  std::unique_ptr<std::function<void(const Refusal&)>> each_;
};

}  // namespace terway::ebpf
