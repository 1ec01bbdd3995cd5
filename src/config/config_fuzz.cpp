// SPDX-License-Identifier: Apache-2.0
// Any bytes are a configuration or an error; what is accepted can be shown and compared.
#include "base/result.h"
#include "config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto loaded =
      terway::config::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!loaded.ok()) return 0;
  VERIFY(!terway::config::shown(*loaded).empty());
  const auto same = terway::config::difference(*loaded, *loaded);
  VERIFY(same.live.empty() && same.restart.empty());
  VERIFY(terway::config::merged(loaded->config, loaded->config) == loaded->config);
  return 0;
}
