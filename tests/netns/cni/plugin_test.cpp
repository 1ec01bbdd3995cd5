// SPDX-License-Identifier: Apache-2.0
// The plugin as a runtime runs it, against a daemon that is there, slow, broken or away.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <future>
#include <latch>
#include <memory>
#include <thread>

#include "rpc/plugin_server.h"
#include "rpc/tombstone.h"
#include "world.h"

using namespace terway;
using namespace terway::test;
using rpc::answer_with;
using rpc::PluginAnswer;
using rpc::PluginRequest;
using rpc::PluginServer;

namespace {

// A daemon's address, its tombstones, and the configuration that points there.
struct Node {
  Scratch scratch;
  std::filesystem::path socket = scratch / "eni.socket";
  rpc::Tombstones tombstones{scratch / "tombstones"};

  std::string config(const std::string& version = "1.1.0", const std::string& more = "") const {
    return R"({"cniVersion":")" + version + R"(","name":"net","type":"terway","daemon_socket":")" +
           socket.native() + R"(","tombstone_directory":")" + tombstones.directory().native() +
           "\"" + more + "}";
  }
  std::unique_ptr<PluginServer> serve(rpc::PluginHandler handler,
                                      rpc::PluginServerOptions options = {}) const {
    auto server = PluginServer::start(socket, std::move(handler), options);
    REQUIRE(server.ok());
    return std::move(server).value();
  }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Accepts, never reads and never answers, until the test is over.
class DeafDaemon {
 public:
  explicit DeafDaemon(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 16) == 0);
  }
  UniqueFd accept() const {
    return UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

 private:
  UniqueFd listener_;
};

}  // namespace

TEST_CASE("VERSION is answered with no daemon, in the version that was asked in") {
  if (!can_run("VERSION")) return;
  const Run plain = run_plugin("VERSION", R"({"cniVersion":"1.0.0"})");
  CHECK(plain.status == 0);
  CHECK(plain.out == R"({"cniVersion":"1.0.0",)"
                     R"("supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]})"
                     "\n");
  const Run empty = run_plugin("VERSION", "");
  CHECK(empty.status == 0);
  CHECK(contains(empty.out, R"("cniVersion":"1.1.0")"));
}

TEST_CASE("every verb reaches the daemon as it was called, and its answer is the plugin's") {
  if (!can_run("every verb")) return;
  const Node node;
  std::promise<PluginRequest> seen;
  const auto server = node.serve([&](PluginRequest request) {
    seen.set_value(std::move(request));
    return PluginAnswer{42, "what the daemon says\n"};
  });
  const std::pair<const char*, cni::Command> verbs[] = {{"ADD", cni::Command::Add},
                                                        {"DEL", cni::Command::Del},
                                                        {"CHECK", cni::Command::Check},
                                                        {"GC", cni::Command::Gc},
                                                        {"STATUS", cni::Command::Status}};
  for (const auto& [word, command] : verbs) {
    seen = {};
    const Run result = run_plugin(word, node.config());
    CHECK(result.status == 42);
    CHECK(result.out == "what the daemon says\n");
    const PluginRequest request = seen.get_future().get();
    CHECK(request.command == command);
    CHECK(request.container_id == "c0ffee");
    CHECK(request.netns_path == "/proc/self/ns/net");
    CHECK(request.ifname == "eth0");
    CHECK(request.args == "IgnoreUnknown=1;K8S_POD_NAME=web-0");
    CHECK(request.path == "/opt/cni/bin");
    CHECK(request.config == node.config());
    const bool about_a_pod = command != cni::Command::Gc && command != cni::Command::Status;
    CHECK(request.netns_state == (about_a_pod ? rpc::Netns::Attached : rpc::Netns::None));
  }
}

TEST_CASE("the namespace arrives as a descriptor that the daemon can enter") {
  if (!can_run("namespace descriptor")) return;
  const Node node;
  const PodNetns pod("pod-fd");
  std::atomic<bool> entered = false;
  std::atomic<bool> lo_is_up = false;
  const auto server = node.serve([&](const PluginRequest& request) {
    entered = ::setns(request.netns.get(), CLONE_NEWNET) == 0;  // this call's own thread
    UniqueFd probe(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq query{};
    std::strcpy(query.ifr_name, "lo");
    lo_is_up = ::ioctl(probe.get(), SIOCGIFFLAGS, &query) == 0 && (query.ifr_flags & IFF_UP) != 0;
    struct stat ours{};
    struct stat there{};
    const bool same = ::fstat(request.netns.get(), &ours) == 0 &&
                      ::stat(pod.path().c_str(), &there) == 0 && ours.st_ino == there.st_ino;
    return PluginAnswer{same ? std::uint8_t{0} : std::uint8_t{1}, ""};
  });
  CHECK(run_plugin("ADD", node.config(), {{"CNI_NETNS", pod.path()}}).status == 0);
  CHECK(entered);
  CHECK(lo_is_up);
}

TEST_CASE("a namespace that is gone is an error for ADD and none for DEL") {
  if (!can_run("gone namespace")) return;
  const Node node;
  const auto server = node.serve([&](const PluginRequest& request) {
    auto parsed = rpc::understand(request);
    if (const auto* failure = std::get_if<cni::Failure>(&parsed)) return answer_with(*failure);
    return PluginAnswer{};
  });
  std::ofstream(node.scratch / "unmounted").flush();
  struct Row {
    std::string netns;
    std::string reason;
  };
  const Row rows[] = {
      {node.scratch / "none", "No such file or directory"},
      {node.scratch / "unmounted", "this is no network namespace"},
      {"/proc/self/ns/uts", "this is no network namespace"},
  };
  for (const Row& row : rows) {
    const Run add = run_plugin("ADD", node.config(), {{"CNI_NETNS", row.netns}});
    CHECK(add.status == 1);
    CHECK(contains(add.out, "\"code\":4"));
    CHECK(contains(add.out, "CNI_NETNS"));
    CHECK_MESSAGE(contains(add.out, row.reason), add.out);
    CHECK(run_plugin("DEL", node.config(), {{"CNI_NETNS", row.netns}}).status == 0);
  }
  CHECK(run_plugin("DEL", node.config(), {{"CNI_NETNS", ""}}).status == 0);
}

TEST_CASE("with the daemon away each verb says so in its own way") {
  if (!can_run("daemon away")) return;
  const Node node;
  const Run add = run_plugin("ADD", node.config("0.4.0"));
  CHECK(add.status == 1);
  CHECK(contains(add.out, R"("cniVersion":"0.4.0","code":11)"));
  CHECK(contains(add.out, node.socket.native()));
  CHECK(add.millis < 30'000);
  CHECK(contains(run_plugin("CHECK", node.config()).out, "\"code\":11"));
  CHECK(contains(run_plugin("GC", node.config()).out, "\"code\":11"));
  CHECK(contains(run_plugin("STATUS", node.config()).out, "\"code\":50"));
  CHECK(node.tombstones.list()->empty());
}

TEST_CASE("DEL with the daemon away succeeds and leaves a tombstone for each attachment") {
  if (!can_run("tombstones")) return;
  const Node node;
  for (const char* ifname : {"eth0", "eth1", "eth0"}) {
    const Run del = run_plugin("DEL", node.config(), {{"CNI_IFNAME", ifname}});
    CHECK(del.status == 0);
    CHECK(del.out.empty());
    CHECK(del.millis < 2000);
  }
  const auto left = node.tombstones.list();
  REQUIRE(left.ok());
  REQUIRE(left->size() == 2);
  for (const rpc::Tombstone& tombstone : *left) {
    CHECK(tombstone.damage.empty());
    CHECK(tombstone.request.config == node.config());
    auto parsed = rpc::understand(tombstone.request);
    REQUIRE(std::holds_alternative<cni::Request>(parsed));
    CHECK(std::get<cni::Request>(parsed).key == tombstone.key);
    CHECK(std::get<cni::Request>(parsed).pod.name == "web-0");
  }
}

TEST_CASE("DEL with neither daemon nor a place for a tombstone fails and tells both") {
  if (!can_run("no place for a tombstone")) return;
  const Node node;
  const Run del =
      run_plugin("DEL", R"({"cniVersion":"1.0.0","name":"n","daemon_socket":")" +
                            node.socket.native() + R"(","tombstone_directory":"/proc/none"})");
  CHECK(del.status == 1);
  CHECK(contains(del.out, "\"code\":11"));
  CHECK(contains(del.out, node.socket.native()));
  CHECK(contains(del.out, "/proc/none/c0ffee:eth0"));
}

TEST_CASE("an ADD rides over the daemon's restart") {
  if (!can_run("restart")) return;
  const Node node;
  std::unique_ptr<PluginServer> server;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    server = node.serve([](const PluginRequest&) { return PluginAnswer{0, "up"}; });
  });
  const Run add = run_plugin("ADD", node.config());
  later.join();
  CHECK(add.status == 0);
  CHECK(add.out == "up");
}

TEST_CASE("a daemon that takes the call and dies is no success, save for DEL with its tombstone") {
  if (!can_run("daemon dies")) return;
  const Node node;
  const DeafDaemon daemon(node.socket);
  std::thread dying([&] {
    for (int i = 0; i < 2; ++i) {
      UniqueFd call = daemon.accept();
      char buffer[64];
      CHECK(::read(call.get(), buffer, sizeof buffer) > 0);
    }
  });
  const Run add = run_plugin("ADD", node.config());
  CHECK(add.status == 1);
  CHECK(contains(add.out, "\"code\":11"));
  CHECK(contains(add.out, "ended before it answered"));
  CHECK(run_plugin("DEL", node.config()).status == 0);
  dying.join();
  CHECK(node.tombstones.list()->size() == 1);
}

TEST_CASE("a daemon that never answers is not waited for without end") {
  if (!can_run("silent daemon")) return;
  const Node node;
  const DeafDaemon daemon(node.socket);
  Run del;
  std::thread deleting([&] { del = run_plugin("DEL", node.config()); });
  const Run status = run_plugin("STATUS", node.config());
  deleting.join();
  CHECK(status.status == 1);
  CHECK(contains(status.out, "\"code\":50"));
  CHECK(contains(status.out, "has not answered in time"));
  CHECK(del.status == 0);
  CHECK(node.tombstones.list()->size() == 1);
}

TEST_CASE("a daemon with too many calls is asked again later, and DEL does not wait for it") {
  if (!can_run("busy daemon")) return;
  const Node node;
  rpc::PluginServerOptions options;
  options.max_calls = 0;
  const auto server = node.serve([](const PluginRequest&) { return PluginAnswer{}; }, options);
  const Run add = run_plugin("ADD", node.config());
  CHECK(contains(add.out, "\"code\":11"));
  CHECK(contains(add.out, "too many calls"));
  CHECK(run_plugin("DEL", node.config()).status == 0);
  CHECK(node.tombstones.list()->size() == 1);
}

TEST_CASE("a slow call does not hold up another") {
  if (!can_run("slow daemon")) return;
  const Node node;
  std::latch entered(1);
  std::latch leave(1);
  const auto server = node.serve([&](const PluginRequest& request) {
    if (request.command == cni::Command::Add) {
      entered.count_down();
      leave.wait();
    }
    return PluginAnswer{0, "done"};
  });
  Run add;
  std::thread adding([&] { add = run_plugin("ADD", node.config()); });
  entered.wait();
  CHECK(run_plugin("DEL", node.config()).status == 0);
  CHECK(run_plugin("STATUS", node.config()).status == 0);
  leave.count_down();
  adding.join();
  CHECK(add.out == "done");
}

TEST_CASE("standard input may have a mebibyte and no more, and so may an answer") {
  if (!can_run("huge input")) return;
  const Node node;
  const auto server = node.serve([](const PluginRequest& request) {
    return PluginAnswer{0, std::string(request.config.size(), 'y')};
  });
  const std::string empty = node.config("1.1.0", R"(,"padding":"")");
  const std::string padding(rpc::kFieldLimits[5] - empty.size(), 'x');
  const std::string largest = node.config("1.1.0", ",\"padding\":\"" + padding + "\"");
  REQUIRE(largest.size() == rpc::kFieldLimits[5]);
  const Run whole = run_plugin("ADD", largest);
  CHECK(whole.status == 0);
  CHECK(whole.out == std::string(largest.size(), 'y'));
  const Run more = run_plugin("ADD", largest + " ");
  CHECK(more.status == 1);
  CHECK(contains(more.out, "\"code\":5"));
  CHECK(contains(more.out, "more than 1048576 bytes"));
}

TEST_CASE("an environment that is no call is refused, and the variables are named") {
  if (!can_run("environment")) return;
  const Node node;
  struct Row {
    Variables variables;
    const char* named;
  };
  const Row rows[] = {
      {{{"CNI_COMMAND", "MODIFY"}}, "CNI_COMMAND"},
      {{{"CNI_COMMAND", ""}}, "CNI_COMMAND"},
      {{{"CNI_CONTAINERID", ""}}, "CNI_CONTAINERID"},
      {{{"CNI_CONTAINERID", "../../etc/passwd"}}, "CNI_CONTAINERID"},
      {{{"CNI_CONTAINERID", std::string(201, 'a')}}, "CNI_CONTAINERID: longer than 200 bytes"},
      {{{"CNI_IFNAME", "a/b"}}, "CNI_IFNAME"},
      {{{"CNI_IFNAME", "sixteen-letters-"}}, "CNI_IFNAME"},
      {{{"CNI_NETNS", ""}}, "CNI_NETNS"},
      {{{"CNI_PATH", std::string(5000, 'p')}}, "CNI_PATH: longer than 4096 bytes"},
  };
  for (const Row& row : rows) {
    const Run result = run_plugin("ADD", node.config(), row.variables);
    CHECK(result.status == 1);
    CHECK(contains(result.out, "\"code\":4"));
    CHECK_MESSAGE(contains(result.out, row.named), result.out);
  }
}
