// SPDX-License-Identifier: Apache-2.0
// Network namespaces by descriptor. A namespace belongs to a thread: what must be done inside
// another one is done under a guard that goes back, and aborts if it cannot.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/socket.h"

namespace terway::kernel {

// NotFound when the path is gone, Invalid when it is no network namespace.
Result<UniqueFd> open_netns(const std::filesystem::path& path);
// The calling thread's own.
Result<UniqueFd> current_netns();

// Identity of a namespace among those alive (inode of nsfs; reused after its death).
Result<std::uint64_t> netns_inode(int netns);
// Unique for the life of the machine (SO_NETNS_COOKIE, Linux 5.14); Unavailable on older kernels.
Result<std::uint64_t> netns_cookie(int netns);

// Gives the namespace a number in that of the socket, unless it has one: from then on a monitor of
// events everywhere hears of it.
Result<> number_netns(Socket& socket, int netns);

// While it lives the calling thread is in `netns`. Pinned to its thread and scope.
class InsideNetns {
 public:
  static Result<InsideNetns> enter(int netns);
  InsideNetns(InsideNetns&&) noexcept = default;
  InsideNetns& operator=(InsideNetns&&) = delete;
  ~InsideNetns();

 private:
  explicit InsideNetns(UniqueFd home) : home_(std::move(home)) {}
  UniqueFd home_;
};

}  // namespace terway::kernel
