// SPDX-License-Identifier: Apache-2.0
#include "lab/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>

#include "base/fd.h"
#include "base/file.h"
#include "lab/report.h"

namespace terway::lab {

namespace {

constexpr int kCannotEnter = 126;
constexpr int kCannotExecute = 127;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return Error::from_errno(errno, "pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void say(const std::string& text) {
  const ssize_t ignored = ::write(2, text.data(), text.size());
  static_cast<void>(ignored);
}

// The child's own standard streams: dup2 clears close-on-exec.
void use_streams(int in, int out, int err) {
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
}

void enter_or_exit(const Program& program) {
  if (!program.enter) return;
  const auto entered = program.enter();
  if (entered.ok()) return;
  say(entered.error().message() + "\n");
  ::_exit(kCannotEnter);
}

[[noreturn]] void execute(const Program& program) {
  std::vector<char*> arguments;
  for (const std::string& argument : program.argv) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  std::vector<std::string> lines;
  for (const auto& [name, value] : program.environment) {
    lines.push_back(fmt::format("{}={}", name, value));
  }
  std::vector<char*> variables;
  for (const std::string& line : lines) variables.push_back(const_cast<char*>(line.c_str()));
  variables.push_back(nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execve(arguments[0], arguments.data(), variables.data());
  say(fmt::format("execute {}: {}\n", program.argv[0], Error::from_errno(errno, "").message()));
  ::_exit(kCannotExecute);
}

int exit_code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// A child that enters, and a grandchild that becomes the program: only children are born into an
// entered pid namespace. The child reports the grandchild's end as its own.
[[noreturn]] void enter_and_wait(const Program& program) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  enter_or_exit(program);
  const pid_t grandchild = ::fork();
  if (grandchild < 0) ::_exit(kCannotEnter);
  if (grandchild == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    execute(program);
  }
  // Whoever reads our output, or reads what is written to us, waits for the last copy to be closed.
  ::close_range(0, ~0U, 0);
  int status = 0;
  while (::waitpid(grandchild, &status, 0) < 0 && errno == EINTR) {
  }
  ::_exit(exit_code_of(status));
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
      if ((sent < 0 && errno != EAGAIN) || input.empty()) in.reset();
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

// The first of three: enters. The second is born into what was entered and goes at once, so that
// whoever reaps orphans there inherits the third, the daemon, which tells by its credentials who it
// is.
[[noreturn]] void enter_and_leave(const Program& program, const ReportLine& line) {
  enter_or_exit(program);
  const pid_t second = ::fork();
  if (second < 0) ::_exit(kCannotEnter);
  if (second > 0) {
    int status = 0;
    ::waitpid(second, &status, 0);
    ::_exit(exit_code_of(status));
  }
  if (::fork() != 0) ::_exit(0);
  ::setsid();
  line.tell("started");
  execute(program);
}

}  // namespace

Result<Completed> run_process(const Program& program, std::string_view input, Duration timeout) {
  Pipe in = TRY(make_pipe());
  Pipe out = TRY(make_pipe());
  Pipe err = TRY(make_pipe());
  // A child that does not read must not block us, nor end us by SIGPIPE.
  ::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
  ::signal(SIGPIPE, SIG_IGN);
  const pid_t pid = ::fork();
  if (pid < 0) return Error::from_errno(errno, "fork");
  if (pid == 0) {
    use_streams(in.read.get(), out.write.get(), err.write.get());
    enter_and_wait(program);
  }
  in.read.reset();
  out.write.reset();
  err.write.reset();
  Completed done;
  const bool finished =
      pump(in.write, input, out.read, err.read, done, SystemClock().now() + timeout);
  if (!finished) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!finished) {
    return Error(Error::Kind::Unavailable, fmt::format("{} did not end in time", program.argv[0]));
  }
  done.exit_code = exit_code_of(status);
  return done;
}

Daemon Daemon::of(pid_t pid) { return {pid, start_time_of(pid)}; }

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

Result<Daemon> start_daemon(const Program& program, const std::filesystem::path& log) {
  const UniqueFd out(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!out) return Error::from_errno(errno, fmt::format("open {}", log.native()));
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const ReportLine line = TRY(ReportLine::make());
  const pid_t first = ::fork();
  if (first < 0) return Error::from_errno(errno, "fork");
  if (first == 0) {
    use_streams(null.get(), out.get(), out.get());
    enter_and_leave(program, line);
  }
  int status = 0;
  while (::waitpid(first, &status, 0) < 0 && errno == EINTR) {
  }
  const auto report = line.receive(std::chrono::seconds(status == 0 ? 5 : 0));
  if (!report.ok()) {
    return Error(Error::Kind::Unavailable, fmt::format("{} could not be started; {} says why",
                                                       program.argv[0], log.native()));
  }
  return Daemon::of(report->pid);
}

}  // namespace terway::lab
