// SPDX-License-Identifier: Apache-2.0
#include "lab/cni_chain.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "lab/process.h"
#include "net/address.h"

namespace terway::lab {

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// As containerd and CRI-O: kubelet gives up on a sandbox after four minutes.
constexpr Duration kPluginTimeout = std::chrono::minutes(4);

Error invalid(std::string message) { return {Error::Kind::Invalid, "CNI: " + std::move(message)}; }

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

// Compares "0.4.0" and "1.1.0" by their numbers.
bool at_least(const std::string& version, int major, int minor) {
  int have_major = 0;
  int have_minor = 0;
  const char* end = version.data() + version.size();
  const auto [dot, no_major] = std::from_chars(version.data(), end, have_major);
  if (no_major != std::errc{} || dot == end || *dot != '.') return false;
  const auto [rest, no_minor] = std::from_chars(dot + 1, end, have_minor);
  if (no_minor != std::errc{}) return false;
  return have_major > major || (have_major == major && have_minor >= minor);
}

Result<> check_address(const json& entry, std::size_t interfaces) {
  const std::string address = text_of(entry, "address");
  if (address.find('/') == std::string::npos || !net::Prefix::parse(address)) {
    return invalid(fmt::format("result: ips[].address is \"{}\", no CIDR", address));
  }
  const auto index = entry.find("interface");
  if (index == entry.end()) return Ok{};
  if (!index->is_number_unsigned() || index->get<std::size_t>() >= interfaces) {
    return invalid("result: ips[].interface points at no interface");
  }
  return Ok{};
}

// What the specification demands of a plugin's result of ADD.
Result<json> check_result(const std::string& text, const std::string& version) {
  json result = json::parse(text, nullptr, false);
  if (!result.is_object()) return invalid("the plugin's output is no JSON object: " + text);
  if (text_of(result, "cniVersion") != version) {
    return invalid(fmt::format("result: cniVersion is \"{}\", asked was {}",
                               text_of(result, "cniVersion"), version));
  }
  const json interfaces = result.value("interfaces", json::array());
  if (!interfaces.is_array()) return invalid("result: interfaces is no list");
  for (const json& one : interfaces) {
    if (!one.is_object() || text_of(one, "name").empty()) {
      return invalid("result: an interface has no name");
    }
  }
  for (const json& entry : result.value("ips", json::array())) {
    TRY(check_address(entry, interfaces.size()));
  }
  for (const json& route : result.value("routes", json::array())) {
    if (!net::Prefix::parse(text_of(route, "dst")))
      return invalid("result: routes[].dst is no CIDR");
  }
  return result;
}

Error plugin_error(const std::string& type, const std::string& verb, const Completed& done) {
  const json error = json::parse(done.out, nullptr, false);
  if (!error.is_object() || !error.contains("code")) {
    return {Error::Kind::Internal, fmt::format("{} {} ended with {} and no CNI error: {}{}", type,
                                               verb, done.exit_code, done.out, done.err)};
  }
  std::string message = fmt::format("{} {}: {}", type, verb, text_of(error, "msg"));
  const std::string details = text_of(error, "details");
  if (!details.empty()) message += ": " + details;
  return Error(Error::Kind::Unavailable, std::move(message)).with_code(error["code"].dump(), {});
}

}  // namespace

Result<CniChain> CniChain::load(const fs::path& conf_dir, std::vector<fs::path> bin_dirs,
                                const fs::path& cache_dir) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(conf_dir, ignored)) {
    if (entry.path().extension() == ".conflist") files.push_back(entry.path());
  }
  if (files.empty()) {
    return Error(Error::Kind::NotFound,
                 fmt::format("no network configuration list in {}", conf_dir.native()));
  }
  std::sort(files.begin(), files.end());
  const json list = json::parse(TRY(read_file(files.front())), nullptr, false);
  const std::string where = files.front().native();
  if (!list.is_object()) return invalid(where + " is no JSON object");
  CniChain chain;
  chain.name_ = text_of(list, "name");
  chain.version_ = text_of(list, "cniVersion");
  chain.disable_check_ = flag_of(list, "disableCheck");
  chain.disable_gc_ = flag_of(list, "disableGC");
  chain.bin_dirs_ = std::move(bin_dirs);
  chain.cache_dir_ = cache_dir;
  if (chain.name_.empty()) return invalid(where + ": name is missing");
  if (!at_least(chain.version_, 0, 3)) return invalid(where + ": cniVersion is missing or too old");
  for (const json& plugin : list.value("plugins", json::array())) {
    const std::string type = plugin.is_object() ? text_of(plugin, "type") : std::string();
    if (type.empty() || type.find('/') != std::string::npos) {
      return invalid(where + ": a plugin has no type");
    }
    chain.plugins_.push_back({type, plugin.dump()});
  }
  if (chain.plugins_.empty()) return invalid(where + ": plugins is empty");
  return chain;
}

std::string CniChain::derive(const Plugin& plugin, const CniCall& call, const std::string& previous,
                             const std::string& extra) const {
  json config = json::parse(plugin.config);
  const json declared = config.value("capabilities", json::object());
  config.erase("capabilities");
  config["name"] = name_;
  config["cniVersion"] = version_;
  json runtime = json::object();
  for (const auto& [capability, value] : call.capabilities) {
    if (flag_of(declared, capability.c_str()))
      runtime[capability] = json::parse(value, nullptr, false);
  }
  if (!runtime.empty()) config["runtimeConfig"] = runtime;
  if (!previous.empty()) config["prevResult"] = json::parse(previous);
  if (!extra.empty()) config.update(json::parse(extra));
  return config.dump();
}

Result<std::string> CniChain::execute(const Plugin& plugin, const std::string& verb,
                                      const CniCall& call, const std::string& config) const {
  std::string path;
  std::string search;
  for (const fs::path& directory : bin_dirs_) {
    search += (search.empty() ? "" : ":") + directory.native();
    const fs::path candidate = directory / plugin.type;
    std::error_code ignored;
    if (path.empty() && fs::exists(candidate, ignored)) path = candidate.native();
  }
  if (path.empty()) {
    return Error(Error::Kind::NotFound,
                 fmt::format("CNI: plugin {} is not in {}", plugin.type, search));
  }
  std::map<std::string, std::string> environment = {
      {"CNI_COMMAND", verb}, {"CNI_PATH", search}, {"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}};
  if (verb != "GC" && verb != "STATUS") {
    environment["CNI_CONTAINERID"] = call.container_id;
    environment["CNI_IFNAME"] = call.ifname;
    environment["CNI_NETNS"] = call.netns;
    if (!call.args.empty()) environment["CNI_ARGS"] = call.args;
  }
  const Completed done = TRY(run_process({{path}, environment, {}}, config, kPluginTimeout));
  if (done.exit_code != 0) return plugin_error(plugin.type, verb, done);
  return done.out;
}

fs::path CniChain::cached(const CniCall& call) const {
  return cache_dir_ / "results" / fmt::format("{}-{}-{}", name_, call.container_id, call.ifname);
}

Result<std::string> CniChain::add(const CniCall& call) const {
  std::string previous;
  for (const Plugin& plugin : plugins_) {
    auto output = execute(plugin, "ADD", call, derive(plugin, call, previous, {}));
    Result<json> result =
        output.ok() ? check_result(*output, version_) : Result<json>(output.take_error());
    if (!result.ok()) {
      // The specification: a failed ADD is followed by DEL, whose own failure adds nothing.
      if (const auto undone = del(call); !undone.ok()) {
        return result.take_error().within(
            fmt::format("(undoing failed: {})", undone.error().message()));
      }
      return result.take_error();
    }
    previous = result->dump();
  }
  std::error_code ignored;
  fs::create_directories(cache_dir_ / "results", ignored);
  TRY(replace_file(cached(call), previous, 0600));
  return previous;
}

Result<> CniChain::check(const CniCall& call) const {
  if (disable_check_ || !at_least(version_, 0, 4)) return Ok{};
  const std::string previous = TRY(read_file(cached(call)));
  for (const Plugin& plugin : plugins_) {
    TRY(execute(plugin, "CHECK", call, derive(plugin, call, previous, {})));
  }
  return Ok{};
}

Result<> CniChain::del(const CniCall& call) const {
  const auto kept = read_file(cached(call));
  const std::string previous = kept.ok() ? *kept : std::string();
  for (auto plugin = plugins_.rbegin(); plugin != plugins_.rend(); ++plugin) {
    TRY(execute(*plugin, "DEL", call, derive(*plugin, call, previous, {})));
  }
  std::error_code ignored;
  fs::remove(cached(call), ignored);
  return Ok{};
}

Result<> CniChain::gc(const std::vector<CniCall>& valid) const {
  if (disable_gc_ || !at_least(version_, 1, 1)) return Ok{};
  json attachments = json::array();
  for (const CniCall& call : valid) {
    attachments.push_back({{"containerID", call.container_id}, {"ifname", call.ifname}});
  }
  const std::string extra = json{{"cni.dev/valid-attachments", attachments}}.dump();
  for (const Plugin& plugin : plugins_) {
    TRY(execute(plugin, "GC", {}, derive(plugin, {}, {}, extra)));
  }
  return Ok{};
}

Result<> CniChain::status() const {
  if (!at_least(version_, 1, 1)) return Ok{};
  for (const Plugin& plugin : plugins_) {
    TRY(execute(plugin, "STATUS", {}, derive(plugin, {}, {}, {})));
  }
  return Ok{};
}

}  // namespace terway::lab
