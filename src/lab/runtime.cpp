// SPDX-License-Identifier: Apache-2.0
#include "lab/runtime.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/fd.h"
#include "base/file.h"
#include "base/random.h"
#include "lab/echo.h"

namespace terway::lab {

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr Duration kEchoTimeout = std::chrono::seconds(20);

std::string new_container_id() {
  Random random = Random::from_system();
  std::string id;
  while (id.size() < 64) id += fmt::format("{:016x}", random.below(~std::uint64_t{0}));
  return id;
}

Result<> bring_up_loopback() {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return Error::from_errno(errno, "socket");
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0)
    return Error::from_errno(errno, "bring up lo");
  return Ok{};
}

// A namespace outlives its processes by the file it is mounted on.
Result<> mount_new_netns(const std::string& path) {
  {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
    if (!file) return Error::from_errno(errno, fmt::format("create {}", path));
  }
  Result<> result = Ok{};
  std::thread inside([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      result = Error::from_errno(errno, "make a network namespace");
      return;
    }
    result = bring_up_loopback();
    if (!result.ok()) return;
    const std::string own = fmt::format("/proc/self/task/{}/ns/net", ::gettid());
    if (::mount(own.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      result = Error::from_errno(errno, fmt::format("mount a network namespace on {}", path));
    }
  });
  inside.join();
  if (!result.ok()) ::unlink(path.c_str());
  return result;
}

Result<> remove_netns(const std::string& path) {
  if (::umount2(path.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) {
    return Error::from_errno(errno, fmt::format("unmount {}", path));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return Error::from_errno(errno, fmt::format("remove {}", path));
  }
  return Ok{};
}

// A daemon in the pod's namespace: a grandchild, so that the node's reaper inherits it.
Result<pid_t> start_echo(const fs::path& program, const std::string& netns,
                         const std::string& name) {
  const UniqueFd target(::open(netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (!target) return Error::from_errno(errno, fmt::format("open {}", netns));
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return Error::from_errno(errno, "pipe");
  UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);
  const pid_t child = ::fork();
  if (child < 0) return Error::from_errno(errno, "fork");
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild != 0) {
      const ssize_t told = ::write(write_end.get(), &grandchild, sizeof grandchild);
      ::_exit(told == sizeof grandchild ? 0 : 1);
    }
    ::setsid();
    const int null = ::open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
    if (::setns(target.get(), CLONE_NEWNET) != 0) ::_exit(1);
    ::execl(program.c_str(), program.c_str(), "echo", "--name", name.c_str(), nullptr);
    ::_exit(127);
  }
  write_end.reset();
  int status = 0;
  ::waitpid(child, &status, 0);
  pid_t echo = 0;
  if (::read(read_end.get(), &echo, sizeof echo) != sizeof echo || echo <= 0) {
    return Error(Error::Kind::Internal, fmt::format("{} did not start", name));
  }
  return echo;
}

bool in_netns(pid_t pid, const std::string& netns) {
  std::error_code failed;
  return fs::equivalent(fmt::format("/proc/{}/ns/net", pid), netns, failed) && !failed;
}

std::vector<net::IpAddress> addresses_of(const std::string& result) {
  std::vector<net::IpAddress> addresses;
  const json parsed = json::parse(result, nullptr, false);
  if (!parsed.is_object()) return addresses;
  for (const json& entry : parsed.value("ips", json::array())) {
    const auto prefix = net::Prefix::parse(entry.value("address", std::string()));
    if (prefix) addresses.push_back(prefix->address);
  }
  return addresses;
}

}  // namespace

std::string to_json(const Sandbox& sandbox) {
  json addresses = json::array();
  for (const net::IpAddress& address : sandbox.addresses) addresses.push_back(address.to_string());
  json capabilities = json::object();
  for (const auto& [name, value] : sandbox.pod.capabilities) capabilities[name] = value;
  json result = json::parse(sandbox.result, nullptr, false);
  if (result.is_discarded()) result = nullptr;  // none yet
  return json{{"namespace", sandbox.pod.namespace_},
              {"name", sandbox.pod.name},
              {"uid", sandbox.pod.uid},
              {"ownerKind", sandbox.pod.owner_kind},
              {"capabilities", capabilities},
              {"containerID", sandbox.container_id},
              {"netns", sandbox.netns},
              {"pid", sandbox.pid},
              {"addresses", addresses},
              {"result", result}}
      .dump();
}

Result<Sandbox> sandbox_from_json(std::string_view text) {
  const json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return Error(Error::Kind::Invalid, "a sandbox record is no JSON object");
  Sandbox sandbox;
  sandbox.pod.namespace_ = parsed.value("namespace", std::string());
  sandbox.pod.name = parsed.value("name", std::string());
  sandbox.pod.uid = parsed.value("uid", std::string());
  sandbox.pod.owner_kind = parsed.value("ownerKind", std::string());
  const json capabilities = parsed.value("capabilities", json::object());
  for (const auto& [name, value] : capabilities.items()) {
    if (value.is_string()) sandbox.pod.capabilities[name] = value.get<std::string>();
  }
  sandbox.container_id = parsed.value("containerID", std::string());
  sandbox.netns = parsed.value("netns", std::string());
  sandbox.pid = parsed.value("pid", 0);
  sandbox.result = parsed.value("result", json()).dump();
  sandbox.addresses = addresses_of(sandbox.result);
  return sandbox;
}

Result<CniChain> Runtime::chain() const {
  return CniChain::load(paths_.conf_dir, paths_.bin_dirs, paths_.cache_dir);
}

CniCall Runtime::call_of(const Sandbox& sandbox) const {
  CniCall call;
  call.container_id = sandbox.container_id;
  call.netns = sandbox.netns;
  call.args = fmt::format(
      "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID={};"
      "K8S_POD_UID={}",
      sandbox.pod.namespace_, sandbox.pod.name, sandbox.container_id, sandbox.pod.uid);
  if (!sandbox.pod.owner_kind.empty()) {
    call.args += ";K8S_POD_OWNER_KIND=" + sandbox.pod.owner_kind;
  }
  call.capabilities = sandbox.pod.capabilities;
  return call;
}

fs::path Runtime::file_of(const std::string& namespace_, const std::string& name) const {
  // "_" is no character of either name.
  return paths_.state_dir / fmt::format("{}_{}.json", namespace_, name);
}

Result<Sandbox> Runtime::read(const fs::path& file) const {
  const std::string text = TRY(read_file(file));
  return TRY_WITHIN(file.native(), sandbox_from_json(text));
}

Result<> Runtime::write(const Sandbox& sandbox) const {
  std::error_code ignored;
  fs::create_directories(paths_.state_dir, ignored);
  return replace_file(file_of(sandbox.pod.namespace_, sandbox.pod.name), to_json(sandbox), 0600);
}

Result<Sandbox> Runtime::start(Sandbox sandbox) const {
  const CniChain plugins = TRY(chain());
  std::error_code ignored;
  fs::create_directories(paths_.netns_dir, ignored);
  sandbox.container_id = new_container_id();
  sandbox.netns = (paths_.netns_dir / ("cni-" + sandbox.container_id.substr(0, 32))).native();
  TRY(mount_new_netns(sandbox.netns));
  auto result = plugins.add(call_of(sandbox));
  if (!result.ok()) {
    TRY(remove_netns(sandbox.netns));
    return result.take_error();
  }
  sandbox.result = *result;
  sandbox.addresses = addresses_of(sandbox.result);
  // Known before anything runs in it, so that nothing can be forgotten.
  TRY(write(sandbox));
  sandbox.pid = TRY(start_echo(paths_.echo_program, sandbox.netns,
                               sandbox.pod.namespace_ + "/" + sandbox.pod.name));
  TRY(write(sandbox));
  TRY(wait_for_echo(sandbox.netns, kEchoPort, kEchoTimeout));
  return sandbox;
}

Result<Sandbox> Runtime::add(const PodSpec& pod) const {
  if (fs::exists(file_of(pod.namespace_, pod.name))) {
    return Error(Error::Kind::Exists,
                 fmt::format("pod {}/{} is there already", pod.namespace_, pod.name));
  }
  Sandbox sandbox;
  sandbox.pod = pod;
  if (sandbox.pod.uid.empty()) sandbox.pod.uid = Random::from_system().uuid();
  return start(std::move(sandbox));
}

Result<> Runtime::remove(const std::string& namespace_, const std::string& name) const {
  const fs::path file = file_of(namespace_, name);
  if (!fs::exists(file)) {
    return Error(Error::Kind::NotFound, fmt::format("there is no pod {}/{}", namespace_, name));
  }
  const Sandbox sandbox = TRY(read(file));
  if (sandbox.pid > 0 && in_netns(sandbox.pid, sandbox.netns)) ::kill(sandbox.pid, SIGKILL);
  const CniChain plugins = TRY(chain());
  CniCall call = call_of(sandbox);
  if (!fs::exists(sandbox.netns)) call.netns.clear();
  TRY(plugins.del(call));
  TRY(remove_netns(sandbox.netns));
  std::error_code ignored;
  fs::remove(file, ignored);
  return Ok{};
}

Result<std::vector<Sandbox>> Runtime::list() const {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(paths_.state_dir, ignored)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Sandbox> sandboxes;
  for (const fs::path& file : files) {
    auto sandbox = read(file);
    if (sandbox.is(Error::Kind::NotFound)) continue;  // deleted since the directory was read
    if (!sandbox.ok()) return sandbox.take_error();
    sandboxes.push_back(std::move(*sandbox));
  }
  return sandboxes;
}

Result<> Runtime::check(const std::string& namespace_, const std::string& name) const {
  const Sandbox sandbox = TRY(read(file_of(namespace_, name)));
  return TRY(chain()).check(call_of(sandbox));
}

Result<> Runtime::gc() const {
  std::vector<CniCall> valid;
  for (const Sandbox& sandbox : TRY(list())) valid.push_back(call_of(sandbox));
  return TRY(chain()).gc(valid);
}

Result<> Runtime::status() const { return TRY(chain()).status(); }

Result<> Runtime::recover() const {
  const CniChain plugins = TRY(chain());
  for (Sandbox& sandbox : TRY(list())) {
    if (fs::exists(sandbox.netns)) continue;
    CniCall call = call_of(sandbox);
    call.netns.clear();
    TRY(plugins.del(call));
    std::error_code ignored;
    fs::remove(file_of(sandbox.pod.namespace_, sandbox.pod.name), ignored);
    sandbox.pid = 0;
    TRY(start(std::move(sandbox)));
  }
  return Ok{};
}

}  // namespace terway::lab
