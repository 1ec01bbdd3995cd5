// SPDX-License-Identifier: Apache-2.0
// The vendor's own SDK (npm, @alicloud/…) as the judge of the simulated API: tests/sdk/drive.js,
// run against a vpcsim in a network namespace where 100.100.100.200 is an address of lo.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/file.h"

using namespace terway;

namespace {

struct Child {
  pid_t pid = -1;
  UniqueFd output;  // its stdout and stderr
};

Child start(const std::vector<std::string>& argv) {
  int pipe_fds[2];
  REQUIRE(::pipe2(pipe_fds, O_CLOEXEC) == 0);
  UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::dup2(write_end.get(), STDOUT_FILENO);
    ::dup2(write_end.get(), STDERR_FILENO);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  return {pid, std::move(read_end)};
}

std::string read_line(int fd) {
  std::string line;
  char letter = 0;
  pollfd readable{fd, POLLIN, 0};
  while (::poll(&readable, 1, 30'000) > 0 && ::read(fd, &letter, 1) == 1 && letter != '\n') {
    line += letter;
  }
  return line;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

int wait_for(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run(const std::vector<std::string>& argv, std::string& output) {
  Child child = start(argv);
  output = read_all(child.output.get());
  return wait_for(child.pid);
}

// The value of a member in vpcsim's one line of JSON.
std::string member(const std::string& line, const std::string& name) {
  const std::string mark = "\"" + name + "\":\"";
  const std::size_t begin = line.find(mark);
  if (begin == std::string::npos) return {};
  const std::size_t value = begin + mark.size();
  return line.substr(value, line.find('"', value) - value);
}

std::string without_scheme(const std::string& url) { return url.substr(url.find("://") + 3); }

// A vpcsim in a namespace of its own, which this thread stays in.
class Cloud {
 public:
  Cloud() {
    char name[] = "/tmp/vpcsim-sdk-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    directory_ = name;
    if (::unshare(CLONE_NEWNET) != 0) return;
    std::string output;
    REQUIRE_MESSAGE(run({"ip", "link", "set", "lo", "up"}, output) == 0, output);
    REQUIRE_MESSAGE(run({"ip", "address", "add", "100.100.100.200/32", "dev", "lo"}, output) == 0,
                    output);
    vpcsim_ = start({VPCSIM, "serve", "--no-fabric", "--listen", "127.0.0.1:0", "--https",
                     "127.0.0.1:0", "--tls-dir", directory_ / "tls", "--admin", admin(), "--config",
                     TEST_FOLDER "/region.yaml"});
    const std::string line = read_line(vpcsim_.output.get());
    REQUIRE_MESSAGE(!member(line, "http").empty(), line);
    ::setenv("HTTP", without_scheme(member(line, "http")).c_str(), 1);
    ::setenv("HTTPS", without_scheme(member(line, "https")).c_str(), 1);
    ::setenv("CA", member(line, "ca").c_str(), 1);
    ::setenv("ADMIN", admin().c_str(), 1);
    ::setenv("NODE_PATH", SDK_FOLDER "/node_modules", 1);
    usable_ = true;
  }
  ~Cloud() {
    if (vpcsim_.pid > 0) {
      ::kill(vpcsim_.pid, SIGTERM);
      wait_for(vpcsim_.pid);
    }
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  bool usable() const { return usable_; }
  std::string admin() const { return directory_ / "admin.sock"; }

  // What the scenario printed; empty: it went well.
  std::string drive(const std::string& scenario) const {
    std::string output;
    const int status = run({"node", TEST_FOLDER "/drive.js", scenario}, output);
    return status == 0 ? std::string() : "exit " + std::to_string(status) + "\n" + output;
  }

 private:
  std::filesystem::path directory_;
  Child vpcsim_;
  bool usable_ = false;
};

void drive(const char* scenario) {
  if (!std::filesystem::exists(SDK_FOLDER "/node_modules/@alicloud/ecs20140526")) {
    std::printf("SKIP: sdk_test: the SDK is not there; tests/sdk/install fetches it\n");
    return;
  }
  const Cloud cloud;
  if (!cloud.usable()) {
    std::printf("SKIP: sdk_test: no right to make a network namespace\n");
    return;
  }
  const std::string trouble = cloud.drive(scenario);
  CHECK_MESSAGE(trouble.empty(), trouble);
}

}  // namespace

TEST_CASE("the vendor's SDK drives every action over HTTP, with its current signature") {
  drive("v3-http");
}

TEST_CASE("the vendor's SDK drives every action over HTTPS, trusting our CA and nothing less") {
  drive("v3-https");
}

TEST_CASE("the vendor's older SDK drives the API with its classic signature") { drive("classic"); }

TEST_CASE("the vendor's SDK understands our errors, throttling and a lost reply") {
  drive("errors");
}

TEST_CASE("the vendor's credential client gets the role's credentials, in token mode") {
  drive("role");
}
