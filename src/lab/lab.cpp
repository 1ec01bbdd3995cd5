// SPDX-License-Identifier: Apache-2.0
#include "lab/lab.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <map>
#include <sstream>

#include "base/file.h"
#include "http/client.h"
#include "lab/cgroup.h"

namespace terway::lab {

namespace {

namespace fs = std::filesystem;

constexpr Duration kRuntimeTimeout = std::chrono::minutes(5);
constexpr const char* kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* kCliSocket = "/run/eni/terway-cli.sock";

Error not_there(std::string_view what, const std::string& name) {
  return {Error::Kind::NotFound, fmt::format("there is no {} called {}", what, name)};
}

std::vector<net::IpAddress> addresses_of(const Machine& machine) {
  std::vector<net::IpAddress> addresses;
  for (const std::string& text : machine.addresses) {
    if (const auto prefix = net::Prefix::parse(text)) addresses.push_back(prefix->address);
  }
  return addresses;
}

std::string qualified(const PodSpec& pod) { return pod.namespace_ + "/" + pod.name; }

}  // namespace

Result<Programs> Programs::find() {
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  if (failed) return Error::from_errno(failed.value(), "read /proc/self/exe");
  return Programs{self.parent_path()};
}

Result<Lab> Lab::open(const std::string& name, const Programs& programs) {
  TRY(check_lab_name(name));
  const Paths paths(name);
  State state = TRY(load_state(paths));
  return Lab(paths, programs, std::move(state));
}

NodeSpec Lab::spec(const std::string& machine) const {
  return {paths_.name(), machine, paths_.run(), paths_.disk(machine)};
}

Result<Node> Lab::node(const std::string& name) const {
  if (state_.find(name) == nullptr) return not_there("node", name);
  return Node::open(spec(name));
}

Result<const Machine*> Lab::cluster_node(const std::string& name) const {
  const Machine* machine = state_.find(name);
  if (machine == nullptr || machine->outside) return not_there("node", name);
  return machine;
}

fs::path Lab::daemon_record(const std::string& node) const {
  return paths_.run() / (node + ".terwayd");
}

Result<std::string> Lab::runtime(const std::string& name, const std::vector<std::string>& arguments,
                                 std::string_view input) const {
  const Node inside = TRY(node(name));
  Command command{{programs_.path("terway-lab").native(), "runtime"}, {{"PATH", kPath}}};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  const Completed done = TRY(inside.run(command, input, kRuntimeTimeout));
  if (done.exit_code == 0) return done.out;
  return Error(Error::Kind::Unavailable,
               fmt::format("{}: {}", name, trimmed(done.err.empty() ? done.out : done.err)));
}

Result<std::vector<Sandbox>> Lab::sandboxes(const std::string& name) const {
  const Node inside = TRY(node(name));
  // The records lie on the node's disk; reading them needs no process in there.
  RuntimePaths paths;
  paths.state_dir = inside.inside(paths.state_dir);
  return Runtime(paths).list();
}

Result<std::vector<NodeStatus>> Lab::nodes() const {
  std::vector<NodeStatus> all;
  for (const Machine& machine : state_.machines) {
    NodeStatus status;
    status.name = machine.name;
    status.instance_id = machine.instance_id;
    status.instance_type = machine.instance_type;
    status.outside = machine.outside;
    status.addresses = machine.addresses;
    const auto running = node(machine.name);
    status.running = running.ok();
    if (status.running && !machine.outside) {
      status.pods = TRY(sandboxes(machine.name)).size();
      http::Endpoint endpoint;
      endpoint.unix_path = running->inside(kCliSocket);
      http::Request request;
      request.path = "/readyz";
      const auto answer = http::Client(endpoint).send(request);
      status.ready = answer.ok() && answer->status == 200;
      if (!status.ready) {
        status.reason = answer.ok() ? std::string(trimmed(answer->body)) : answer.error().message();
      }
    }
    all.push_back(std::move(status));
  }
  return all;
}

Result<std::vector<EniOfNode>> Lab::enis() const { return Cloud(paths_).enis(state_); }

Result<DropCounts> Lab::drops() const { return Cloud(paths_).drops(); }

Result<std::vector<PodOnNode>> Lab::pods() const {
  std::vector<PodOnNode> all;
  for (const Machine& machine : state_.machines) {
    if (machine.outside || !node(machine.name).ok()) continue;
    for (Sandbox& sandbox : TRY(sandboxes(machine.name))) {
      all.push_back({machine.name, std::move(sandbox)});
    }
  }
  return all;
}

Result<std::vector<Endpoint>> Lab::endpoints() const {
  std::vector<Endpoint> all;
  for (const Machine& machine : state_.machines) {
    const auto running = node(machine.name);
    if (!running.ok()) continue;
    all.push_back({machine.outside ? Endpoint::Role::Outside : Endpoint::Role::Node, machine.name,
                   machine.outside ? std::string() : machine.name, running->netns_path(),
                   addresses_of(machine)});
  }
  for (const PodOnNode& pod : TRY(pods())) {
    const Node inside = TRY(node(pod.node));
    all.push_back({Endpoint::Role::Pod, qualified(pod.sandbox.pod), pod.node,
                   inside.inside(pod.sandbox.netns).native(), pod.sandbox.addresses});
  }
  return all;
}

Result<Endpoint> Lab::endpoint(const std::string& name) const {
  for (Endpoint& endpoint : TRY(endpoints())) {
    if (endpoint.name == name || endpoint.name == "default/" + name) return std::move(endpoint);
  }
  return not_there("pod, node or outside host", name);
}

Result<PodOnNode> Lab::add_pod(const std::string& wanted, const PodSpec& pod) {
  std::string chosen = wanted;
  std::map<std::string, std::size_t> loads;
  for (const Machine& machine : state_.machines) {
    if (!machine.outside && node(machine.name).ok()) loads[machine.name] = 0;
  }
  for (const PodOnNode& there : TRY(pods())) {
    ++loads[there.node];
    if (qualified(there.sandbox.pod) == qualified(pod)) {
      return Error(Error::Kind::Exists,
                   fmt::format("pod {} runs on {} already", qualified(pod), there.node));
    }
  }
  if (chosen.empty()) {
    const auto least =
        std::min_element(loads.begin(), loads.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (least == loads.end()) return Error(Error::Kind::Unavailable, "no node is running");
    chosen = least->first;
  }
  TRY(cluster_node(chosen));
  Sandbox wish;
  wish.pod = pod;
  const std::string answer = TRY(runtime(chosen, {"add"}, to_json(wish)));
  return PodOnNode{chosen, TRY(sandbox_from_json(answer))};
}

Result<> Lab::delete_pod(const std::string& namespace_, const std::string& name) {
  for (const PodOnNode& pod : TRY(pods())) {
    if (pod.sandbox.pod.namespace_ != namespace_ || pod.sandbox.pod.name != name) continue;
    TRY(runtime(pod.node, {"delete", fmt::format("{}/{}", namespace_, name)}, {}));
    return Ok{};
  }
  return not_there("pod", namespace_ + "/" + name);
}

Result<Matrix> Lab::matrix(const MatrixSettings& settings) const {
  const std::vector<Endpoint> all = TRY(endpoints());
  MatrixSettings with_drops = settings;
  with_drops.count_drops = [this] { return drops(); };
  return run_probes(plan_probes(all), all, with_drops);
}

Result<Answer> Lab::probe(const std::string& from, const Target& target, Duration timeout) const {
  const Endpoint source = TRY(endpoint(from));
  return lab::probe(source.netns_path, target, timeout);
}

Error Lab::become(const std::string& name, const std::vector<std::string>& argv) const {
  const auto target = endpoint(name);
  if (!target.ok()) return Error(target.error());
  const auto host = node(target->node.empty() ? target->name : target->node);
  if (!host.ok()) return Error(host.error());
  const UniqueFd netns(::open(target->netns_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns) return Error::from_errno(errno, fmt::format("open {}", target->netns_path));
  if (auto entered = host->enter(); !entered.ok()) return entered.take_error();
  if (::setns(netns.get(), CLONE_NEWNET) != 0) return Error::from_errno(errno, "enter the pod");
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  // Only a child is born into the node's pid namespace, and only there can it make threads.
  const pid_t child = ::fork();
  if (child < 0) return Error::from_errno(errno, "fork");
  if (child > 0) {
    // What the terminal sends is for the command to take.
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGQUIT, SIG_IGN);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    ::_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::execvp(arguments[0], arguments.data());
  return Error::from_errno(errno, fmt::format("execute {}", argv[0]));
}

Result<Completed> Lab::run_on_node(const std::string& name, const std::vector<std::string>& argv,
                                   std::string_view input, Duration timeout) const {
  const Node inside = TRY(node(name));
  return inside.run({argv, {{"PATH", kPath}}}, input, timeout);
}

Daemon Lab::recorded_daemon(const std::string& name) const {
  Daemon daemon;
  const auto record = read_file(daemon_record(name));
  if (record.ok()) std::istringstream(*record) >> daemon.pid >> daemon.start_time;
  return daemon;
}

bool Lab::daemon_alive(const std::string& name) const { return recorded_daemon(name).alive(); }

Result<> Lab::kill_daemon(const std::string& name) {
  TRY(cluster_node(name));
  return recorded_daemon(name).end();
}

Result<> Lab::start_daemon(const std::string& name, const std::vector<std::string>& wrapper) {
  const Machine* machine = TRY(cluster_node(name));
  if (daemon_alive(name)) {
    return Error(Error::Kind::Exists, fmt::format("terwayd of {} runs already", name));
  }
  const Node inside = TRY(node(name));
  std::vector<std::string> argv = wrapper;
  argv.push_back(programs_.path("terwayd").native());
  if (machine->mode == model::NetworkMode::Exclusive) {
    argv.insert(argv.end(), {"--daemon-mode", "ENIOnly"});
  }
  const Daemon daemon =
      TRY(inside.spawn({argv, {{"PATH", kPath}}}, paths_.run() / (name + ".terwayd.log")));
  TRY(replace_file(daemon_record(name), fmt::format("{} {}\n", daemon.pid, daemon.start_time),
                   0600));
  return wrapper.empty() ? wait_until_ready(name) : Ok{};
}

Result<> Lab::kill_node(const std::string& name) {
  const Machine* machine = TRY(cluster_node(name));
  Node inside = TRY(node(name));
  TRY(inside.power_off());
  return Cloud(paths_).boot_instance(*machine, {});
}

Result<> Lab::restart_node(const std::string& name, const Progress& progress) {
  const Machine* machine = TRY(cluster_node(name));
  if (node(name).ok()) {
    progress(fmt::format("{}: power off", name));
    TRY(kill_node(name));
  }
  progress(fmt::format("{}: boot", name));
  const Node booted = TRY(Node::boot(spec(name)));
  TRY(Cloud(paths_).boot_instance(*machine, booted.netns_path()));
  const PrimaryNic nic = TRY(primary_nic_of(*machine));
  TRY(configure_primary_nic(booted.netns_path(), nic, std::chrono::seconds(30)));
  TRY(start_echo(booted));
  progress(fmt::format("{}: terwayd", name));
  TRY(start_daemon(name));
  progress(fmt::format("{}: its pods come back", name));
  TRY(runtime(name, {"recover"}, {}));
  return Ok{};
}

}  // namespace terway::lab
