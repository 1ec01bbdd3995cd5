// SPDX-License-Identifier: Apache-2.0
// Any text is a target or an error, and a target that is sent again asks for the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "http/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace terway::http;
  const auto target = parse_target({reinterpret_cast<const char*>(data), size});
  if (!target.ok() || target->path == "*") return 0;
  Request request;
  request.path = target->path;
  request.query = target->query;
  const auto again = parse_target(target_of(request));
  if (!again.ok() || again->path != target->path || again->query != one_line(target->query)) {
    std::abort();
  }
  return 0;
}
