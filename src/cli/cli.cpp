// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "cli/account.h"
#include "cli/cloud_enis.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/monitor.h"
#include "cli/planning.h"
#include "rpc/cli_api.h"

namespace terway::cli {
namespace {

// What the command line says, and what it then runs.
struct CommandLine {
  std::string socket = rpc::cli::kSocket;
  Output output;
  std::string type, name, command, eni;
  std::string config_path = config::kDefaultPath;
  std::string link_type = "ecs";
  std::string instance_type;
  std::vector<std::string> eni_ids;
  PlanWords plan;
  rpc::cli::BandwidthOrder limits;
  MonitorOptions monitor;
  SystemClock clock;
  int status = 0;  // of an action that has an answer
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

  // A verb that asks the cloud, with the account of the node's configuration.
  CLI::App* cloud_verb(CLI::App& parent, const std::string& word, const std::string& help,
                       std::function<Result<std::string>()> ask) {
    CLI::App* app = parent.add_subcommand(word, help);
    app->fallthrough();
    app->add_option("--config", config_path, "the node's configuration: account and endpoints")
        ->capture_default_str();
    app->callback([this, ask = std::move(ask)] { action = ask; });
    return app;
  }
};

Result<InstanceLimits> limits(CommandLine& line) {
  const auto ask_cloud =
      [&line](const std::string& id) -> Result<std::optional<model::InstanceType>> {
    const auto account = TRY(Account::open(line.config_path, line.clock));
    const auto types = TRY(account->client().describe_instance_types({id}));
    if (types.empty()) return std::optional<model::InstanceType>();
    return std::optional(types.front());
  };
  return limits_of(line.instance_type, ask_cloud);
}

Result<std::string> capacity(CommandLine& line) {
  const NodeCapacity found = capacity_of(TRY(limits(line)));
  return line.output.json ? to_json(found) : view(found, line.output.colour);
}

Result<std::string> plan(CommandLine& line) {
  const InstanceLimits type = TRY(limits(line));
  const ipam::Plan made = ipam::make_plan(TRY(plan_request(line.plan, type)));
  line.status = made.works() ? 0 : 1;
  return line.output.json ? to_json(made, type) : view(made, type, line.output.colour);
}

Result<std::string> list_enis(CommandLine& line) {
  const auto account = TRY(Account::open(line.config_path, line.clock));
  return list_cloud_enis(*account, line.output);
}

Result<std::string> delete_enis(CommandLine& line) {
  Daemon daemon(line.socket);
  // With no daemon nobody manages them; any other failure leaves that open, so nothing is deleted.
  std::vector<std::string> managed;
  const auto enis = daemon.ask<rpc::cli::Enis>(rpc::cli::kEnisPath);
  if (!enis.ok() && !enis.is(Error::Kind::Unavailable)) return enis.error();
  if (enis.ok()) {
    for (const rpc::cli::EniEntry& eni : enis->enis) managed.push_back(eni.id);
  }
  const auto account = TRY(Account::open(line.config_path, line.clock));
  return delete_cloud_enis(*account, line.eni_ids, managed, line.output);
}

void add_planning(CLI::App& app, CommandLine& line) {
  line.cloud_verb(app, "capacity", "how many pods a node of an instance type holds",
                  [&line] { return capacity(line); })
      ->add_option("INSTANCE_TYPE", line.instance_type, "such as ecs.g7.large")
      ->required();

  CLI::App* verb = line.cloud_verb(
      app, "plan", "whether a cluster's networks fit each other, and how many pods fit",
      [&line] { return plan(line); });
  const std::string vswitch = "CIDR or ZONE=CIDR; may be repeated";
  verb->add_option("--vpc", line.plan.vpc, "CIDR")->required();
  verb->add_option("--node-vswitch", line.plan.node_vswitches, vswitch)->required();
  verb->add_option("--pod-vswitch", line.plan.pod_vswitches, vswitch)->required();
  verb->add_option("--service-cidr", line.plan.service_cidrs, "CIDR; may be repeated")->required();
  verb->add_option("--nodes", line.plan.nodes, "how many")->capture_default_str();
  verb->add_option("--instance-type", line.instance_type, "such as ecs.g7.large")->required();
  verb->add_option("--stack", line.plan.stack)
      ->check(CLI::IsMember({"ipv4", "ipv6", "dual"}))
      ->capture_default_str();
  verb->add_flag("--exclusive", line.plan.exclusive, "an ENI for each pod");
}

void add_cloud(CLI::App& app, CommandLine& line) {
  CLI::App* eni = app.add_subcommand("eni", "this instance's ENIs as the cloud knows them");
  eni->require_subcommand(1);
  eni->fallthrough();
  CLI::App* all = line.cloud_verb(*eni, "list", "all of them", [&line] { return list_enis(line); });
  CLI::App* some = line.cloud_verb(*eni, "delete",
                                   "detach and delete some that terwayd has made and left behind",
                                   [&line] { return delete_enis(line); });
  some->add_option("ENI", line.eni_ids)->required();
  for (CLI::App* verb : {all, some}) {
    verb->add_option("--link-type", line.link_type)
        ->check(CLI::IsMember({"ecs"}))
        ->capture_default_str();
  }
}

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

void add_datapath(CLI::App& app, CommandLine& line) {
  line.verb(app, "datapath",
            "the fast path: endpoints, maps, programs, attachments, drops by reason",
            [&line](Daemon& daemon) { return datapath(daemon, line.output); });
  CLI::App* verb =
      line.verb(app, "monitor", "drops as they happen, and new flows with --flows",
                [&line](Daemon& daemon) { return monitor(daemon, line.monitor, line.output); });
  MonitorFilter& filter = line.monitor.filter;
  verb->add_flag("--flows", line.monitor.flows, "new flows as well");
  verb->add_option("--pod", filter.pod, "NAMESPACE/NAME, or NAME");
  verb->add_option("--address", filter.address, "of either end");
  verb->add_option("--port", filter.port, "of either end");
  verb->add_option("--reason", filter.reason, "of a drop, as `datapath` names it");
  verb->add_option("--direction", filter.direction, "egress: what pods send")
      ->check(CLI::IsMember({"egress", "ingress"}));
  verb->add_option("--count", line.monitor.count, "end after so many");
  verb->add_option("--seconds", line.monitor.seconds, "end after so long");
}

void add_changes(CLI::App& app, CommandLine& line) {
  CLI::App* limit = line.verb(
      app, "bandwidth", "a pod's bandwidth limits: shows them, or changes what is given, at once",
      [&line](Daemon& daemon) { return bandwidth(daemon, line.limits, line.output); });
  limit->add_option("POD", line.limits.pod, "NAMESPACE/NAME, or a container id")->required();
  limit->add_option("--ifname", line.limits.ifname, "of a pod with several interfaces");
  const std::string rate = "bits per second: 10M, 1.5G, none";
  limit->add_option("--egress", line.limits.egress, "what the pod sends; " + rate);
  limit->add_option("--ingress", line.limits.ingress, "what the pod receives; " + rate);
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

int finish(const Result<std::string>& result, int status) {
  if (!result.ok()) {
    std::fprintf(stderr, "terway-cli: %s\n", result.error().to_string().c_str());
    return 1;
  }
  std::fwrite(result->data(), 1, result->size(), stdout);
  return std::fflush(stdout) == 0 ? status : 1;
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
  add_datapath(app, line);
  add_changes(app, line);
  add_resources(app, line);
  add_planning(app, line);
  add_cloud(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const Result<std::string> result = line.action();
  return finish(result, line.status);
}

}  // namespace terway::cli
