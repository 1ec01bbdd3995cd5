// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/tools/tool.h"

namespace terway::tools {
namespace {

// base < http < cloud < ipam < agent, all in order.
struct Layers : Tree {
  Layers() {
    write("src/CMakeLists.txt",
          "add_subdirectory(base)\nforeach(folder http cloud ipam agent)\nendforeach()\n");
    write("src/base/CMakeLists.txt", "terway_library(base)\n");
    write("src/base/result.h", "#include <string>\n");
    write("src/http/CMakeLists.txt", "terway_library(http USES base LINK PkgConfig::X)\n");
    write("src/http/client.h", "#include \"base/result.h\"\n");
    write("src/cloud/CMakeLists.txt", "terway_library(cloud\n  USES http\n  TEST_USES ipam)\n");
    write("src/cloud/client.cpp", "#include \"base/result.h\"\n#include \"http/client.h\"\n");
    write("src/ipam/CMakeLists.txt", "terway_library(ipam USES base)\n");
    write("src/ipam/pool.h", "#include \"base/result.h\"\n");
    write("src/agent/CMakeLists.txt", "terway_library(agent USES ipam cloud)\n");
    write("src/agent/agent.cpp", "#include \"ipam/pool.h\"\n#include \"cloud/client.h\"\n");
    write("cmd/terwayd/main.cpp", "int main() {}\n");
  }
  Outcome check() const { return run(TOOLS_FOLDER "/include-graph " + path().string()); }
};

TEST_CASE("a tree that keeps to its layers passes, and its graph is printed") {
  const Layers tree;
  const Outcome outcome = tree.check();
  CHECK_MESSAGE(outcome.status == 0, outcome.output);
  CHECK(outcome.says("cloud      → base(1) http(1)"));
  CHECK(outcome.says("agent      → cloud(1) ipam(1)"));
}

TEST_CASE("an upward include is refused with its place") {
  const Layers tree;
  tree.write("src/base/upward.h", "\n#include \"http/client.h\"\n");
  const Outcome outcome = tree.check();
  CHECK(outcome.status == 1);
  CHECK(outcome.says("src/base/upward.h:2: includes http, which is not below base"));
}

TEST_CASE("two folders that use each other are refused") {
  const Layers tree;
  tree.write("src/http/CMakeLists.txt", "terway_library(http USES base cloud)\n");
  const Outcome outcome = tree.check();
  CHECK(outcome.status == 1);
  CHECK(outcome.says("src/http/CMakeLists.txt: USES cloud, which is not below http"));
}

TEST_CASE("a decision that includes a gateway is refused, and the reverse") {
  const Layers tree;
  tree.write("src/ipam/CMakeLists.txt", "terway_library(ipam USES base cloud)\n");
  CHECK(tree.check().says("src/ipam/CMakeLists.txt: USES cloud: decisions and gateways meet"));
  tree.write("src/ipam/CMakeLists.txt", "terway_library(ipam USES base)\n");
  tree.write("src/ipam/wrong.cpp", "#include \"http/client.h\"\n");
  CHECK(tree.check().says("src/ipam/wrong.cpp:1: includes http: decisions and gateways meet"));
}

TEST_CASE("an include that the USES line does not allow is refused, a test's needs TEST_USES") {
  const Layers tree;
  tree.write("src/ipam/pool_test.cpp", "#include \"http/client.h\"\n");
  CHECK(tree.check().says("src/ipam/pool_test.cpp:1: includes http, which the TEST_USES line"));
  tree.write("src/ipam/CMakeLists.txt", "terway_library(ipam USES base TEST_USES http)\n");
  CHECK(tree.check().status == 0);
  tree.write("src/cloud/client_test.cpp", "#include \"ipam/pool.h\"\n");
  CHECK(tree.check().status == 0);
}

TEST_CASE("a folder without a layer and an include of a program are refused") {
  const Layers tree;
  tree.write("src/common/CMakeLists.txt", "terway_library(common)\n");
  tree.write("src/base/odd.h", "#include \"cmd/terwayd/main.h\"\n");
  const Outcome outcome = tree.check();
  CHECK(outcome.status == 1);
  CHECK(outcome.says("src/common is not in src/CMakeLists.txt"));
  CHECK(outcome.says("src/base/odd.h:1: includes \"cmd/terwayd/main.h\""));
}

TEST_CASE("a main that does more than put parts together is refused") {
  const Layers tree;
  tree.write("cmd/terwayd/main.cpp", std::string(61, '\n'));
  const Outcome outcome = tree.check();
  CHECK(outcome.status == 1);
  CHECK(outcome.says("cmd/terwayd/main.cpp: 61 lines"));
}

TEST_CASE("this source tree keeps to its layers") {
  const Outcome outcome = run(TOOLS_FOLDER "/include-graph");
  CHECK_MESSAGE(outcome.status == 0, outcome.output);
}

}  // namespace
}  // namespace terway::tools
