// SPDX-License-Identifier: Apache-2.0
#include "lab/node.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <sstream>

#include "base/file.h"
#include "base/random.h"
#include "lab/cgroup.h"
#include "lab/node_mounts.h"
#include "lab/report.h"

namespace terway::lab {

namespace {

namespace fs = std::filesystem;

// terway-lab-<lab>.<node>: a lab's name has no dot.
constexpr const char* kCgroupPrefix = "terway-lab-";
constexpr std::string_view kReady = "ready";
constexpr int kNamespaces =
    CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;

fs::path record_of(const NodeSpec& spec) { return spec.run / (spec.name + ".node"); }

Result<> join_groups(const Cgroups& groups) {
  for (const fs::path& procs : groups.procs_files()) TRY(write_into(procs, "0"));
  return Ok{};
}

// Pid 1 of the node, for the rest of its life. Orphans become its children while it sleeps, so it
// waits for SIGCHLD, blocked so that none is missed.
[[noreturn]] void reap() {
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  for (;;) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    int signal = 0;
    ::sigwait(&child, &signal);
  }
}

[[noreturn]] void be_init(const NodeSpec& spec, const std::string& boot_id,
                          const std::vector<Hierarchy>& hierarchies, const ReportLine& line) {
  ::prctl(PR_SET_NAME, "lab-node-init");
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &child, nullptr);
  Result<> mounted = mount_node(spec.disk, boot_id, hierarchies);
  if (mounted.ok() && ::sethostname(spec.name.c_str(), spec.name.size()) != 0) {
    mounted = Error::from_errno(errno, "set the host name");
  }
  line.tell(mounted.ok() ? kReady : mounted.error().message());
  if (!mounted.ok()) ::_exit(1);
  // Nothing of whoever booted the node is kept open.
  ::close_range(0, ~0U, 0);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 1; fd < 3; ++fd) ::dup2(null, fd);
  reap();
}

// Joins the groups, makes the namespaces, and leaves behind a pid 1. Runs in a child of the booting
// process.
[[noreturn]] void make_node(const NodeSpec& spec, const Cgroups& groups, const ReportLine& line) {
  const auto fail = [&](const Error& error) {
    line.tell(error.message());
    ::_exit(1);
  };
  if (const auto joined = join_groups(groups); !joined.ok()) fail(joined.error());
  const std::string boot_id = Random::from_system().uuid();
  if (::unshare(kNamespaces | CLONE_NEWPID) != 0) {
    fail(Error::from_errno(errno, "make namespaces"));
  }
  ::setsid();
  const pid_t init = ::fork();
  if (init < 0) fail(Error::from_errno(errno, "fork"));
  if (init == 0) be_init(spec, boot_id, groups.hierarchies(), line);
  ::_exit(0);
}

}  // namespace

std::string Node::cgroup_name() const {
  return fmt::format("{}{}.{}", kCgroupPrefix, spec_.lab, spec_.name);
}

Result<Node> Node::boot(const NodeSpec& spec) {
  if (open(spec).ok()) {
    return Error(Error::Kind::Exists, fmt::format("node {} runs already", spec.name));
  }
  std::error_code failed;
  fs::create_directories(spec.run, failed);
  fs::create_directories(spec.disk, failed);
  const Node made(spec, {});
  const Cgroups groups = TRY(Cgroups::of(made.cgroup_name()));
  TRY(groups.make());
  const ReportLine line = TRY(ReportLine::make());
  const pid_t child = ::fork();
  if (child < 0) return Error::from_errno(errno, "fork");
  if (child == 0) make_node(spec, groups, line);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  auto report = line.receive(std::chrono::seconds(10));
  if (report.ok() && report->text != kReady) report = Error(Error::Kind::Unavailable, report->text);
  if (!report.ok()) {
    const auto removed = groups.remove();
    return report.take_error().within(fmt::format("boot node {}", spec.name));
  }
  const Daemon init = Daemon::of(report->pid);
  TRY(replace_file(record_of(spec), fmt::format("{} {}\n", init.pid, init.start_time), 0600));
  return open(spec);
}

Result<Node> Node::open(const NodeSpec& spec) {
  const auto record = read_file(record_of(spec));
  Daemon init;
  if (record.ok()) std::istringstream(*record) >> init.pid >> init.start_time;
  if (!init.alive()) {
    return Error(Error::Kind::NotFound, fmt::format("node {} does not run", spec.name));
  }
  return Node(spec, init);
}

std::string Node::netns_path() const { return fmt::format("/proc/{}/ns/net", init_.pid); }

fs::path Node::inside(const fs::path& path) const {
  return fs::path(fmt::format("/proc/{}/root", init_.pid)) / path.relative_path();
}

Result<> Node::enter() const {
  const Cgroups groups = TRY(Cgroups::of(cgroup_name()));
  TRY(join_groups(groups));
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, init_.pid, 0)));
  if (!pidfd || !init_.alive()) {
    return Error(Error::Kind::NotFound, fmt::format("node {} does not run", spec_.name));
  }
  if (::setns(pidfd.get(), kNamespaces | CLONE_NEWPID) != 0) {
    return Error::from_errno(errno, fmt::format("enter node {}", spec_.name));
  }
  if (::chdir("/") != 0) return Error::from_errno(errno, "change to /");
  return Ok{};
}

Result<Daemon> Node::spawn(const Command& command, const fs::path& log) const {
  return start_daemon({command.argv, command.environment, [this] { return enter(); }}, log);
}

Result<Completed> Node::run(const Command& command, std::string_view input,
                            Duration timeout) const {
  return run_process({command.argv, command.environment, [this] { return enter(); }}, input,
                     timeout);
}

Result<> Node::power_off() {
  TRY(init_.end());
  const Cgroups groups = TRY(Cgroups::of(cgroup_name()));
  TRY(groups.remove());
  std::error_code ignored;
  fs::remove(record_of(spec_), ignored);
  return Ok{};
}

Result<> remove_nodes(const std::string& lab) {
  for (const std::string& name : TRY(find_cgroups(fmt::format("{}{}.", kCgroupPrefix, lab)))) {
    const Cgroups groups = TRY(Cgroups::of(name));
    TRY(groups.remove());
  }
  return Ok{};
}

}  // namespace terway::lab
