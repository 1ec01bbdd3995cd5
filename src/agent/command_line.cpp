// SPDX-License-Identifier: Apache-2.0
#include "agent/command_line.h"

#include <fmt/core.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <map>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/log.h"

namespace terway::agent {

namespace {

constexpr char kVersion[] = "0.1.0";

Result<UniqueFd> stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // Before any thread is made: they all inherit it.
  if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) {
    return Error(Error::Kind::Internal, "block signals");
  }
  std::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!fd) return Error::from_errno(errno, "signalfd");
  return fd;
}

Result<> start(Options options, const std::string& log_level) {
  auto loaded = TRY(config::load(options.config_path));
  if (!log_level.empty()) {
    static const std::map<std::string, log::Level> kLevels = {{"debug", log::Level::Debug},
                                                              {"info", log::Level::Info},
                                                              {"warning", log::Level::Warning},
                                                              {"error", log::Level::Error}};
    loaded.config.log_level = kLevels.at(log_level);
  }
  log::set_up(loaded.config.log_level, loaded.config.log_format);
  const UniqueFd stop = TRY(stop_signals());
  options.stop_fd = stop.get();
  SystemClock clock;
  Random random = Random::from_system();
  return run(options, std::move(loaded), clock, random);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  Options options;
  options.version = kVersion;
  std::string log_level;
  bool version = false;
  CLI::App app{"terwayd: the node daemon of Terway", "terwayd"};
  app.add_option("--config,-c", options.config_path, "The configuration, eni_conf")
      ->capture_default_str();
  app.add_option("--daemon-mode", options.daemon_mode,
                 "ENIMultiIP (the default): pods share ENIs; ENIOnly: an ENI for each pod");
  app.add_option("--log-level", log_level, "Instead of the configuration's")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_flag("--version", version, "Print the version");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (version) {
    fmt::print("terwayd {}\n", kVersion);
    return 0;
  }
  std::set_terminate([] {
    log::error("terwayd ends: a bug", {{log::kError, "std::terminate was called"}});
    std::abort();
  });
  const auto ended = start(options, log_level);
  if (!ended.ok()) {
    log::error("terwayd ends", {{log::kError, ended.error().to_string()}});
    return 1;
  }
  log::info("terwayd ends", {{"why", "it was told to"}});
  return 0;
}

}  // namespace terway::agent
