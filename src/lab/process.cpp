// SPDX-License-Identifier: Apache-2.0
#include "lab/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>

#include "base/fd.h"
#include "base/file.h"

namespace terway::lab {

namespace {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return Error::from_errno(errno, "pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<pid_t> start(const std::vector<std::string>& argv,
                    const std::map<std::string, std::string>& environment, int in, int out,
                    int err) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::vector<std::string> lines;
  for (const auto& [name, value] : environment) lines.push_back(name + "=" + value);
  std::vector<char*> variables;
  for (const std::string& line : lines) variables.push_back(const_cast<char*>(line.c_str()));
  variables.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out, 1);
  ::posix_spawn_file_actions_adddup2(&actions, err, 2);
  pid_t pid = -1;
  const int failure =
      ::posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), variables.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return Error::from_errno(failure, fmt::format("execute {}", argv[0]));
  return pid;
}

// Moves bytes until both outputs are closed; false when the deadline came first.
bool pump(UniqueFd& in, std::string_view input, UniqueFd& out, UniqueFd& err, Completed& done,
          Instant deadline) {
  std::array<char, 16384> buffer;
  if (input.empty()) in.reset();
  while (out || err) {
    const Duration left = deadline - SystemClock().now();
    if (left <= Duration::zero()) return false;
    std::array<pollfd, 3> waits = {pollfd{in.get(), POLLOUT, 0}, pollfd{out.get(), POLLIN, 0},
                                   pollfd{err.get(), POLLIN, 0}};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count() + 1;
    if (::poll(waits.data(), waits.size(), static_cast<int>(ms)) <= 0) continue;
    if (in && waits[0].revents != 0) {
      const ssize_t sent = ::write(in.get(), input.data(), input.size());
      if (sent > 0) input.remove_prefix(static_cast<std::size_t>(sent));
      if (sent < 0 || input.empty()) in.reset();
    }
    for (const auto& [fd, sink, events] : {std::tuple(&out, &done.out, waits[1].revents),
                                           std::tuple(&err, &done.err, waits[2].revents)}) {
      if (!*fd || events == 0) continue;
      const ssize_t got = ::read(fd->get(), buffer.data(), buffer.size());
      if (got > 0) {
        sink->append(buffer.data(), static_cast<std::size_t>(got));
      } else {
        fd->reset();
      }
    }
  }
  return true;
}

}  // namespace

Result<Completed> run_process(const std::vector<std::string>& argv,
                              const std::map<std::string, std::string>& environment,
                              std::string_view input, Duration timeout) {
  Pipe in = TRY(make_pipe());
  Pipe out = TRY(make_pipe());
  Pipe err = TRY(make_pipe());
  const pid_t pid = TRY(start(argv, environment, in.read.get(), out.write.get(), err.write.get()));
  in.read.reset();
  out.write.reset();
  err.write.reset();
  // A child that does not read must not block us, nor end us by SIGPIPE.
  ::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
  ::signal(SIGPIPE, SIG_IGN);
  Completed done;
  const bool finished =
      pump(in.write, input, out.read, err.read, done, SystemClock().now() + timeout);
  if (!finished) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!finished) {
    return Error(Error::Kind::Unavailable, fmt::format("{} did not end in time", argv[0]));
  }
  done.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return done;
}

namespace {

// 0 when there is no such process, or only its zombie.
std::uint64_t start_time_of(pid_t pid) {
  const auto stat = read_file(fmt::format("/proc/{}/stat", pid));
  if (!stat.ok()) return 0;
  // The name may hold anything, parentheses too; behind the last one the fields are plain.
  const std::size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat->substr(name_end + 2));
  std::string field;
  fields >> field;
  if (field == "Z" || field == "X") return 0;
  for (int i = 4; i <= 22; ++i) fields >> field;
  return std::strtoull(field.c_str(), nullptr, 10);
}

[[noreturn]] void become(const std::vector<std::string>& argv, int netns, int log) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(null, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  if (::setns(netns, CLONE_NEWNET) != 0) ::_exit(126);
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

}  // namespace

bool Daemon::alive() const {
  return pid > 0 && start_time != 0 && start_time_of(pid) == start_time;
}

Result<> Daemon::end() const {
  SystemClock clock;
  const Instant deadline = clock.now() + std::chrono::seconds(10);
  while (alive()) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, WNOHANG);
    if (clock.now() >= deadline) {
      return Error(Error::Kind::Unavailable, fmt::format("process {} does not end", pid));
    }
    clock.sleep_for(std::chrono::milliseconds(2));
  }
  return Ok{};
}

Result<Daemon> start_daemon(const std::vector<std::string>& argv, const std::string& netns_path,
                            const std::filesystem::path& log) {
  const UniqueFd netns(::open(netns_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns) return Error::from_errno(errno, fmt::format("open {}", netns_path));
  const UniqueFd out(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!out) return Error::from_errno(errno, fmt::format("open {}", log.native()));
  const pid_t pid = ::fork();
  if (pid < 0) return Error::from_errno(errno, "fork");
  if (pid == 0) become(argv, netns.get(), out.get());
  return Daemon{pid, start_time_of(pid)};
}

}  // namespace terway::lab
