// SPDX-License-Identifier: Apache-2.0
#include "world.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>

#include "base/fd.h"

namespace terway::test {

namespace {

// True once this process lives in namespaces of its own.
bool enter_own_world() {
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return false;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  std::error_code ignored;
  std::filesystem::create_directories("/var/lib/cni", ignored);
  if (::mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0) return false;
  if (::mount("tmpfs", "/var/lib/cni", "tmpfs", 0, nullptr) != 0) return false;
  std::signal(SIGPIPE, SIG_IGN);
  return run({"ip", "link", "set", "lo", "up"}).status == 0;
}

struct Pipe {
  Pipe() {
    int ends[2] = {-1, -1};
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
  UniqueFd read_end;
  UniqueFd write_end;
};

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written <= 0) return;  // the program does not read on
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string read_to_end(int fd) {
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

bool can_run(const char* test) {
  static const bool ready = enter_own_world();
  if (!ready) {
    std::printf("SKIP: %s: needs root, to make network and mount namespaces\n", test);
  }
  return ready;
}

Run run(const std::vector<std::string>& command, const Variables& environment,
        const std::string& input) {
  Pipe in;
  Pipe out;
  Pipe err;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.read_end.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write_end.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, err.write_end.get(), 2);
  std::vector<std::string> arguments = command;
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment)
    variables.emplace_back(name).append("=").append(value);
  if (!environment.contains("PATH")) variables.push_back(std::string("PATH=") + ::getenv("PATH"));
  Run result;
  const auto start = std::chrono::steady_clock::now();
  pid_t child = -1;
  const int failed = ::posix_spawnp(&child, arguments[0].c_str(), &actions, nullptr,
                                    pointers_to(arguments).data(), pointers_to(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  REQUIRE_MESSAGE(failed == 0, arguments[0], ": ", std::generic_category().message(failed));
  in.read_end.reset();
  out.write_end.reset();
  err.write_end.reset();
  std::thread feeding([&] {
    write_all(in.write_end.get(), input);
    in.write_end.reset();
  });
  std::thread listening([&] { result.err = read_to_end(err.read_end.get()); });
  result.out = read_to_end(out.read_end.get());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  result.millis =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  in.read_end.reset();
  feeding.join();
  listening.join();
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string must_run(const std::string& shell) {
  const Run result = run({"sh", "-c", shell});
  REQUIRE_MESSAGE(result.status == 0, shell, ": ", result.err);
  return result.out;
}

Run run_plugin(const std::string& verb, const std::string& config, const Variables& more) {
  Variables environment = {{"CNI_COMMAND", verb},
                           {"CNI_CONTAINERID", "c0ffee"},
                           {"CNI_NETNS", "/proc/self/ns/net"},
                           {"CNI_IFNAME", "eth0"},
                           {"CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=web-0"},
                           {"CNI_PATH", "/opt/cni/bin"}};
  for (const auto& [name, value] : more) environment[name] = value;
  return run({TERWAY_PLUGIN_DIRECTORY "/terway"}, environment, config);
}

Scratch::Scratch() {
  char name[] = "/tmp/terway-cni-XXXXXX";
  path_ = ::mkdtemp(name);
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

PodNetns::PodNetns(std::string name) : name_(std::move(name)) {
  must_run("ip netns add " + name_ + " && ip -n " + name_ + " link set lo up");
}

PodNetns::~PodNetns() { run({"ip", "netns", "del", name_}); }

}  // namespace terway::test
