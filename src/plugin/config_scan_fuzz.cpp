// SPDX-License-Identifier: Apache-2.0
// Any bytes as standard input of the plugin: what is found lies within them.
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "plugin/answer.h"
#include "plugin/config_scan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace terway::plugin;
  const char* start = reinterpret_cast<const char*>(data);
  const Text found = find_string({start, size}, "daemon_socket");
  VERIFY(found.empty() || (found.data >= start && found.data + found.size <= start + size));
  ErrorText error;
  write_error(error, spoken_version({start, size}), terway::cni::Code::TryAgainLater, found,
              {start, size});
  VERIFY(!error.text().empty());
  return 0;
}
