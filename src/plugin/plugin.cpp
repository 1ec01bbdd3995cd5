// SPDX-License-Identifier: Apache-2.0
#include "plugin/plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "cni/names.h"
#include "plugin/answer.h"
#include "plugin/config_scan.h"
#include "plugin/daemon.h"
#include "plugin/tombstone.h"

namespace terway::plugin {

namespace {

using cni::Code;
using cni::Command;
using rpc::Field;

constexpr unsigned kConfigLimit = rpc::kFieldLimits[static_cast<unsigned>(Field::Config)];
constexpr int kStdinMillis = 10'000;

char config_buffer[kConfigLimit + 1];

Text environment(const char* name) {
  const char* value = getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
  return value == nullptr ? Text() : Text(value);
}

bool command_from(Text word, Command& command) {
  constexpr Command kKnown[] = {Command::Add, Command::Del,    Command::Check,
                                Command::Gc,  Command::Status, Command::Version};
  for (const Command known : kKnown) {
    if (word == Text(cni::to_word(known))) {
      command = known;
      return true;
    }
  }
  return false;
}

bool is_about_a_pod(Command command) {
  return command == Command::Add || command == Command::Del || command == Command::Check;
}

// Names the variables that are missing, malformed or too long.
bool check_environment(const Call& call, Reason& problems) {
  constexpr const char* kNames[rpc::kFields - 1] = {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME",
                                                    "CNI_ARGS", "CNI_PATH"};
  for (unsigned i = 0; i < rpc::kFields - 1; ++i) {
    if (call.fields[i].size > rpc::kFieldLimits[i]) {
      problems << kNames[i] << ": longer than " << static_cast<unsigned long>(rpc::kFieldLimits[i])
               << " bytes; ";
    }
  }
  if (is_about_a_pod(call.command)) {
    const Text container = call.field(Field::ContainerId);
    const Text ifname = call.field(Field::Ifname);
    if (!cni::is_container_id(container.data, container.size)) {
      problems << "CNI_CONTAINERID: missing, or not a letter or digit, then those, '_', '.', '-'; ";
    }
    if (!cni::is_ifname(ifname.data, ifname.size)) {
      problems << "CNI_IFNAME: missing, or not the name of an interface; ";
    }
    if (call.command != Command::Del && call.field(Field::Netns).empty()) {
      problems << "CNI_NETNS: missing; ";
    }
  }
  return problems.text().empty();
}

// Standard input up to its end. A runtime that never closes it is not waited for without end.
bool read_config(Text& config, Reason& problem) {
  const int64_t deadline = now_millis() + kStdinMillis;
  size_t size = 0;
  while (size < sizeof config_buffer) {
    if (!wait_for(STDIN_FILENO, POLLIN, deadline)) {
      problem << "standard input is not closed by the caller";
      return false;
    }
    const ssize_t got = read(STDIN_FILENO, config_buffer + size, sizeof config_buffer - size);
    if (got == 0) {
      config = {config_buffer, size};
      return true;
    }
    if (got > 0) {
      size += static_cast<size_t>(got);
    } else if (errno != EINTR && errno != EAGAIN) {
      problem << "read standard input: " << system_message(errno);
      return false;
    }
  }
  problem << "standard input has more than " << static_cast<unsigned long>(kConfigLimit)
          << " bytes";
  return false;
}

void open_namespace(Call& call) {
  const Text path = call.field(Field::Netns);
  if (path.empty()) return;
  // Not to be caught by a FIFO; that it is a namespace is the daemon's to see.
  call.netns = open(path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  call.netns_state = call.netns >= 0 ? rpc::Netns::Attached : rpc::Netns::Unopened;
  call.netns_errno = call.netns >= 0 ? 0 : errno;
}

Text setting(Text config, const char* key, const char* otherwise) {
  const Text given = find_string(config, key);
  return given.empty() ? Text(otherwise) : given;
}

// What the runtime is told when the daemon cannot be asked.
int without_daemon(const Call& call, Text version, Reason& reason) {
  const Text config = call.field(Field::Config);
  switch (call.command) {
    case Command::Del: {
      Reason tombstone;
      const Text directory = setting(config, rpc::kTombstoneDirectoryKey, rpc::kTombstoneDirectory);
      if (leave_tombstone(directory, call, tombstone)) return 0;
      reason << "; and no tombstone could be left: " << tombstone.text();
      return fail(version, Code::TryAgainLater, "the pod's network was not removed", reason.text());
    }
    case Command::Status:
      return fail(version, Code::NotAvailable, "the node's terway daemon cannot be asked",
                  reason.text());
    case Command::Add:
    case Command::Check:
    case Command::Gc:
    case Command::Version:
      break;
  }
  return fail(version, Code::TryAgainLater, "the node's terway daemon cannot be asked",
              reason.text());
}

int ask_daemon(Call& call) {
  Text& config = call.field(Field::Config);
  Reason problem;
  if (!check_environment(call, problem)) {
    return fail(cni::kNewestVersion, Code::InvalidEnvironment, "invalid environment",
                problem.text());
  }
  if (!read_config(config, problem)) {
    return fail(cni::kNewestVersion, Code::IoFailure, "cannot read the network configuration",
                problem.text());
  }
  if (is_about_a_pod(call.command)) open_namespace(call);
  Reason reason;
  const Reply reply = ask(setting(config, rpc::kPluginSocketKey, rpc::kPluginSocket), call, reason);
  if (!reply.answered) return without_daemon(call, spoken_version(config), reason);
  return write_all(STDOUT_FILENO, reply.output) ? reply.exit_code : 1;
}

}  // namespace

int run() {
  Call call;
  const Text word = environment("CNI_COMMAND");
  if (!command_from(word, call.command)) {
    if (word.empty()) {
      write_all(
          STDERR_FILENO,
          "terway: a CNI plugin, run by container runtimes. CNI versions: " TERWAY_CNI_VERSIONS
          "\n");
    }
    Reason problem;
    problem << "CNI_COMMAND: \"" << word
            << "\" is not allowed: ADD, DEL, CHECK, GC, STATUS or VERSION";
    return fail(cni::kNewestVersion, Code::InvalidEnvironment, "invalid environment",
                problem.text());
  }
  if (call.command == Command::Version) {
    Text config;
    Reason ignored;  // without readable input, in the newest version
    read_config(config, ignored);
    return print_versions(spoken_version(config));
  }
  call.field(Field::ContainerId) = environment("CNI_CONTAINERID");
  call.field(Field::Netns) = environment("CNI_NETNS");
  call.field(Field::Ifname) = environment("CNI_IFNAME");
  call.field(Field::Args) = environment("CNI_ARGS");
  call.field(Field::Path) = environment("CNI_PATH");
  return ask_daemon(call);
}

}  // namespace terway::plugin
