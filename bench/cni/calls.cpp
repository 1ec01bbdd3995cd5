// SPDX-License-Identifier: Apache-2.0
#include "calls.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <latch>
#include <system_error>
#include <thread>

#include "base/fd.h"

namespace terway::bench {

namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
      read_end.reset(ends[0]);
      write_end.reset(ends[1]);
    }
  }
  UniqueFd read_end;
  UniqueFd write_end;
};

std::string read_to_end(int fd) {
  std::string text;
  std::array<char, 16384> buffer;
  for (ssize_t got = 0; (got = ::read(fd, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

}  // namespace

PluginCall call_of(const std::string& program, const std::string& verb, const std::string& config,
                   const std::string& netns, const std::string& container) {
  PluginCall call;
  call.program = program;
  call.config = config;
  call.environment = {
      {"CNI_COMMAND", verb},
      {"CNI_CONTAINERID", container},
      {"CNI_NETNS", netns},
      {"CNI_IFNAME", "eth0"},
      {"CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME=" + container},
      {"CNI_PATH", "/opt/cni/bin:/usr/lib/cni"},
      {"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}};
  return call;
}

// Everything that is ours to do is done before the clock starts.
Outcome make(const PluginCall& call) {
  Outcome outcome;
  Pipe in;
  Pipe out;
  if (::write(in.write_end.get(), call.config.data(), call.config.size()) !=
      static_cast<ssize_t>(call.config.size())) {
    outcome.output = "standard input does not fit the pipe";
    return outcome;
  }
  in.write_end.reset();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.read_end.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write_end.get(), 1);
  std::string program = call.program;
  std::array<char*, 2> arguments = {program.data(), nullptr};
  std::vector<std::string> variables;
  variables.reserve(call.environment.size());
  for (const auto& [name, value] : call.environment)
    variables.emplace_back(name).append("=").append(value);
  std::vector<char*> environment;
  environment.reserve(variables.size() + 1);
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  pid_t child = -1;
  int status = 0;
  rusage usage{};
  const auto start = Clock::now();
  const int error = ::posix_spawn(&child, program.c_str(), &actions, nullptr, arguments.data(),
                                  environment.data());
  const bool waited = error == 0 && ::wait4(child, &status, 0, &usage) == child;
  outcome.millis = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  ::posix_spawn_file_actions_destroy(&actions);
  out.write_end.reset();
  outcome.output =
      error == 0 ? read_to_end(out.read_end.get()) : std::generic_category().message(error);
  outcome.failed = !waited || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  return outcome;
}

double Measured::percentile(double percent) const {
  if (millis.empty()) return 0;
  const double rank = std::ceil(percent / 100 * static_cast<double>(millis.size()));
  return millis[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

void Measured::append(Measured other) {
  millis.insert(millis.end(), other.millis.begin(), other.millis.end());
  std::sort(millis.begin(), millis.end());
  seconds += other.seconds;
  if (failed == 0) first_failure = std::move(other.first_failure);
  failed += other.failed;
}

Measured collect(std::vector<Outcome> outcomes, double seconds) {
  Measured measured;
  measured.seconds = seconds;
  for (Outcome& outcome : outcomes) {
    measured.millis.push_back(outcome.millis);
    if (!outcome.failed) continue;
    if (measured.failed++ == 0) measured.first_failure = std::move(outcome.output);
  }
  std::sort(measured.millis.begin(), measured.millis.end());
  return measured;
}

Measured measure(const std::vector<PluginCall>& calls, unsigned callers) {
  std::vector<Outcome> outcomes(calls.size());
  std::atomic<std::size_t> next = 0;
  std::latch ready(callers + 1);
  std::vector<std::thread> threads;
  threads.reserve(callers);
  for (unsigned i = 0; i < callers; ++i) {
    threads.emplace_back([&] {
      ready.arrive_and_wait();
      for (std::size_t at = next++; at < calls.size(); at = next++) outcomes[at] = make(calls[at]);
    });
  }
  const auto start = Clock::now();
  ready.arrive_and_wait();
  for (std::thread& thread : threads) thread.join();
  return collect(std::move(outcomes), std::chrono::duration<double>(Clock::now() - start).count());
}

Result<Measured> all_succeeded(Measured measured, const char* what) {
  if (measured.failed == 0) return measured;
  return Error(Error::Kind::Internal,
               fmt::format("{}: {} of {} calls failed: {}", what, measured.failed,
                           measured.millis.size(), measured.first_failure));
}

}  // namespace terway::bench
