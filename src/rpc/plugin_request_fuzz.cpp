// SPDX-License-Identifier: Apache-2.0
// Any bytes as a request or a tombstone: refused, or the same bytes when written again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rpc/plugin_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto request = terway::rpc::decode_request(bytes);
  if (request.ok()) VERIFY(terway::rpc::encode_request(*request) == bytes);
  return 0;
}
