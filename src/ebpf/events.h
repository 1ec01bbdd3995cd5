// SPDX-License-Identifier: Apache-2.0
// Reads the ring of drops and flows that the datapath's programs write.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "bpf/abi.h"

struct ring_buffer;  // NOLINT(readability-identifier-naming): libbpf's

namespace terway::ebpf {

// One reader for one ring; for one thread.
class Events {
 public:
  // `ring`: descriptor of the map `events`, which stays the caller's.
  static Result<Events> open(int ring);

  // Readable while there are events.
  int fd() const;
  // Hands out all that wait; does not block.
  Result<> drain(const std::function<void(const abi::event&)>& each);

 private:
  struct Close {
    void operator()(ring_buffer* ring) const;
  };
  Events() = default;
  // Where the ring's callback finds whom to call; its address must not change.
  std::unique_ptr<const std::function<void(const abi::event&)>*> each_;
  std::unique_ptr<ring_buffer, Close> ring_;
};

}  // namespace terway::ebpf
