// SPDX-License-Identifier: Apache-2.0
#include "lab/state.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/file.h"

namespace terway::lab {

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kRoot = "/run/terway-lab";

json to_json(const Machine& machine) {
  return {{"name", machine.name},
          {"outside", machine.outside},
          {"instanceId", machine.instance_id},
          {"instanceType", machine.instance_type},
          {"primaryEniId", machine.primary_eni_id},
          {"mac", machine.mac},
          {"addresses", machine.addresses},
          {"gateways", machine.gateways},
          {"mtu", machine.mtu},
          {"mode", to_string(machine.mode)}};
}

Machine machine_from(const json& entry) {
  Machine machine;
  machine.name = entry.value("name", std::string());
  machine.outside = entry.value("outside", false);
  machine.instance_id = entry.value("instanceId", std::string());
  machine.instance_type = entry.value("instanceType", std::string());
  machine.primary_eni_id = entry.value("primaryEniId", std::string());
  machine.mac = entry.value("mac", std::string());
  machine.addresses = entry.value("addresses", std::vector<std::string>());
  machine.gateways = entry.value("gateways", std::vector<std::string>());
  machine.mtu = entry.value("mtu", 1500U);
  machine.mode = model::network_mode_from(entry.value("mode", std::string()))
                     .value_or(model::NetworkMode::Veth);
  return machine;
}

}  // namespace

const Machine* State::find(const std::string& machine) const {
  const auto found = std::find_if(machines.begin(), machines.end(),
                                  [&](const Machine& one) { return one.name == machine; });
  return found == machines.end() ? nullptr : &*found;
}

fs::path Paths::run() const { return fs::path(kRoot) / name_; }
fs::path Paths::lock() const { return fs::path(kRoot) / (name_ + ".lock"); }

Result<> check_lab_name(const std::string& name) {
  const bool fits = !name.empty() && name.size() <= 20 && name.front() != '-' &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                    });
  if (fits) return Ok{};
  return Error(Error::Kind::Invalid,
               fmt::format("--name is \"{}\"; allowed are 1 to 20 lower case letters, digits and "
                           "dashes",
                           name));
}

Result<State> load_state(const Paths& paths) {
  const auto text = read_file(paths.state());
  if (text.is(Error::Kind::NotFound)) {
    return Error(Error::Kind::NotFound,
                 fmt::format("no lab called {} is up (terway-lab up starts one)", paths.name()));
  }
  const json parsed = json::parse(TRY(Result(text)), nullptr, false);
  if (!parsed.is_object()) {
    return Error(Error::Kind::Invalid, fmt::format("{} is broken", paths.state().native()));
  }
  State state;
  state.name = parsed.value("name", std::string());
  state.stack = parsed.value("stack", std::string());
  state.cloud = {parsed.value("cloudPid", 0), parsed.value("cloudStartTime", std::uint64_t{0})};
  state.api_url = parsed.value("apiUrl", std::string());
  for (const json& entry : parsed.value("machines", json::array())) {
    state.machines.push_back(machine_from(entry));
  }
  return state;
}

Result<> save_state(const Paths& paths, const State& state) {
  json machines = json::array();
  for (const Machine& machine : state.machines) machines.push_back(to_json(machine));
  const json all = {{"name", state.name},          {"stack", state.stack},
                    {"cloudPid", state.cloud.pid}, {"cloudStartTime", state.cloud.start_time},
                    {"apiUrl", state.api_url},     {"machines", machines}};
  return replace_file(paths.state(), all.dump(2), 0600);
}

Result<Lock> Lock::take(const Paths& paths) {
  std::error_code ignored;
  fs::create_directories(paths.lock().parent_path(), ignored);
  UniqueFd fd(::open(paths.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return Error::from_errno(errno, fmt::format("open {}", paths.lock().native()));
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return Error::from_errno(errno, "lock the lab");
  }
  return Lock(std::move(fd));
}

}  // namespace terway::lab
