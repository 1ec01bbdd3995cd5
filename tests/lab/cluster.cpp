// SPDX-License-Identifier: Apache-2.0
#include "cluster.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/file.h"
#include "vpcsim/admin_client.h"

namespace terway::test {

namespace {

// The test binary lies in <build>/tests/lab, the programs in <build>/bin.
lab::Programs programs() {
  auto beside = lab::Programs::find();
  REQUIRE(beside.ok());
  return lab::Programs{beside->directory.parent_path().parent_path() / "bin"};
}

std::string yaml_of(const Shape& shape) {
  const bool v6 = shape.ip_stack != "ipv4";
  const bool second = !shape.second_pod_cidr.empty();
  std::string yaml = fmt::format(
      "ip_stack: {}\n{}"
      "vswitches:\n"
      "  - {{name: nodes, zone: cn-lab-a, cidr: 192.168.0.0/19{}}}\n"
      "  - {{name: pods, zone: cn-lab-a, cidr: {}{}}}\n"
      "{}"
      "outside: [{{vswitch: nodes}}]\n"
      "cloud: {{attach_delay_ms: 100, detach_delay_ms: 50, nic_delay_ms: 20}}\n"
      "eni_conf: {}\n"
      "nodes:\n",
      shape.ip_stack, v6 ? "vpc_ipv6_cidr: 'fd00:1::/56'\n" : "",
      v6 ? ", ipv6_cidr: 'fd00:1:0:1::/64'" : "", shape.pod_cidr,
      v6 ? ", ipv6_cidr: 'fd00:1:0:2::/64'" : "",
      second ? fmt::format("  - {{name: pods2, zone: cn-lab-a, cidr: {}{}}}\n",
                           shape.second_pod_cidr, v6 ? ", ipv6_cidr: 'fd00:1:0:3::/64'" : "")
             : "",
      shape.eni_conf);
  for (std::size_t i = 1; i <= shape.nodes; ++i) {
    yaml += fmt::format(
        "  - {{name: node-{}, instance_type: {}, vswitch: nodes, pod_vswitches: [pods{}], "
        "pods: {}, mode: {}}}\n",
        i, shape.instance_type, second ? ", pods2" : "", shape.pods, shape.mode);
  }
  return yaml;
}

void show_logs(const lab::Paths& paths) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(paths.run(), ignored)) {
    if (entry.path().extension() != ".log") continue;
    const auto text = read_file(entry.path());
    if (!text.ok() || text->empty()) continue;
    const std::size_t from = text->size() > 4000 ? text->size() - 4000 : 0;
    MESSAGE(entry.path().filename().native() << ":\n" << text->substr(from));
  }
}

}  // namespace

Cluster::Cluster(const Shape& shape) {
  static std::atomic<int> number = 0;
  name_ = fmt::format("t{}-{}", ::getpid(), number++);
  const auto topology = lab::parse_topology(yaml_of(shape));
  REQUIRE_MESSAGE(topology.ok(), topology.error().message());
  auto built = lab::Lab::up(name_, *topology, programs(), [](const std::string&) {});
  if (!built.ok()) {
    show_logs(lab::Paths(name_));
    CHECK(lab::Lab::down(name_).ok());
  }
  REQUIRE_MESSAGE(built.ok(), built.error().to_string());
  lab_.emplace(std::move(*built));
  if (shape.cloud != "{}") cloud_post("/settings", shape.cloud);
}

Cluster::~Cluster() {
  const auto* context = doctest::getContextOptions();
  if (context != nullptr && std::uncaught_exceptions() > 0) show_logs(lab_->paths());
  CHECK(lab::Lab::down(name_).ok());
}

lab::PodOnNode Cluster::add_pod(const std::string& name, const std::string& node) {
  lab::PodSpec pod;
  pod.name = name;
  auto added = lab_->add_pod(node, pod);
  REQUIRE_MESSAGE(added.ok(), added.error().to_string());
  return std::move(*added);
}

lab::PodOnNode Cluster::add_pod_at_last(const std::string& name, const std::string& node) {
  lab::PodSpec pod;
  pod.name = name;
  std::optional<Result<lab::PodOnNode>> added;
  eventually(
      [&] {
        added.emplace(lab_->add_pod(node, pod));
        return added->ok();
      },
      std::chrono::minutes(4));
  REQUIRE_MESSAGE(added->ok(), added->error().to_string());
  return std::move(**added);
}

void Cluster::delete_pod(const std::string& name) {
  const auto deleted = lab_->delete_pod("default", name);
  REQUIRE_MESSAGE(deleted.ok(), deleted.error().to_string());
}

std::string Cluster::ask_text(const std::string& node, const std::string& path) {
  const auto inside = lab::Node::open({name_, node, lab_->paths().run(), lab_->paths().disk(node)});
  REQUIRE(inside.ok());
  http::Endpoint endpoint;
  endpoint.unix_path = inside->inside("/run/eni/terway-cli.sock");
  http::Request request;
  request.path = path;
  const auto answer = http::Client(endpoint).send(request);
  REQUIRE_MESSAGE(answer.ok(), answer.error().message());
  return answer->body;
}

std::string Cluster::cloud_get(const std::string& path) {
  const auto answer = vpcsim::AdminClient(lab_->paths().admin_socket()).get(path);
  REQUIRE_MESSAGE(answer.ok(), answer.error().message());
  return *answer;
}

std::string Cluster::cloud_post(const std::string& path, const std::string& json) {
  const auto answer = vpcsim::AdminClient(lab_->paths().admin_socket()).post(path, json);
  REQUIRE_MESSAGE(answer.ok(), answer.error().message());
  return *answer;
}

void Cluster::cloud_delete(const std::string& path) {
  const auto answer = vpcsim::AdminClient(lab_->paths().admin_socket()).remove(path);
  REQUIRE_MESSAGE(answer.ok(), answer.error().message());
}

std::string Cluster::on_node(const std::string& node, const std::string& script) {
  const auto done =
      lab_->run_on_node(node, {"/bin/sh", "-c", script}, {}, std::chrono::seconds(60));
  REQUIRE_MESSAGE(done.ok(), done.error().message());
  INFO(done->err);
  CHECK(done->exit_code == 0);
  return std::string(trimmed(done->out));
}

lab::Completed Cluster::plugin(const std::string& node, const PluginCall& call) {
  std::string config = R"({"cniVersion":"1.1.0","name":"terway","type":"terway")";
  if (!call.config.empty()) config += "," + call.config.substr(1);
  if (call.config.empty()) config += "}";
  std::vector<std::string> argv = {"/usr/bin/env", "CNI_COMMAND=" + call.command,
                                   "CNI_PATH=/opt/cni/bin"};
  if (call.command != "GC" && call.command != "STATUS") {
    argv.push_back("CNI_CONTAINERID=" + call.container_id);
    argv.push_back("CNI_IFNAME=" + call.ifname);
    argv.push_back("CNI_NETNS=" + call.netns);
    const std::size_t slash = call.pod.find('/');
    if (slash != std::string::npos) {
      argv.push_back(fmt::format("CNI_ARGS=K8S_POD_NAMESPACE={};K8S_POD_NAME={}",
                                 call.pod.substr(0, slash), call.pod.substr(slash + 1)));
    }
  }
  argv.emplace_back("/opt/cni/bin/terway");
  auto done = lab_->run_on_node(node, argv, config, std::chrono::seconds(120));
  REQUIRE_MESSAGE(done.ok(), done.error().message());
  return std::move(*done);
}

bool Cluster::killed_at(const std::string& node, const std::string& call, int nth) {
  REQUIRE(lab_->kill_daemon(node).ok());
  const auto started = lab_->start_daemon(
      node, {"/usr/bin/strace", "-f", "-o", "/dev/null", "-e", fmt::format("trace={}", call), "-e",
             fmt::format("inject={}:signal=KILL:when={}", call, nth)});
  REQUIRE_MESSAGE(started.ok(), started.error().message());
  // Work enough for every kind of step: a new pod, and one that goes.
  lab::PodSpec pod;
  pod.name = fmt::format("{}-{}", call, nth);
  std::replace(pod.name.begin(), pod.name.end(), '_', '-');
  const auto working = [&] { return lab_->daemon_alive(node); };
  for (int attempt = 0; attempt < 50 && working(); ++attempt) {
    if (lab_->add_pod(node, pod).ok()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const auto deleted = lab_->delete_pod("default", pod.name);
  static_cast<void>(deleted);  // fails where the pod never came to be
  eventually([&] { return !working(); }, std::chrono::milliseconds(300));
  const bool killed = !working();
  if (!killed) on_node(node, "kill -9 $(pidof terwayd)");
  REQUIRE(eventually([&] { return !working(); }));
  const auto restarted = lab_->start_daemon(node);
  REQUIRE_MESSAGE(restarted.ok(), restarted.error().message());
  return killed;
}

void Cluster::check_matrix() {
  lab::MatrixSettings settings;
  settings.timeout = std::chrono::seconds(5);
  const auto matrix = lab_->matrix(settings);
  REQUIRE_MESSAGE(matrix.ok(), matrix.error().message());
  CHECK(matrix->ok() > 0);
  for (const lab::Probe& probe : matrix->probes) {
    if (probe.ok) continue;
    FAIL_CHECK(to_string(probe.kind) << " " << probe.from << " -> " << probe.to << " "
                                     << probe.target.to_string() << ": " << probe.lost_at);
  }
}

void Cluster::check_matrix_heals() {
  lab::MatrixSettings settings;
  settings.timeout = std::chrono::milliseconds(500);
  eventually([&] {
    const auto matrix = lab_->matrix(settings);
    return matrix.ok() && matrix->failed() == 0;
  });
  check_matrix();
}

void Cluster::check_audit() {
  std::vector<std::string> complaints;
  eventually([&] {
    complaints = audit(*this);
    return complaints.empty();
  });
  for (const std::string& complaint : complaints) FAIL_CHECK(complaint);
  if (!complaints.empty()) show_logs(lab_->paths());
}

bool eventually(const std::function<bool()>& condition, Duration deadline) {
  SystemClock clock;
  const Instant end = clock.now() + deadline;
  for (;;) {
    if (condition()) return true;
    if (clock.now() >= end) return false;
    clock.sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace terway::test
