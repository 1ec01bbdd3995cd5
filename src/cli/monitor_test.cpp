// SPDX-License-Identifier: Apache-2.0
#include "cli/monitor.h"

#include <doctest/doctest.h>

namespace terway::cli {
namespace {

rpc::cli::EventEntry drop() {
  rpc::cli::EventEntry event;
  event.time_s = 12.5;
  event.kind = "drop";
  event.reason = "spoofed_ip";
  event.text = "its source is not an address of the pod";
  event.direction = "egress";
  event.pod = "default/web";
  event.protocol = "tcp";
  event.source = "10.0.0.9";
  event.destination = "fd00::7";
  event.source_port = 80;
  event.destination_port = 1234;
  event.length = 60;
  event.tcp_flags = "S";
  return event;
}

TEST_CASE("a filter passes what fits all of it") {
  CHECK(MonitorFilter{}.passes(drop()));
  CHECK(MonitorFilter{.pod = "default/web"}.passes(drop()));
  CHECK(MonitorFilter{.pod = "web"}.passes(drop()));
  CHECK_FALSE(MonitorFilter{.pod = "eb"}.passes(drop()));
  CHECK(MonitorFilter{.address = "fd00::7", .port = 80}.passes(drop()));
  CHECK_FALSE(MonitorFilter{.address = "10.0.0.8"}.passes(drop()));
  CHECK_FALSE(MonitorFilter{.port = 81}.passes(drop()));
  CHECK(MonitorFilter{.reason = "spoofed_ip", .direction = "egress"}.passes(drop()));
  CHECK_FALSE(MonitorFilter{.direction = "ingress"}.passes(drop()));
}

TEST_CASE("an event is one line that says who, what and why") {
  CHECK(
      line_of(drop(), Colour::Off) ==
      "12.500000 DROP egress  default/web              tcp 10.0.0.9:80 > [fd00::7]:1234 length 60 "
      "[S] spoofed_ip: its source is not an address of the pod");
}

}  // namespace
}  // namespace terway::cli
