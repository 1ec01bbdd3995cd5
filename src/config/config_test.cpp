// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "config/reader.h"
#include "config/watch.h"

namespace terway::config {

namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Config good(std::string_view json) {
  auto loaded = parse(json);
  if (!loaded.ok()) FAIL(loaded.error().to_string());
  CHECK(loaded->warnings.empty());
  return loaded->config;
}

std::string refusal(std::string_view json) {
  const auto loaded = parse(json);
  REQUIRE_FALSE(loaded.ok());
  CHECK(loaded.error().kind() == Error::Kind::Invalid);
  return loaded.error().message();
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an empty configuration is the default one") {
  const Config c = good("{}");
  CHECK(c == Config{});
  CHECK(c.min_pool_size == 0);
  CHECK(c.max_pool_size == 5);
  CHECK(c.cool_down == seconds(60));
}

TEST_CASE("every key is read") {
  const Config c = good(R"({
    "version": "1", "region_id": "cn-hangzhou", "prefix": "", "extra_routes": [],
    "access_key": "ak", "access_secret": "sk", "credential_path": "/var/addon/token-config",
    "service_cidr": "172.21.0.0/20,fd00:1::/112",
    "vswitches": {"cn-hangzhou-h": ["vsw-1", "vsw-2"]},
    "vswitch_selection_policy": "ordered", "eni_selection_policy": "least_ips",
    "security_group": "sg-2", "security_groups": ["sg-1", "sg-2"],
    "eni_tags": {"team": "net"}, "eni_tag_filter": {"a": "b"}, "eni_tag_block_list": {"x": ""},
    "max_pool_size": 10, "min_pool_size": 3, "ip_warm_up_size": 0,
    "idle_ip_reclaim_after": "1h30m", "idle_ip_reclaim_batch_size": 7,
    "idle_ip_reclaim_interval": "5m", "idle_ip_reclaim_jitter_factor": "0.25",
    "ip_pool_sync_period": "90s", "min_eni": 1, "max_eni": 4, "eni_cap_ratio": 0.5,
    "eni_cap_shift": -1, "ip_stack": "dual", "enable_eni_trunking": false,
    "enable_erdma": false, "disable_device_plugin": true, "ipam_type": "",
    "enable_ip_prefix": false, "ipv4_prefix_count": 0, "ipv6_prefix_count": 0,
    "custom_stateful_workload_kinds": ["GameServer"],
    "rate_limit": {"AssignPrivateIpAddresses": 200}, "resource_group_id": "rg-1",
    "enable_patch_pod_ips": false,
    "cluster_id": "c1", "node_name": "node-1", "ecs_endpoint": "https://127.0.0.1:8443",
    "vpc_endpoint": "https://127.0.0.1:8443", "metadata_endpoint": "http://127.0.0.1:8080",
    "ca_file": "/etc/ca.pem", "cool_down": 30, "stick_time": "10m", "add_timeout": "20s",
    "attach_timeout": "30s", "nic_timeout": "10s", "vswitch_probe_after": "1m",
    "no_manage_macs": ["00:16:3E:00:00:01"], "api_workers": 2, "pods_table": 512,
    "mark_mask": 267386880,
    "journal_path": "/a", "plugin_socket": "/b", "cli_socket": "/c",
    "tombstone_directory": "/d", "metrics_listen": "127.0.0.1:9100",
    "log_level": "debug", "log_format": "json"
  })");
  CHECK(c.access_key == "ak");
  CHECK(c.access_secret == "sk");
  CHECK(c.credential_path == "/var/addon/token-config");
  REQUIRE(c.service_cidrs.size() == 2);
  CHECK(c.service_cidrs[1].to_string() == "fd00:1::/112");
  CHECK(c.vswitches.at("cn-hangzhou-h") == std::vector<std::string>{"vsw-1", "vsw-2"});
  CHECK(c.vswitch_selection == VSwitchSelection::Most);
  CHECK(c.eni_selection == EniSelection::LeastIps);
  CHECK(c.security_groups == std::vector<std::string>{"sg-1", "sg-2"});
  CHECK(c.eni_tags == model::Tags{{"team", "net"}});
  CHECK(c.eni_tag_filter == model::Tags{{"a", "b"}});
  CHECK(c.eni_tag_block_list == model::Tags{{"x", ""}});
  CHECK(c.max_pool_size == 10);
  CHECK(c.min_pool_size == 3);
  CHECK(c.idle_reclaim_after == Duration(minutes(90)));
  CHECK(c.idle_reclaim_batch == 7);
  CHECK(c.idle_reclaim_interval == minutes(5));
  CHECK(c.idle_reclaim_jitter == 0.25);
  CHECK(c.pool_sync_period == seconds(90));
  CHECK(c.min_eni == 1);
  CHECK(c.max_eni == 4);
  CHECK(c.eni_cap_ratio == 0.5);
  CHECK(c.eni_cap_shift == -1);
  CHECK(c.stack == Stack::Dual);
  CHECK(c.stateful_kinds == std::vector<std::string>{"StatefulSet", "GameServer"});
  CHECK(c.rate_limits.at("AssignPrivateIpAddresses") == 200);
  CHECK(c.resource_group_id == "rg-1");
  CHECK(c.cluster_id == "c1");
  CHECK(c.node_name == "node-1");
  CHECK(c.ecs_endpoint == "https://127.0.0.1:8443");
  CHECK(c.metadata_endpoint == "http://127.0.0.1:8080");
  CHECK(c.ca_file == "/etc/ca.pem");
  CHECK(c.cool_down == seconds(30));
  CHECK(c.stick_time == minutes(10));
  CHECK(c.add_timeout == seconds(20));
  CHECK(c.attach_timeout == seconds(30));
  CHECK(c.nic_timeout == seconds(10));
  CHECK(c.vswitch_probe_after == seconds(60));
  CHECK(c.no_manage_macs.at(0).to_string() == "00:16:3e:00:00:01");
  CHECK(c.api_workers == 2);
  CHECK(c.pods_table == 512);
  CHECK(c.mark_mask == 0x0ff00000);
  CHECK(c.journal_path == "/a");
  CHECK(c.plugin_socket == "/b");
  CHECK(c.cli_socket == "/c");
  CHECK(c.tombstone_directory == "/d");
  CHECK(c.metrics_listen == "127.0.0.1:9100");
  CHECK(c.log_level == log::Level::Debug);
  CHECK(c.log_format == log::Format::Json);
}

TEST_CASE("a bad value is refused with key, value and what is allowed") {
  CHECK(refusal(R"({"max_pool_size": -1})") ==
        "max_pool_size: -1 is not allowed: a whole number from 0 to 4096");
  CHECK(refusal(R"({"max_pool_size": "5"})") ==
        "max_pool_size: \"5\" is not allowed: a whole number from 0 to 4096");
  CHECK(refusal(R"({"vswitch_selection_policy": "best"})") ==
        "vswitch_selection_policy: \"best\" is not allowed: one of \"random\", \"most\", "
        "\"ordered\"");
  CHECK(contains(refusal(R"({"cool_down": "soon"})"), "as in \"90s\""));
  CHECK(contains(refusal(R"({"vswitches": ["vsw-1"]})"), "vSwitches by zone"));
  CHECK(contains(refusal(R"({"service_cidr": "172.21.0.1/20"})"), "service_cidr"));
  CHECK(contains(refusal(R"({"ca_file": "ca.pem"})"), "an absolute path"));
  CHECK(contains(refusal(R"({"ecs_endpoint": "ecs.example"})"), "http://"));
  CHECK(contains(refusal(R"({"no_manage_macs": ["zz"]})"), "MAC addresses"));
  CHECK(contains(refusal(R"({"rate_limit": {"A": 0}})"), "calls per minute"));
  CHECK(contains(refusal(R"({"eni_cap_ratio": "x"})"), "a number from 0 to 1"));
  CHECK(contains(refusal(R"({"disable_device_plugin": "yes"})"), "true or false"));
  CHECK(contains(refusal(R"({"eni_tags": {"a": 1}})"), "string values"));
}

TEST_CASE("all bad values are told at once") {
  const std::string text = refusal(R"({"min_eni": "x", "max_eni": "y"})");
  CHECK(contains(text, "min_eni"));
  CHECK(contains(text, "max_eni"));
}

TEST_CASE("a secret is never in a message, and not among what is shown") {
  CHECK_FALSE(contains(refusal(R"({"access_key": "a", "access_secret": [12345]})"), "12345"));
  const auto loaded = parse(R"({"access_key": "a", "access_secret": "hush"})");
  REQUIRE(loaded.ok());
  for (const auto& key : shown(*loaded)) CHECK_FALSE(contains(key.value, "hush"));
}

TEST_CASE("a known key whose feature is not there is refused when switched on, by name") {
  for (const char* json :
       {R"({"enable_eni_trunking": true})", R"({"enable_erdma": true})", R"({"ipam_type": "crd"})",
        R"({"enable_ip_prefix": true})", R"({"ipv4_prefix_count": 2})",
        R"({"ipv6_prefix_count": 1})", R"({"ip_warm_up_size": 20})"}) {
    const std::string key = std::string(json).substr(2, std::string(json).find('"', 2) - 2);
    CHECK(contains(refusal(json), key + ": "));
    CHECK(contains(refusal(json), "not in this version"));
  }
}

TEST_CASE("a known key that has no effect here is warned about by name") {
  const auto loaded = parse(R"({"kube_client_qps": 5, "backoff_override": {"eni_ops": {}}})");
  REQUIRE(loaded.ok());
  REQUIRE(loaded->warnings.size() == 2);
  CHECK(loaded->warnings[0].starts_with("backoff_override: has no effect: "));
  CHECK(loaded->warnings[1].starts_with("kube_client_qps: has no effect: "));
}

TEST_CASE("an unknown key is warned about by name, with the nearest known one") {
  const auto loaded = parse(R"({"max_pol_size": 5, "colour": 1})");
  REQUIRE(loaded.ok());
  REQUIRE(loaded->warnings.size() == 2);
  CHECK(loaded->warnings[0] == "colour: unknown key, ignoring it");
  CHECK(loaded->warnings[1] == "max_pol_size: unknown key, ignoring it; is max_pool_size meant?");
}

TEST_CASE("keys that contradict each other are refused") {
  CHECK(contains(refusal(R"({"min_pool_size": 6, "max_pool_size": 5})"), "at most max_pool_size"));
  CHECK(good(R"({"min_pool_size": 6})").max_pool_size == 6);
  CHECK(contains(refusal(R"({"access_key": "a"})"), "one without the other"));
  CHECK(contains(refusal(R"({"mark_mask": 65280})"), "kube-proxy"));
  CHECK(contains(refusal(R"({"mark_mask": 3})"), "at least 3 bits"));
  CHECK(contains(
      refusal(
          R"({"security_group": "s0", "security_groups": ["a","b","c","d","e","f","g","h","i","j"]})"),
      "at most 10"));
}

TEST_CASE("what is no JSON object is refused") {
  CHECK(refusal("") == "it is not JSON");
  CHECK(refusal("[]") == "it is not a JSON object");
  CHECK(refusal("{\"a\":") == "it is not JSON");
}

TEST_CASE("a difference tells what takes effect at once and what needs a restart") {
  const auto before = parse(R"({"max_pool_size": 5, "journal_path": "/a", "log_level": "info"})");
  const auto after = parse(R"({"max_pool_size": 6, "journal_path": "/b", "log_level": "info"})");
  const auto result = difference(*before, *after);
  CHECK(result.live == std::vector<std::string>{"max_pool_size"});
  CHECK(result.restart == std::vector<std::string>{"journal_path"});
  const Config both = merged(before->config, after->config);
  CHECK(both.max_pool_size == 6);
  CHECK(both.journal_path == "/a");
  CHECK(difference(*before, *before).live.empty());
}

TEST_CASE("durations are written as Go writes them") {
  CHECK(parse_duration("1h30m") == Duration(minutes(90)));
  CHECK(parse_duration("500ms") == Duration(milliseconds(500)));
  CHECK(parse_duration("1.5s") == Duration(milliseconds(1500)));
  CHECK(parse_duration("0") == Duration::zero());
  for (const char* text : {"", "5", "s", "-1s", "1x", "1s ", "nan", "infh", "1e99h", "99999999h"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("a file that is replaced beside a link is noticed, as a ConfigMap volume does it") {
  char name[] = "/tmp/terway-config-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  std::filesystem::create_directory(folder / "..v1");
  std::filesystem::create_directory(folder / "..v2");
  REQUIRE(replace_file(folder / "..v1/eni.json", "{}").ok());
  REQUIRE(replace_file(folder / "..v2/eni.json", R"({"max_pool_size": 9})").ok());
  std::filesystem::create_symlink("..v1", folder / "..data");
  std::filesystem::create_symlink("..data/eni.json", folder / "eni.json");
  auto watch = FileWatch::open(folder / "eni.json");
  REQUIRE(watch.ok());
  pollfd ready{watch->poll_fd(), POLLIN, 0};
  CHECK(::poll(&ready, 1, 0) == 0);
  std::filesystem::create_symlink("..v2", folder / "..data_tmp");
  std::filesystem::rename(folder / "..data_tmp", folder / "..data");
  CHECK(::poll(&ready, 1, 5000) == 1);
  CHECK(watch->drain().ok());
  CHECK(::poll(&ready, 1, 0) == 0);
  CHECK(load((folder / "eni.json").native())->config.max_pool_size == 9);
  std::filesystem::remove_all(folder);
}

}  // namespace terway::config
