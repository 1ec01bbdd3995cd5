// SPDX-License-Identifier: Apache-2.0
#include "cli/views.h"

#include <doctest/doctest.h>

#include "cli/text.h"

namespace terway::cli {
namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

rpc::cli::MappingEntry entry(const std::string& status, const std::string& address,
                             const std::string& pod, const std::string& container, bool cloud) {
  return {status, address, "eni-1", pod, container, true, !container.empty(), cloud};
}

TEST_CASE("durations show the two units that matter") {
  CHECK(duration(-1) == "0.0s");
  CHECK(duration(0.42) == "0.4s");
  CHECK(duration(12.9) == "12s");
  CHECK(duration(312) == "5m12s");
  CHECK(duration(3 * 3600 + 240) == "3h4m");
  CHECK(duration(2 * 86400 + 7 * 3600) == "2d7h");
}

TEST_CASE("a node that is not ready says why, and in red") {
  rpc::cli::Status status;
  status.node = "node-a";
  status.reason = "no address of vSwitch vsw-1 is left";
  status.cloud = "failing: DescribeNetworkInterfaces: Forbidden.RAM";
  status.drift = {{"rules", 2}, {"routes", 0}};
  status.pools.resize(1);
  status.pools[0].family = "ipv4";
  status.pools[0].capacity = 30;
  status.pools[0].total = 20;
  status.pools[0].held = 17;
  status.pools[0].idle = 3;
  status.notices = {{"VSwitchExhausted", "vsw-1", "no address left", "2026-07-01T12:00:00Z", 3}};
  const std::string plain = view(status, Colour::Off);
  CHECK(has(plain, "State      not ready: no address of vSwitch vsw-1 is left\n"));
  CHECK(has(plain, "Put right  2 rules\n"));
  CHECK(has(plain, "ipv4          30     20    17     3"));
  CHECK(has(plain, "VSwitchExhausted  vsw-1    no address left\n"));
  CHECK(has(view(status, Colour::On), "\x1b[31mnot ready: no address"));
  status.ready = true;
  CHECK(has(view(status, Colour::On), "\x1b[32mready\x1b[0m"));
}

TEST_CASE("an empty node has no tables, and says so") {
  CHECK(view(rpc::cli::Pods{}, Colour::Off) == "no pods\n");
  CHECK(view(rpc::cli::Enis{}, Colour::Off) == "no ENIs\n");
  CHECK_FALSE(has(view(rpc::cli::Status{}, Colour::Off), "Notices"));
  CHECK_FALSE(has(view(rpc::cli::Journal{}, Colour::Off), "Attachments"));
}

TEST_CASE("the address map tells who disagrees") {
  rpc::cli::Mapping map;
  map.entries = {entry("ok", "10.0.0.7", "shop/web-0", "c1", true),
                 entry("ok", "10.0.0.8", "", "", true),
                 entry("not in the cloud", "10.0.0.9", "shop/web-1", "c2", false)};
  const std::string text = view(map, Colour::Off);
  CHECK(has(text, "shop/web-0  c1         yes      yes     yes\n"));
  // Nobody holds it, so there is no route to ask for.
  CHECK(has(text, "-           -          yes      -       yes\n"));
  CHECK(
      has(text, "not in the cloud  10.0.0.9  eni-1  shop/web-1  c2         yes      yes     no\n"));
  CHECK(has(text, "disagree"));
  map.consistent = true;
  CHECK(has(view(map, Colour::Off), "journal, kernel and cloud agree\n"));
}

TEST_CASE("the pool shows calls under way and who waits") {
  rpc::cli::Pool pool;
  pool.min_pool_size = 2;
  pool.max_pool_size = 5;
  pool.cool_down_s = 60;
  pool.operations.resize(1);
  pool.operations[0].kind = "AssignIpv4";
  pool.operations[0].ipv4_count = 10;
  pool.waiting = {{"shop/web-3", "0123456789abcdef", 2.5}};
  const std::string text = view(pool, Colour::Off);
  CHECK(has(text, "Idle addresses kept  2 to 5\n"));
  CHECK(has(text, "Cool-down            1m0s\n"));
  CHECK(has(text, "AssignIpv4"));
  CHECK(has(text, "shop/web-3  0123456789ab       2.5s\n"));
}

TEST_CASE("the configuration shows sources, warnings and what needs a restart") {
  rpc::cli::Config config;
  config.path = "/etc/eni/eni.json";
  config.entries = {{"max_pool_size", "5", "default"}, {"access_secret", "\"***\"", "file"}};
  config.warnings = {"unknown key \"mx_pool_size\""};
  config.restart_needed = {"journal_path"};
  const std::string text = view(config, Colour::Off);
  CHECK(has(text, "access_secret  \"***\"  file\n"));
  CHECK(has(text, "Warnings\nunknown key \"mx_pool_size\"\n"));
  CHECK(has(text, "only after a restart\njournal_path\n"));
}

TEST_CASE("the journal shows attachments, ENIs and operations begun") {
  rpc::cli::Journal journal;
  journal.path = "/j.db";
  journal.attachments.resize(1);
  journal.attachments[0].state = "Removing";
  journal.enis.resize(1);
  journal.enis[0].key = "k1";
  journal.enis[0].state = "Creating";
  journal.enis[0].last_error = "Throttling";
  journal.operations.resize(1);
  journal.operations[0].kind = "CreateEni";
  const std::string text = view(journal, Colour::Off);
  CHECK(has(text, "Removing"));
  CHECK(has(text, "k1   Creating"));  // its id is not known yet
  CHECK(has(text, "Throttling"));
  CHECK(has(text, "CreateEni"));
}

}  // namespace
}  // namespace terway::cli
