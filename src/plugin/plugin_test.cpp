// SPDX-License-Identifier: Apache-2.0
// The plugin's parts; the program itself is run in tests/netns/cni.
#include "plugin/plugin.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <string>

#include "plugin/answer.h"
#include "plugin/config_scan.h"
#include "plugin/tombstone.h"
#include "rpc/tombstone.h"

using namespace terway;
using namespace terway::plugin;

namespace {

std::string string_of(Text text) { return {text.data == nullptr ? "" : text.data, text.size}; }

std::string found(const char* json, const char* key) { return string_of(find_string(json, key)); }

Call del_call() {
  Call call;
  call.command = cni::Command::Del;
  call.field(rpc::Field::ContainerId) = "8d9e";
  call.field(rpc::Field::Ifname) = "eth0";
  call.field(rpc::Field::Netns) = "/proc/1/ns/net";
  call.field(rpc::Field::Args) = "K8S_POD_NAME=web-0";
  call.field(rpc::Field::Config) = "{}";
  call.netns_state = rpc::Netns::Attached;
  call.netns = 99;
  return call;
}

}  // namespace

TEST_CASE("a string of the outermost object is found, whatever is around it") {
  CHECK(found(R"({"cniVersion":"1.0.0"})", "cniVersion") == "1.0.0");
  CHECK(found("{ \n\t\"a\" : [1,{\"k\":\"no\"}], \"k\" \r\n: \"yes\" }", "k") == "yes");
  CHECK(found(R"({"a":"k","b":"\"k\":\"no\"","k":"yes"})", "k") == "yes");
  CHECK(found(R"({"prevResult":{"k":"no"},"k":"yes"})", "k") == "yes");
}

TEST_CASE("what is no plain string there is not found") {
  for (const char* json :
       {"", "{", "\"k\"", "{\"k\"", "{\"k\":", "{\"k\":7}", "{\"k\":null}", R"({"k":{"k":"no"}})",
        R"({"k":"a\"b"})", R"([["k":"no"]])", R"({"K":"no"})", R"({"x":"k"})"}) {
    CHECK_MESSAGE(found(json, "k").empty(), json);
  }
}

TEST_CASE("the version of the configuration is repeated only when it looks like one") {
  CHECK(string_of(spoken_version(R"({"cniVersion":"0.4.0"})")) == "0.4.0");
  CHECK(string_of(spoken_version(R"({"cniVersion":"\",\"x\":\""})")) == "1.1.0");
  CHECK(string_of(spoken_version(R"({"cniVersion":"1.0.0<script>"})")) == "1.1.0");
  CHECK(string_of(spoken_version("nonsense")) == "1.1.0");
}

TEST_CASE("an error is written as the specification's example") {
  ErrorText error;
  write_error(error, "1.1.0", cni::Code::InvalidConfig, "Invalid Configuration",
              "Network 192.168.0.0/31 too small to allocate from.");
  CHECK(string_of(error.text()) ==
        "{\"cniVersion\":\"1.1.0\",\"code\":7,\"msg\":\"Invalid Configuration\","
        "\"details\":\"Network 192.168.0.0/31 too small to allocate from.\"}\n");
}

TEST_CASE("what goes into an error is escaped") {
  ErrorText error;
  write_error(error, "1.1.0", cni::Code::TryAgainLater, "a\"b\\c", "line\nbreak\x01");
  CHECK(string_of(error.text()).find(R"("msg":"a\"b\\c","details":"line\u000abreak\u0001")") !=
        std::string::npos);
}

TEST_CASE("a buffer cuts what does not fit and says so") {
  Buffer<8> buffer;
  buffer << "abc" << 42UL;
  CHECK(string_of(buffer.text()) == "abc42");
  CHECK_FALSE(buffer.cut());
  buffer << "defg";
  CHECK(string_of(buffer.text()) == "abc42de");
  CHECK(buffer.cut());
  CHECK(std::string(buffer.terminated()) == "abc42de");
}

TEST_CASE("a tombstone that the plugin leaves is the one that the daemon reads") {
  char name[] = "/tmp/terway-plugin-XXXXXX";
  const std::filesystem::path scratch = ::mkdtemp(name);
  const std::string directory = scratch / "a" / "b";
  Reason reason;
  CHECK(leave_tombstone(directory.c_str(), del_call(), reason));
  CHECK(leave_tombstone(directory.c_str(), del_call(), reason));  // the same DEL again
  CHECK(reason.text().empty());
  const rpc::Tombstones tombstones(directory);
  const auto left = tombstones.list();
  REQUIRE(left.ok());
  REQUIRE(left->size() == 1);
  const rpc::Tombstone& tombstone = left->front();
  CHECK(tombstone.damage.empty());
  CHECK(tombstone.key == model::AttachmentKey{"8d9e", "eth0"});
  CHECK(tombstone.request.netns_path == "/proc/1/ns/net");
  CHECK(tombstone.request.netns_state == rpc::Netns::None);
  CHECK(tombstone.request.args == "K8S_POD_NAME=web-0");
  CHECK(tombstone.request.config == "{}");
  struct stat status{};
  REQUIRE(::stat((directory + "/8d9e:eth0").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  std::filesystem::remove_all(scratch);
}

TEST_CASE("a tombstone that cannot be left tells why") {
  Reason reason;
  CHECK_FALSE(leave_tombstone("/dev/null/x", del_call(), reason));
  CHECK(string_of(reason.text()).find("create /dev/null/x/8d9e:eth0") != std::string::npos);
  Reason too_long;
  CHECK_FALSE(leave_tombstone(std::string(5000, 'a').c_str(), del_call(), too_long));
  CHECK(string_of(too_long.text()).find("too long") != std::string::npos);
}

TEST_CASE("the numbers and words of the verbs are those of the protocol") {
  CHECK(static_cast<int>(cni::Command::Add) == 1);
  CHECK(static_cast<int>(cni::Command::Del) == 2);
  CHECK(static_cast<int>(cni::Command::Check) == 3);
  CHECK(static_cast<int>(cni::Command::Gc) == 4);
  CHECK(static_cast<int>(cni::Command::Status) == 5);
  CHECK(std::string(cni::to_word(cni::Command::Gc)) == "GC");
}
