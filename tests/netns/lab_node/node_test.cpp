// SPDX-License-Identifier: Apache-2.0
// Nodes of the lab: what they isolate, what survives, and that nothing is left behind.
#include "lab/node.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <unistd.h>

#include "base/file.h"
#include "lab/cgroup.h"

using namespace terway;
using namespace terway::lab;
namespace fs = std::filesystem;

namespace {

// A lab of this test's own, removed also when a check fails.
class TestLab {
 public:
  TestLab() : name_(fmt::format("t{}", ::getpid())), root_("/run/terway-lab-test-" + name_) {}
  ~TestLab() {
    CHECK(remove_nodes(name_).ok());
    fs::remove_all(root_);
  }
  NodeSpec spec(const std::string& node) const {
    return {name_, node, root_, root_ / "disk" / node};
  }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  fs::path root_;
};

Command shell(const std::string& script) {
  return {{"/bin/sh", "-c", script}, {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}}};
}

std::string say(const Node& node, const std::string& script) {
  const auto done = node.run(shell(script), {}, std::chrono::seconds(20));
  REQUIRE_MESSAGE(done.ok(), done.error().message());
  INFO(done->err);
  CHECK(done->exit_code == 0);
  return std::string(trimmed(done->out));
}

Node boot(const NodeSpec& spec) {
  auto node = Node::boot(spec);
  REQUIRE_MESSAGE(node.ok(), node.error().message());
  return *node;
}

}  // namespace

TEST_CASE("a node has a name, processes, a network and a boot id of its own") {
  const TestLab lab;
  const Node a = boot(lab.spec("a"));
  const Node b = boot(lab.spec("b"));
  CHECK(say(a, "hostname") == "a");
  CHECK(say(a, "cat /proc/1/comm") == "lab-node-init");
  CHECK(say(a, "ls /sys/class/net") == "lo");
  CHECK(say(a, "ls /run/netns | wc -l") == "0");
  CHECK(say(a, "readlink /proc/self/ns/net") != say(b, "readlink /proc/self/ns/net"));
  const std::string boot_id = say(a, "cat /proc/sys/kernel/random/boot_id");
  CHECK(boot_id.size() == 36);
  CHECK(boot_id != trimmed(*read_file("/proc/sys/kernel/random/boot_id")));
  CHECK(boot_id != say(b, "cat /proc/sys/kernel/random/boot_id"));
  CHECK(say(a, "stat -f -c %T /sys/fs/bpf") == "bpf_fs");
  CHECK(Node::boot(lab.spec("a")).is(Error::Kind::Exists));
}

TEST_CASE(
    "a node's changes of /etc, /opt and /var survive a reboot, and the host never sees them") {
  const TestLab lab;
  Node node = boot(lab.spec("n"));
  const std::string mark = fmt::format("terway-test-{}", ::getpid());
  for (const char* place : {"/etc", "/opt", "/var/lib", "/run"}) {
    say(node, fmt::format("echo kept > {}/{}", place, mark));
    CHECK_FALSE(fs::exists(fs::path(place) / mark));
    CHECK(read_file(node.inside(fs::path(place) / mark)).ok());
  }
  const std::string before = say(node, "cat /proc/sys/kernel/random/boot_id");
  REQUIRE(node.power_off().ok());
  CHECK(Node::open(lab.spec("n")).is(Error::Kind::NotFound));
  node = boot(lab.spec("n"));
  CHECK(say(node, "cat /proc/sys/kernel/random/boot_id") != before);
  for (const char* place : {"/etc", "/opt", "/var/lib"}) {
    CHECK(say(node, fmt::format("cat {}/{}", place, mark)) == "kept");
  }
  CHECK(say(node, fmt::format("test -e /run/{} || echo gone", mark)) == "gone");
}

TEST_CASE("a process inside is in the node's groups of every hierarchy") {
  const TestLab lab;
  const Node node = boot(lab.spec("n"));
  const auto daemon = node.spawn(shell("exec sleep 1000"), lab.spec("n").run / "log");
  REQUIRE(daemon.ok());
  const auto groups = Cgroups::of(fmt::format("terway-lab-{}.n", lab.name()));
  REQUIRE(groups.ok());
  const auto inside = groups->processes();
  CHECK(std::find(inside.begin(), inside.end(), daemon->pid) != inside.end());
  // Seen from inside, the node's groups are the roots.
  CHECK(say(node, "grep -c terway-lab /proc/self/cgroup || true") == "0");
}

TEST_CASE("daemons live on without their starter, and are reaped when they end") {
  const TestLab lab;
  const Node node = boot(lab.spec("n"));
  const auto daemon = node.spawn(shell("echo started; exec sleep 1000"), lab.spec("n").run / "log");
  REQUIRE(daemon.ok());
  CHECK(daemon->alive());
  CHECK(say(node, "ps -o ppid= -C sleep | tr -d ' '") == "1");
  REQUIRE(daemon->end().ok());
  // The node's pid 1 has taken the zombie away once no such process is listed any more.
  CHECK(say(node,
            "for i in $(seq 100); do ps -C sleep > /dev/null || break; sleep 0.05; done; "
            "ps -C sleep > /dev/null || echo none") == "none");
}

TEST_CASE("what a command says and how it ends comes back") {
  const TestLab lab;
  const Node node = boot(lab.spec("n"));
  const auto done = node.run(shell("cat; echo oops >&2; exit 7"), "in\n", std::chrono::seconds(20));
  REQUIRE(done.ok());
  CHECK(done->out == "in\n");
  CHECK(done->err == "oops\n");
  CHECK(done->exit_code == 7);
  CHECK(node.run(shell("sleep 100"), {}, std::chrono::milliseconds(300))
            .is(Error::Kind::Unavailable));
  const auto missing = node.run({{"/no/such/program"}, {}}, {}, std::chrono::seconds(20));
  REQUIRE(missing.ok());
  CHECK(missing->exit_code == 127);
}

TEST_CASE("power off ends everything at once") {
  const TestLab lab;
  Node node = boot(lab.spec("n"));
  const auto daemon = node.spawn(shell("exec sleep 1000"), lab.spec("n").run / "log");
  REQUIRE(daemon.ok());
  REQUIRE(node.power_off().ok());
  CHECK_FALSE(daemon->alive());
  CHECK(find_cgroups(fmt::format("terway-lab-{}.", lab.name()))->empty());
  CHECK(node.power_off().ok());
}

TEST_CASE("nodes of an interrupted run are found and removed") {
  const TestLab lab;
  const Node node = boot(lab.spec("n"));
  const Daemon init = Daemon::of(node.pid());
  REQUIRE(init.alive());
  // As if the record had never been written.
  fs::remove(lab.spec("n").run / "n.node");
  REQUIRE(remove_nodes(lab.name()).ok());
  CHECK_FALSE(init.alive());
  CHECK(find_cgroups(fmt::format("terway-lab-{}.", lab.name()))->empty());
}
