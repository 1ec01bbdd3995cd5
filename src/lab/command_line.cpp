// SPDX-License-Identifier: Apache-2.0
#include "lab/command_line.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "lab/echo.h"
#include "lab/lab.h"
#include "lab/show.h"

namespace terway::lab {

namespace {

// What all commands share.
struct Options {
  std::string name = "default";
  bool json = false;
};

int fail(const Error& error) {
  fmt::print(stderr, "{} {}\n", painted("error:", Tone::Bad, colour_for(2)), error.to_string());
  return 1;
}

int finish(const Result<>& result) { return result.ok() ? 0 : fail(result.error()); }

// One line a step, with the time since the beginning.
class Steps {
 public:
  void operator()(const std::string& step) const {
    const auto passed = std::chrono::duration<double>(SystemClock().now() - began_).count();
    fmt::print(stderr, "{} {}\n",
               painted(fmt::format("[{:6.2f} s]", passed), Tone::Faint, colour_for(2)), step);
  }

 private:
  Instant began_ = SystemClock().now();
};

Result<Lab> open_lab(const Options& options) {
  const Programs programs = TRY(Programs::find());
  return Lab::open(options.name, programs);
}

Result<std::pair<std::string, std::string>> split_pod(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return std::pair<std::string, std::string>("default", text);
  if (slash == 0 || slash + 1 == text.size()) {
    return Error(Error::Kind::Invalid,
                 fmt::format("pod {}: allowed are NAME and NAMESPACE/NAME", text));
  }
  return std::pair(text.substr(0, slash), text.substr(slash + 1));
}

// --- what is printed

Result<> print_status(const Lab& lab, const Options& options) {
  const auto nodes = TRY(lab.nodes());
  const auto enis = TRY(lab.enis());
  const auto pods = TRY(lab.pods());
  if (options.json) {
    fmt::print("{}\n", status_json(options.name, nodes, enis, pods));
    return Ok{};
  }
  const Colour colour = colour_for(1);
  fmt::print("{}\n{}\n{}", nodes_table(nodes, colour), enis_table(enis, colour),
             pods_table(pods, colour));
  return Ok{};
}

// Failed probes are the answer's content, and the command's exit status.
Result<bool> print_matrix(const Lab& lab, const Options& options, Duration timeout) {
  MatrixSettings settings;
  settings.timeout = timeout;
  const bool terminal = ::isatty(2) == 1;
  std::atomic<std::size_t> shown = 0;
  if (terminal) {
    settings.progress = [&](std::size_t done, std::size_t all) {
      if (shown.exchange(done) < done) fmt::print(stderr, "\rprobe {} of {}  ", done, all);
    };
  }
  const Matrix matrix = TRY(lab.matrix(settings));
  if (terminal) fmt::print(stderr, "\r\033[K");
  if (options.json) {
    fmt::print("{}\n", matrix_json(matrix));
  } else {
    fmt::print("{}", matrix_table(matrix, colour_for(1)));
  }
  return matrix.failed() == 0 && matrix.ok() > 0;
}

// --- commands

Result<bool> up(const Options& options, const std::string& topology_path, bool with_matrix) {
  Topology topology = default_topology();
  if (!topology_path.empty()) topology = TRY(load_topology(topology_path));
  const Programs programs = TRY(Programs::find());
  TRY(check_lab_name(options.name));
  const Lock lock = TRY(Lock::take(Paths(options.name)));
  const Steps steps;
  const Lab lab = TRY(Lab::up(options.name, topology, programs, steps));
  steps("the lab is up");
  if (options.json && with_matrix) return print_matrix(lab, options, std::chrono::seconds(2));
  TRY(print_status(lab, options));
  if (!with_matrix) return true;
  fmt::print("\n");
  return print_matrix(lab, options, std::chrono::seconds(2));
}

Result<> down(const Options& options) {
  TRY(check_lab_name(options.name));
  const Lock lock = TRY(Lock::take(Paths(options.name)));
  return Lab::down(options.name);
}

struct PodOptions {
  std::vector<std::string> names;
  std::string node;
  std::string owner_kind;
  std::string bandwidth;
};

Result<> add_pods(const Options& options, const PodOptions& wanted) {
  Lab lab = TRY(open_lab(options));
  const Lock lock = TRY(Lock::take(lab.paths()));
  std::vector<PodOnNode> added;
  for (const std::string& name : wanted.names) {
    PodSpec pod;
    const auto [namespace_, pod_name] = TRY(split_pod(name));
    pod.namespace_ = namespace_;
    pod.name = pod_name;
    pod.owner_kind = wanted.owner_kind;
    if (!wanted.bandwidth.empty()) pod.capabilities["bandwidth"] = wanted.bandwidth;
    added.push_back(TRY(lab.add_pod(wanted.node, pod)));
    if (options.json) fmt::print("{}\n", pod_json(added.back()));
  }
  if (!options.json) fmt::print("{}", pods_table(added, colour_for(1)));
  return Ok{};
}

Result<> delete_pods(const Options& options, const std::vector<std::string>& names) {
  Lab lab = TRY(open_lab(options));
  const Lock lock = TRY(Lock::take(lab.paths()));
  for (const std::string& name : names) {
    const auto [namespace_, pod_name] = TRY(split_pod(name));
    TRY(lab.delete_pod(namespace_, pod_name));
  }
  return Ok{};
}

Result<> probe_once(const Options& options, const std::string& from, const std::string& target_text,
                    double timeout_s) {
  const Lab lab = TRY(open_lab(options));
  const Target target = TRY(parse_target(target_text));
  const auto timeout =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(timeout_s));
  const Answer answer = TRY(lab.probe(from, target, timeout));
  if (options.json) {
    fmt::print("{}\n", answer_json(answer));
  } else {
    const double us = std::chrono::duration<double, std::micro>(answer.round_trip).count();
    fmt::print("ok {:.0f} µs {}\n", us, answer.text);
  }
  return Ok{};
}

// Faults are the simulated cloud's: its own command line says which there are.
Error become_vpcsim(const Options& options, const std::vector<std::string>& arguments) {
  const auto lab = open_lab(options);
  if (!lab.ok()) return Error(lab.error());
  const auto programs = Programs::find();
  if (!programs.ok()) return Error(programs.error());
  const std::string program = programs->path("vpcsim").native();
  std::vector<std::string> all = {program, "--socket", lab->paths().admin_socket().native()};
  if (options.json) all.emplace_back("--json");
  all.emplace_back("fault");
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : all) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return Error::from_errno(errno, fmt::format("execute {}", program));
}

template <class Do>
int on_lab(const Options& options, Do&& act) {
  auto lab = open_lab(options);
  if (!lab.ok()) return fail(lab.error());
  const auto lock = Lock::take(lab->paths());
  if (!lock.ok()) return fail(lock.error());
  return finish(act(*lab));
}

// --- inside a node

Result<> runtime(const std::vector<std::string>& arguments) {
  const Programs programs = TRY(Programs::find());
  RuntimePaths paths;
  paths.echo_program = programs.path("terway-lab");
  const Runtime runtime(paths);
  const std::string verb = arguments.empty() ? std::string() : arguments[0];
  if (verb == "add") {
    const std::string input((std::istreambuf_iterator<char>(std::cin)), {});
    const Sandbox wish = TRY(sandbox_from_json(input));
    const Sandbox added = TRY(runtime.add(wish.pod));
    fmt::print("{}\n", to_json(added));
    return Ok{};
  }
  if (verb == "recover") return runtime.recover();
  if (verb == "gc") return runtime.gc();
  if (verb == "status") return runtime.status();
  if (arguments.size() == 2 && (verb == "delete" || verb == "check")) {
    const auto [namespace_, name] = TRY(split_pod(arguments[1]));
    return verb == "delete" ? runtime.remove(namespace_, name) : runtime.check(namespace_, name);
  }
  return Error(Error::Kind::Invalid,
               "runtime: allowed are add, delete POD, check POD, recover, gc, status");
}

// --- the command line itself

struct Call {
  Options options;
  std::string topology;
  bool no_matrix = false;
  PodOptions pod;
  std::vector<std::string> words;
  std::string target;
  std::string node;
  std::string echo_name;
  std::uint16_t echo_port = kEchoPort;
  double timeout_s = 2;
  int status = 0;
};

int from(const Result<bool>& result) {
  if (!result.ok()) return fail(result.error());
  return *result ? 0 : 1;
}

CLI::App* subcommand(CLI::App& parent, Call& call, const char* name, const char* what,
                     std::function<int()> act) {
  CLI::App* command = parent.add_subcommand(name, what);
  command->add_flag("--json", call.options.json, "print JSON");
  command->callback([&call, act = std::move(act)] { call.status = act(); });
  return command;
}

void add_lab_commands(CLI::App& app, Call& call) {
  CLI::App* command =
      subcommand(app, call, "up", "build a lab, start its pods, print it and its connectivity",
                 [&call] { return from(up(call.options, call.topology, !call.no_matrix)); });
  command->add_option("topology", call.topology, "a topology file (docs/formats/topology.md)");
  command->add_flag("--no-matrix", call.no_matrix, "do not probe the connectivity");
  subcommand(app, call, "down", "end it and leave no trace",
             [&call] { return finish(down(call.options)); });
  subcommand(app, call, "status", "nodes, ENIs and pods", [&call] {
    return on_lab(call.options, [&](Lab& lab) { return print_status(lab, call.options); });
  });
  command = subcommand(app, call, "matrix", "who reaches whom, by real packets", [&call] {
    const auto lab = open_lab(call.options);
    if (!lab.ok()) return fail(lab.error());
    return from(print_matrix(
        *lab, call.options,
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(call.timeout_s))));
  });
  command->add_option("--timeout", call.timeout_s, "seconds a probe may take");
  CLI::App* fault =
      app.add_subcommand("fault", "make faults in the cloud: add, list, clear (vpcsim)");
  // Whatever follows is vpcsim's.
  fault->allow_extras()->prefix_command()->fallthrough(false);
  fault->callback(
      [&call, fault] { call.status = fail(become_vpcsim(call.options, fault->remaining())); });
}

void add_pod_commands(CLI::App& app, Call& call) {
  CLI::App* pod = app.add_subcommand("pod", "add and delete pods");
  pod->require_subcommand(1);
  CLI::App* command = subcommand(*pod, call, "add", "start pods",
                                 [&call] { return finish(add_pods(call.options, call.pod)); });
  command->add_option("pods", call.pod.names, "NAME or NAMESPACE/NAME")->required();
  command->add_option("--node", call.pod.node, "where; the node with the fewest pods otherwise");
  command->add_option("--owner-kind", call.pod.owner_kind, "StatefulSet, Deployment, …");
  command->add_option("--bandwidth", call.pod.bandwidth,
                      "JSON of the bandwidth capability, {\"ingressRate\":…}");
  command = subcommand(*pod, call, "del", "delete pods",
                       [&call] { return finish(delete_pods(call.options, call.pod.names)); });
  command->add_option("pods", call.pod.names, "NAME or NAMESPACE/NAME")->required();
  command =
      subcommand(app, call, "exec", "run a command in a pod, a node or an outside host", [&call] {
        const auto lab = open_lab(call.options);
        if (!lab.ok()) return fail(lab.error());
        return fail(lab->become(call.target, call.words));
      });
  command->add_option("where", call.target, "NS/POD, NODE or HOST")->required();
  command->add_option("command", call.words, "after --")->required();
  command = subcommand(app, call, "probe", "ask once over the network", [&call] {
    return finish(probe_once(call.options, call.pod.node, call.target, call.timeout_s));
  });
  command->add_option("from", call.pod.node, "NS/POD, NODE or HOST")->required();
  command->add_option("target", call.target, "ADDR:PORT/tcp, ADDR:PORT/udp, ADDR/icmp")->required();
  command->add_option("--timeout", call.timeout_s, "seconds");
}

void add_node_commands(CLI::App& app, Call& call) {
  const auto on_node = [&](CLI::App& parent, const char* name, const char* what,
                           std::function<Result<>(Lab&)> act) {
    subcommand(parent, call, name, what,
               [&call, act = std::move(act)] { return on_lab(call.options, act); })
        ->add_option("node", call.node, "a node's name")
        ->required();
  };
  on_node(app, "kill", "cut a node's power",
          [&call](Lab& lab) { return lab.kill_node(call.node); });
  on_node(app, "restart", "reboot a node: its pods come back",
          [&call](Lab& lab) { return lab.restart_node(call.node, Steps()); });
  CLI::App* daemon = app.add_subcommand("daemon", "kill and start a node's terwayd");
  daemon->require_subcommand(1);
  on_node(*daemon, "kill", "kill -9", [&call](Lab& lab) { return lab.kill_daemon(call.node); });
  on_node(*daemon, "start", "start it again",
          [&call](Lab& lab) { return lab.start_daemon(call.node, {}); });
}

void add_inner_commands(CLI::App& app, Call& call) {
  CLI::App* command = subcommand(app, call, "runtime", "the stand-in for kubelet, inside a node",
                                 [&call] { return finish(runtime(call.words)); });
  command->add_option("words", call.words, "add, delete POD, check POD, recover, gc, status");
  command->group("");
  command = subcommand(app, call, "echo", "what every pod and node runs",
                       [&call] { return finish(serve_echo(call.echo_name, call.echo_port)); });
  command->add_option("--name", call.echo_name, "what to answer")->required();
  command->add_option("--port", call.echo_port, "where to listen");
  command->group("");
}

}  // namespace

int run_command_line(int argc, char** argv) {
  Call call;
  CLI::App app("A Kubernetes cluster's network on this machine: a simulated VPC, nodes, pods.");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--name", call.options.name, "which lab; several live side by side")
      ->capture_default_str();
  add_lab_commands(app, call);
  add_pod_commands(app, call);
  add_node_commands(app, call);
  add_inner_commands(app, call);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return call.status;
}

}  // namespace terway::lab
