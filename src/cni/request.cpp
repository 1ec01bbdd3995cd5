// SPDX-License-Identifier: Apache-2.0
#include "cni/request.h"

#include <fmt/core.h>

#include "cni/args.h"
#include "cni/config_reader.h"
#include "cni/names.h"

namespace terway::cni {

namespace {

bool is_about_a_pod(Command command) {
  return command == Command::Add || command == Command::Del || command == Command::Check;
}

bool is_forgiving(Command command) { return command == Command::Del || command == Command::Gc; }

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) {
    if (!text.empty()) text += "; ";
    text += sentence;
  }
  return text;
}

// Code 4: the message has to name the variables.
std::optional<std::string> environment_problem(const Call& call) {
  if (!is_about_a_pod(call.command)) return std::nullopt;
  std::vector<std::string> problems;
  if (!is_container_id(call.container_id.data(), call.container_id.size())) {
    problems.push_back(
        fmt::format("CNI_CONTAINERID: \"{}\" is not allowed: a letter or digit, then those, '_', "
                    "'.' and '-'",
                    call.container_id));
  }
  if (!is_ifname(call.ifname.data(), call.ifname.size())) {
    problems.push_back(
        fmt::format("CNI_IFNAME: \"{}\" is not allowed: 1 to 15 bytes without '/', ':' and white "
                    "space, not \".\" or \"..\"",
                    call.ifname));
  }
  if (call.netns_path.empty() && call.command != Command::Del) {
    problems.emplace_back("CNI_NETNS: empty is not allowed: the path of the pod's namespace");
  }
  if (problems.empty()) return std::nullopt;
  return joined(problems);
}

Failure failure(std::string version, Code code, std::string message, std::string details) {
  return {std::move(version), code, std::move(message), std::move(details)};
}

constexpr std::string_view kSupported =
    "0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0 are spoken, CHECK from 0.4.0, GC and STATUS from 1.1.0";

// The document's version, or what is wrong with it.
std::variant<Version, Failure> negotiated(const Json& document, Command command) {
  const auto found = document.find("cniVersion");
  if (found != document.end() && !found->is_string()) {
    return failure(kNewestVersion, Code::DecodingFailure, "cannot decode the network configuration",
                   fmt::format("cniVersion: {} is not allowed: a string", shown(*found)));
  }
  // Without one it is 0.1.0, says the specification of 0.2.0.
  const std::string text = found == document.end() ? "0.1.0" : found->get_ref<const std::string&>();
  const std::optional<Version> version = version_from(text);
  if (!version || !has(*version, command)) {
    return failure(version ? text : kNewestVersion, Code::IncompatibleVersion,
                   "incompatible CNI version",
                   fmt::format("cniVersion {} with {}: {}", text, to_word(command), kSupported));
  }
  return *version;
}

void add_all(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// Known keys whose feature does not exist yet are refused by name, never ignored.
std::optional<Failure> unserved(const Request& request) {
  std::vector<std::string> keys = request.unserved_keys;
  if (request.config.virtual_type == VirtualType::Ipvlan) {
    keys.emplace_back("eniip_virtual_type: \"ipvlan\"");
  }
  if (!request.runtime.port_mappings.empty()) {
    keys.push_back(
        fmt::format("runtimeConfig.portMappings: {} (give the capability to the portmap plugin)",
                    request.runtime.port_mappings.size()));
  }
  if (!request.runtime.ips.empty()) {
    keys.push_back(fmt::format("runtimeConfig.ips: {}", joined(request.runtime.ips)));
  }
  if (!request.runtime.mac.empty()) {
    keys.push_back(fmt::format("runtimeConfig.mac: {} (give the capability to the tuning plugin)",
                               request.runtime.mac));
  }
  if (keys.empty()) return std::nullopt;
  return failure(std::string(to_string(request.config.version)), Code::UnsupportedField,
                 "the network configuration asks for what is not served", joined(keys));
}

}  // namespace

std::variant<Request, Failure> parse_request(const Call& call) {
  const Json document = Json::parse(call.config, nullptr, false);
  if (document.is_discarded() || !document.is_object()) {
    return failure(kNewestVersion, Code::DecodingFailure, "cannot decode the network configuration",
                   document.is_discarded() ? "standard input is not JSON"
                                           : "standard input is not a JSON object");
  }
  const std::variant<Version, Failure> version = negotiated(document, call.command);
  if (const auto* refused = std::get_if<Failure>(&version)) return *refused;
  Request request;
  request.command = call.command;
  request.config.version = std::get<Version>(version);
  const std::string spoken(to_string(request.config.version));
  if (auto problem = environment_problem(call)) {
    return failure(spoken, Code::InvalidEnvironment, "invalid environment", *problem);
  }
  if (is_about_a_pod(call.command)) {
    request.key = {std::string(call.container_id), std::string(call.ifname)};
    request.netns_path = call.netns_path;
  }
  Args args = parse_args(call.args);
  request.pod = std::move(args.pod);
  request.infra_container_id = std::move(args.infra_container_id);
  Problems problems;
  read_config(document, request, problems);
  if (call.command == Command::Check && !request.previous) {
    problems.errors.emplace_back("prevResult: CHECK needs it");
  }
  request.warnings = std::move(problems.warnings);
  if (is_forgiving(call.command)) {
    add_all(request.warnings, args.problems);
    add_all(request.warnings, problems.errors);
    return request;
  }
  if (!args.problems.empty()) {
    return failure(spoken, Code::DecodingFailure, "cannot decode CNI_ARGS", joined(args.problems));
  }
  if (!problems.errors.empty()) {
    return failure(spoken, Code::InvalidConfig, "invalid network configuration",
                   joined(problems.errors));
  }
  if (call.command == Command::Add) {
    if (auto refused = unserved(request)) return *refused;
  }
  return request;
}

}  // namespace terway::cni
