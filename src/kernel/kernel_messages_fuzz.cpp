// SPDX-License-Identifier: Apache-2.0
// Every reader of the kernel's bytes, on any bytes.
#include "kernel/conntrack.h"
#include "kernel/monitor.h"
#include "kernel/nftables.h"
#include "kernel/probe.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace terway::kernel;
  const Bytes bytes(data, size);
  (void)parse_probe_reply(bytes);
  Bytes rest = bytes;
  while (const auto message = next_message(rest)) {
    (void)parse_event(*message);
    (void)parse_connection(*message);
    (void)nft::parse_elements(*message);
    (void)nft::parse_rule_mark(*message);
    (void)nft::parse_mark_writer(*message);
    (void)describe(*message);
    (void)error_of(*message, "fuzz");
  }
  return 0;
}
