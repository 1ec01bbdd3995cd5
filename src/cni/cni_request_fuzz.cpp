// SPDX-License-Identifier: Apache-2.0
// Any bytes as environment and standard input: one of two outcomes, never a crash. The first byte
// chooses the command; what is before the first NUL is CNI_ARGS, the rest is standard input.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "cni/request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace terway::cni;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  Call call;
  call.command = static_cast<Command>(1 + data[0] % 5);
  call.container_id = text.substr(0, data[0] % 8);
  call.ifname = data[0] % 2 == 0 ? std::string_view("eth0") : text.substr(0, 4);
  call.netns_path = "/var/run/netns/x";
  const std::size_t end = text.find('\0');
  call.args = end == std::string_view::npos ? std::string_view() : text.substr(0, end);
  call.config = end == std::string_view::npos ? text : text.substr(end + 1);
  if ((data[0] & 0x80) != 0) call.container_id = "c1";
  const auto parsed = parse_request(call);
  if (const auto* failure = std::get_if<Failure>(&parsed)) {
    VERIFY(!to_json(*failure).empty());
    VERIFY(!failure->details.empty());
  } else {
    const auto& request = std::get<Request>(parsed);
    if (request.previous) VERIFY(!to_json(*request.previous, request.config.version).empty());
  }
  return 0;
}
