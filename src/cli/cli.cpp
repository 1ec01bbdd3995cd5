// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>

#include "cli/commands.h"
#include "rpc/cli_api.h"

namespace terway::cli {
namespace {

// What the command line says, and what it then runs.
struct CommandLine {
  std::string socket = rpc::cli::kSocket;
  Output output;
  std::string type, name, command, eni;
  std::function<Result<std::string>()> action;

  // A verb that asks the daemon.
  CLI::App* verb(CLI::App& parent, const std::string& word, const std::string& help,
                 std::function<Result<std::string>(Daemon&)> ask) {
    CLI::App* app = parent.add_subcommand(word, help);
    app->fallthrough();
    app->callback([this, ask = std::move(ask)] {
      action = [this, ask] {
        Daemon daemon(socket);
        return ask(daemon);
      };
    });
    return app;
  }
};

void add_views(CLI::App& app, CommandLine& line) {
  const auto simple = [&](const std::string& word, const std::string& help,
                          Result<std::string> (*ask)(Daemon&, const Output&)) {
    line.verb(app, word, help, [&line, ask](Daemon& daemon) { return ask(daemon, line.output); });
  };
  simple("status", "the node: ready or not, addresses, notices", status);
  simple("pods", "each pod's attachment and addresses", pods);
  CLI::App* one =
      line.verb(app, "enis", "the node's ENIs, or one with its addresses",
                [&line](Daemon& daemon) { return enis(daemon, line.eni, line.output); });
  one->add_option("ENI", line.eni, "its id");
  simple("pool", "idle and used addresses, calls of the cloud under way, waiting pods", pool);
  simple("journal", "what is on disk: attachments, ENIs, operations", journal);
  simple("mapping", "each address, and whether journal, kernel and cloud agree on it", mapping);
  simple("metadata", "what the instance metadata service says", metadata);
  simple("nodeconfig", "the configuration in force, with its sources", node_config);
}

void add_resources(CLI::App& app, CommandLine& line) {
  CLI::App* all =
      line.verb(app, "list", "types of resources, or the resources of one type",
                [&line](Daemon& daemon) { return list(daemon, line.type, line.output); });
  all->add_option("TYPE", line.type);
  CLI::App* one = line.verb(
      app, "show", "one resource; without a name the first of its type",
      [&line](Daemon& daemon) { return show(daemon, line.type, line.name, line.output); });
  one->add_option("TYPE", line.type)->required();
  one->add_option("NAME", line.name);
  CLI::App* run =
      line.verb(app, "execute", "a command of a resource: mapping, resdb", [&line](Daemon& daemon) {
        return execute(daemon, line.type, line.name, line.command, line.output);
      });
  run->add_option("TYPE", line.type)->required();
  run->add_option("NAME", line.name)->required();
  run->add_option("COMMAND", line.command)->required();
}

int finish(const Result<std::string>& result) {
  if (!result.ok()) {
    std::fprintf(stderr, "terway-cli: %s\n", result.error().to_string().c_str());
    return 1;
  }
  std::fwrite(result->data(), 1, result->size(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace

int run(int argc, const char* const* argv) {
  CLI::App app("Looks at this node's pod network.", "terway-cli");
  app.require_subcommand(1);
  app.fallthrough();
  CommandLine line;
  line.output.colour = colour_for(STDOUT_FILENO);
  app.add_option("--socket", line.socket, "the daemon's socket for this command")
      ->capture_default_str();
  app.add_flag("--json", line.output.json, "print JSON, for programs");
  add_views(app, line);
  add_resources(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return finish(line.action());
}

}  // namespace terway::cli
