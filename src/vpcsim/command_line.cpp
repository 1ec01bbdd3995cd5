// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/command_line.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <csignal>
#include <functional>

#include "base/file.h"
#include "base/log.h"
#include "vpcsim/admin_client.h"
#include "vpcsim/config.h"
#include "vpcsim/fabric.h"
#include "vpcsim/views.h"
#include "vpcsim/vpcsim.h"

namespace terway::vpcsim {

namespace {

constexpr const char* kDefaultAdmin = "/run/vpcsim.sock";

// --- vpcsim serve

struct ServeArguments {
  std::string http = "127.0.0.1:0";
  std::string https;
  std::string tls_directory;
  std::vector<std::string> tls_hosts;
  std::string admin = kDefaultAdmin;
  std::string config;
  bool no_fabric = false;
  bool services = false;
  bool verbose = false;
};

// "127.0.0.1:0", "[::1]:8080"; empty: none.
Result<std::optional<ListenAt>> parse_listen(const char* option, const std::string& text) {
  if (text.empty()) return std::optional<ListenAt>();
  const std::size_t colon = text.rfind(':');
  ListenAt at;
  at.address = text.substr(0, colon);
  if (at.address.starts_with('[') && at.address.ends_with(']')) {
    at.address = at.address.substr(1, at.address.size() - 2);
  }
  const char* end = text.data() + text.size();
  const char* begin = colon == std::string::npos ? end : text.data() + colon + 1;
  const auto [stop, problem] = std::from_chars(begin, end, at.port);
  if (problem != std::errc() || stop != end || !net::IpAddress::parse(at.address)) {
    return Error(Error::Kind::Invalid, fmt::format("{} {}: must be ADDRESS:PORT", option, text));
  }
  return std::optional<ListenAt>(at);
}

Result<> serve(const ServeArguments& arguments) {
  log::set_up(arguments.verbose ? log::Level::Debug : log::Level::Info, log::Format::Text);
  Config config = default_config();
  if (!arguments.config.empty()) {
    const std::string text = TRY(read_file(arguments.config));
    config = TRY_WITHIN(arguments.config, parse_config(text));
  }
  ServeOptions options;
  options.http = TRY(parse_listen("--listen", arguments.http));
  options.https = TRY(parse_listen("--https", arguments.https));
  options.tls_directory = arguments.tls_directory;
  options.tls_hosts = arguments.tls_hosts;
  options.admin_path = arguments.admin;
  options.services = arguments.services;
  if ((options.https || options.services) && options.tls_directory.empty()) {
    return Error(Error::Kind::Invalid, "--https and --services need --tls-dir");
  }
  if (options.services && arguments.no_fabric) {
    return Error(Error::Kind::Invalid, "--services needs packets: leave out --no-fabric");
  }
  // Blocked before there are other threads, so that none of them gets a signal.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);

  SystemClock clock;
  NoFabric no_fabric;
  std::unique_ptr<Fabric> fabric;
  if (!arguments.no_fabric) fabric = TRY_WITHIN("fabric", Fabric::open());
  Plugger& plugger = fabric ? static_cast<Plugger&>(*fabric) : no_fabric;
  const auto sim = TRY(VpcSim::start(config, options, clock, plugger, Random::from_system()));
  // One line, for whoever started this.
  const Endpoints& at = sim->endpoints();
  fmt::print("{}\n", to_json_object({{"http", at.http},
                                     {"https", at.https},
                                     {"ca", at.ca_path},
                                     {"admin", arguments.admin}}));
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ending, &signal);
  log::info("ending", {{"signal", signal}});
  return Ok{};
}

// --- commands to a running one

struct ClientArguments {
  std::string admin = kDefaultAdmin;
  bool json = false;
};

using View = Result<std::string> (*)(std::string_view, Colour);

Result<> show(const ClientArguments& arguments, const std::string& path, View view) {
  const std::string answer = TRY(AdminClient(arguments.admin).get(path));
  fmt::print("{}", arguments.json ? answer : TRY(view(answer, colour_for(STDOUT_FILENO))));
  return Ok{};
}

using Members = std::vector<std::pair<std::string, std::string>>;

Result<> add_fault(const ClientArguments& arguments, const Members& members) {
  const std::string answer =
      TRY(AdminClient(arguments.admin).post("/faults", to_json_object(members)));
  fmt::print("{}", arguments.json
                       ? answer
                       : TRY(faults_view("[" + answer + "]", colour_for(STDOUT_FILENO))));
  return Ok{};
}

Result<> set_settings(const ClientArguments& arguments, const std::vector<std::string>& changes) {
  Members members;
  for (const std::string& change : changes) {
    const std::size_t equals = change.find('=');
    if (equals == std::string::npos) {
      return Error(Error::Kind::Invalid, change + ": must be NAME=VALUE");
    }
    members.emplace_back(change.substr(0, equals), change.substr(equals + 1));
  }
  if (!members.empty()) {
    TRY(AdminClient(arguments.admin).post("/settings", to_json_object(members)));
  }
  return show(arguments, "/settings", settings_view);
}

// What the chosen command does once everything is parsed.
struct Chosen {
  std::function<Result<>()> run;
};

void add_serve(CLI::App& app, ServeArguments& arguments, Chosen& chosen) {
  CLI::App* serve_command = app.add_subcommand("serve", "simulate a region until SIGTERM");
  serve_command->add_option("--listen", arguments.http, "HTTP at ADDRESS:PORT; empty: none")
      ->capture_default_str();
  serve_command->add_option("--https", arguments.https, "HTTPS at ADDRESS:PORT");
  serve_command->add_option("--tls-dir", arguments.tls_directory,
                            "directory of ca.pem, made when it is not there");
  serve_command->add_option("--tls-host", arguments.tls_hosts,
                            "a name that the certificate is for as well");
  serve_command->add_option("--admin", arguments.admin, "unix socket of the admin API")
      ->capture_default_str();
  serve_command->add_option("--config", arguments.config, "the region (vpcsim-config.md)");
  serve_command->add_flag("--no-fabric", arguments.no_fabric, "the API alone, no packets");
  serve_command->add_flag("--services", arguments.services,
                          "also be a host of the VPC: API at 100.100.0.10, metadata at "
                          "100.100.100.200");
  serve_command->add_flag("--verbose", arguments.verbose, "log more");
  serve_command->callback([&] { chosen.run = [&] { return serve(arguments); }; });
}

void add_views(CLI::App& app, ClientArguments& arguments, Chosen& chosen) {
  struct Row {
    const char* name;
    const char* help;
    const char* path;
    View view;
  };
  static constexpr Row kRows[] = {
      {"world", "everything there is", "/world", world_view},
      {"enis", "the ENIs", "/enis", enis_view},
      {"calls", "calls of the API and the metadata service", "/calls", calls_view},
      {"counters", "frames by ENI and what became of them", "/counters", counters_view},
  };
  for (const Row& row : kRows) {
    app.add_subcommand(row.name, row.help)->callback([&, row] {
      chosen.run = [&, row] { return show(arguments, row.path, row.view); };
    });
  }
}

void add_fault_commands(CLI::App& app, ClientArguments& arguments, Members& members,
                        std::string& clear_id, Chosen& chosen) {
  CLI::App* fault = app.add_subcommand("fault", "make and clear faults");
  fault->require_subcommand(1);
  CLI::App* add = fault->add_subcommand("add", "make one (kinds: vpcsim-admin.md)");
  members = {{"kind", ""},    {"action", ""}, {"instance", ""},    {"eni", ""},
             {"vswitch", ""}, {"count", ""},  {"probability", ""}, {"delay_ms", ""},
             {"status", ""},  {"code", ""},   {"message", ""},     {"limit", ""},
             {"address", ""}};
  add->add_option("KIND", members[0].second)->required();
  static constexpr const char* kHelp[] = {
      "only of this action", "only about this instance, or by its role",
      "only about this ENI", "only about this vSwitch",
      "so many times",       "each time with this probability",
      "milliseconds",        "HTTP status",
      "error code",          "error message",
      "addresses at most",   "the address"};
  for (std::size_t i = 1; i < members.size(); ++i) {
    const std::string name = members[i].first == "delay_ms" ? "--delay" : "--" + members[i].first;
    add->add_option(name, members[i].second, kHelp[i - 1]);
  }
  add->callback([&] { chosen.run = [&] { return add_fault(arguments, members); }; });
  fault->add_subcommand("list", "those there are")->callback([&] {
    chosen.run = [&] { return show(arguments, "/faults", faults_view); };
  });
  CLI::App* clear = fault->add_subcommand("clear", "remove one, or all; what it held goes on");
  clear->add_option("ID", clear_id, "without: all");
  clear->callback([&] {
    chosen.run = [&]() -> Result<> {
      TRY(AdminClient(arguments.admin)
              .remove(clear_id.empty() ? std::string("/faults") : "/faults/" + clear_id));
      return Ok{};
    };
  });
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app("A simulated Alibaba Cloud region: ECS and VPC OpenAPI, metadata, packets",
               "vpcsim");
  app.require_subcommand(1);
  app.fallthrough();
  ClientArguments client;
  app.add_option("--socket", client.admin, "admin socket of the running vpcsim")
      ->capture_default_str();
  app.add_flag("--json", client.json, "the answer as JSON");
  ServeArguments serving;
  Members fault;
  std::string clear_id;
  std::vector<std::string> changes;
  Chosen chosen;
  add_serve(app, serving, chosen);
  add_views(app, client, chosen);
  add_fault_commands(app, client, fault, clear_id, chosen);
  CLI::App* settings = app.add_subcommand("settings", "show or change how the region behaves");
  settings->add_option("NAME=VALUE", changes);
  settings->callback([&] { chosen.run = [&] { return set_settings(client, changes); }; });
  CLI11_PARSE(app, argc, argv);
  const Result<> done = chosen.run();
  if (done.ok()) return 0;
  fmt::print(stderr, "error: {}\n", done.error().to_string());
  return 1;
}

}  // namespace terway::vpcsim
