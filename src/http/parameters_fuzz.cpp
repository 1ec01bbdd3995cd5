// SPDX-License-Identifier: Apache-2.0
// Any text is some set of parameters, and encoding them again gives the same set.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "http/message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace terway::http;
  const Parameters parameters = parse_parameters({reinterpret_cast<const char*>(data), size});
  std::string encoded;
  for (const auto& [name, value] : parameters) {
    encoded += percent_encode(name) + "=" + percent_encode(value) + "&";
  }
  if (parse_parameters(encoded) != parameters) std::abort();
  return 0;
}
