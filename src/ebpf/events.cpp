// SPDX-License-Identifier: Apache-2.0
#include "ebpf/events.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>

namespace terway::ebpf {

namespace {

using Each = std::function<void(const abi::event&)>;

int hand_out(void* context, void* data, std::size_t size) {
  const Each* each = *static_cast<const Each**>(context);
  abi::event event{};
  if (each == nullptr || size < sizeof(event)) return 0;
  std::memcpy(&event, data, sizeof(event));
  (*each)(event);
  return 0;
}

}  // namespace

void Events::Close::operator()(ring_buffer* ring) const { ring_buffer__free(ring); }

Result<Events> Events::open(int ring) {
  Events events;
  events.each_ = std::make_unique<const Each*>(nullptr);
  events.ring_.reset(
      ring_buffer__new(ring, hand_out, static_cast<void*>(events.each_.get()), nullptr));
  if (!events.ring_) return Error::from_errno(errno, "open the ring of events");
  return events;
}

int Events::fd() const { return ring_buffer__epoll_fd(ring_.get()); }

Result<> Events::drain(const Each& each) {
  *each_ = &each;
  const int taken = ring_buffer__consume(ring_.get());
  *each_ = nullptr;
  if (taken < 0) return Error::from_errno(-taken, "read the ring of events");
  return Ok{};
}

}  // namespace terway::ebpf
