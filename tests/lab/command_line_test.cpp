// SPDX-License-Identifier: Apache-2.0
// terway-lab as a person at a terminal uses it, program by program.
#include <doctest/doctest.h>
#include <fmt/core.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "cluster.h"
#include "lab/cgroup.h"
#include "lab/process.h"

using namespace terway;
using namespace terway::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

// A lab of this name by the program itself, taken down at the end.
class Terminal {
 public:
  explicit Terminal(std::string name) : name_(std::move(name)) {
    auto self = lab::Programs::find();
    REQUIRE(self.ok());
    directory_ = self->directory.parent_path().parent_path() / "bin";
  }
  ~Terminal() { static_cast<void>(say({"down"})); }

  lab::Completed say(const std::vector<std::string>& words) {
    return run("terway-lab", words, {"--name", name_});
  }
  lab::Completed run(const std::string& program, const std::vector<std::string>& words,
                     std::vector<std::string> options = {}) {
    std::vector<std::string> argv = {(directory_ / program).native()};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), words.begin(), words.end());
    const auto done = lab::run_process({argv, {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}}, {}}, {},
                                       std::chrono::minutes(2));
    REQUIRE_MESSAGE(done.ok(), done.error().message());
    return *done;
  }
  // It succeeds, and its output is JSON.
  json answer(std::vector<std::string> words) {
    words.emplace_back("--json");
    const auto done = say(words);
    INFO(done.err);
    REQUIRE(done.exit_code == 0);
    json parsed = json::parse(done.out, nullptr, false);
    REQUIRE_FALSE(parsed.is_discarded());
    return parsed;
  }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  fs::path directory_;
};

std::string topology_file() {
  const std::string path = fmt::format("/tmp/terway-lab-test-{}.yaml", ::getpid());
  std::ofstream(path) << "vswitches:\n"
                         "  - {name: nodes, zone: a, cidr: 192.168.0.0/24}\n"
                         "  - {name: pods, zone: a, cidr: 192.168.1.0/24}\n"
                         "outside: [{vswitch: nodes}]\n"
                         "cloud: {attach_delay_ms: 100, nic_delay_ms: 10}\n"
                         "nodes:\n"
                         "  - {vswitch: nodes, pod_vswitches: [pods], pods: 2}\n"
                         "  - {vswitch: nodes, pod_vswitches: [pods], pods: 2}\n";
  return path;
}

}  // namespace

TEST_CASE("a lab's life at a terminal: up, pods, probes, faults, kill, restart, down") {
  Terminal terminal(fmt::format("cl{}", ::getpid()));
  const std::string topology = topology_file();
  const auto up = terminal.say({"up", topology});
  fs::remove(topology);
  INFO(up.err);
  REQUIRE(up.exit_code == 0);
  CHECK(up.out.find("default/node-1-pod-1") != std::string::npos);
  CHECK(up.out.find(" ok, 0 failed") != std::string::npos);

  const json added = terminal.answer({"pod", "add", "web", "--node", "node-2"});
  CHECK(added["node"].get<std::string>() == "node-2");
  const json status = terminal.answer({"status"});
  CHECK(status["pods"].size() == 5);
  CHECK(status["nodes"].size() == 3);
  std::string address;
  for (const json& pod : status["pods"]) {
    if (pod["name"] == "web") address = pod["addresses"][0].get<std::string>();
  }
  const json probe = terminal.answer({"probe", "node-1-pod-1", address + ":8080/tcp"});
  CHECK(probe["ok"].get<bool>());
  CHECK(probe["answer"].get<std::string>().starts_with("default/web "));
  CHECK(terminal.say({"probe", "web", "192.168.1.250/icmp", "--timeout", "0.2"}).exit_code == 1);
  const auto inside =
      terminal.say({"exec", "default/web", "--", "ip", "-o", "-4", "addr", "show", "eth0"});
  CHECK(inside.out.find(address + "/32") != std::string::npos);

  const json matrix = terminal.answer({"matrix"});
  CHECK(matrix["failed"].get<int>() == 0);
  CHECK(matrix["ok"].get<std::size_t>() == matrix["probes"].size());
  std::set<std::string> kinds;
  for (const json& one : matrix["probes"]) kinds.insert(one["kind"].get<std::string>());
  CHECK(kinds.size() == 7);

  CHECK(terminal.say({"fault", "add", "throttle", "--action", "AssignPrivateIpAddresses"})
            .exit_code == 0);
  CHECK(terminal.say({"fault", "list"}).out.find("throttle") != std::string::npos);
  CHECK(terminal.say({"fault", "clear"}).exit_code == 0);

  CHECK(terminal.say({"daemon", "kill", "node-1"}).exit_code == 0);
  CHECK(terminal.say({"daemon", "start", "node-1"}).exit_code == 0);
  CHECK(terminal.say({"kill", "node-1"}).exit_code == 0);
  CHECK_FALSE(terminal.answer({"status"})["nodes"][1]["running"].get<bool>());
  CHECK(terminal.say({"restart", "node-1"}).exit_code == 0);
  CHECK(terminal.say({"pod", "del", "web"}).exit_code == 0);
  CHECK(terminal.answer({"matrix"})["failed"].get<int>() == 0);
  // A second up cleans up first.
  CHECK(terminal.say({"up", "--no-matrix"}).exit_code == 0);

  CHECK(terminal.say({"down"}).exit_code == 0);
  CHECK_FALSE(fs::exists("/run/terway-lab/" + terminal.name()));
  CHECK(lab::find_cgroups("terway-lab-" + terminal.name())->empty());
  CHECK(terminal.say({"status"}).exit_code == 1);
  CHECK(terminal.say({"down"}).exit_code == 0);
}

TEST_CASE("two labs live side by side, and an interrupted one is cleaned up by the next") {
  Cluster first({});
  Cluster second({});
  first.add_pod("a");
  second.add_pod("a");
  first.check_matrix();
  second.check_matrix();
  // The state file is what an interrupted `up` may not have written.
  fs::remove(first.lab().paths().state());
  CHECK(lab::Lab::down(first.name()).ok());
  CHECK_FALSE(fs::exists(first.lab().paths().run()));
  second.check_audit();
}

TEST_CASE("wrong calls say what is allowed") {
  Terminal terminal(fmt::format("wr{}", ::getpid()));
  CHECK(terminal.say({}).exit_code == 2);
  CHECK(terminal.say({"fly"}).exit_code == 2);
  CHECK(terminal.say({"up", "/no/such/file.yaml"}).exit_code == 1);
  CHECK(terminal.run("terway-lab", {"down"}, {"--name", "Not_A_Name"}).exit_code == 1);
  const auto nothing = terminal.say({"matrix"});
  CHECK(nothing.exit_code == 1);
  CHECK(nothing.err.find("no lab called") != std::string::npos);
}
