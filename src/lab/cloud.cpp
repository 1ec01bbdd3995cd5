// SPDX-License-Identifier: Apache-2.0
#include "lab/cloud.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "vpcsim/admin_client.h"

namespace terway::lab {

namespace {

using nlohmann::json;

constexpr Duration kStartTimeout = std::chrono::seconds(60);

// Counters of the fabric that honest traffic may raise.
bool is_drop(const std::string& name) {
  return name.starts_with("spoofed_") || name == "no_destination" || name == "no_neighbour" ||
         name == "wrong_next_hop" || name == "malformed" || name == "not_carried";
}

Result<json> parse(const Result<std::string>& answer) {
  if (!answer.ok()) return Error(answer.error()).within("vpcsim");
  json parsed = json::parse(*answer, nullptr, false);
  if (parsed.is_discarded()) return Error(Error::Kind::Internal, "vpcsim did not answer in JSON");
  return parsed;
}

std::vector<std::string> texts_of(const json& object, const char* key) {
  return object.value(key, std::vector<std::string>());
}

// "192.168.0.2" within "192.168.0.0/19" as "192.168.0.2/19".
std::string with_length(const std::string& address, const std::string& cidr) {
  return address + cidr.substr(cidr.find('/'));
}

Machine machine_from(const json& answer, std::uint32_t mtu) {
  Machine machine;
  machine.instance_id = answer.value("id", std::string());
  machine.instance_type = answer.value("type", std::string());
  const json eni = answer.value("eni", json::object());
  machine.primary_eni_id = eni.value("id", std::string());
  machine.mac = eni.value("mac", std::string());
  machine.mtu = eni.value("mtu", mtu);
  machine.addresses = {with_length(eni.value("primary_address", std::string()),
                                   eni.value("cidr", std::string("/32")))};
  machine.gateways = {eni.value("gateway", std::string())};
  const auto ipv6 = texts_of(eni, "ipv6");
  if (!ipv6.empty()) {
    machine.addresses.push_back(
        with_length(ipv6.front(), eni.value("ipv6_cidr", std::string("/128"))));
    machine.gateways.push_back(eni.value("ipv6_gateway", std::string()));
  }
  return machine;
}

}  // namespace

std::string vswitch_id(const std::string& name) { return "vsw-" + name; }

std::string cloud_config(const Topology& topology) {
  // JSON is YAML.
  json config;
  json vpc = {{"id", "vpc-lab"}, {"cidr", topology.vpc_cidr.to_string()}};
  if (topology.vpc_ipv6_cidr) vpc["ipv6_cidr"] = topology.vpc_ipv6_cidr->to_string();
  config["vpcs"] = json::array({vpc});
  config["vswitches"] = json::array();
  for (const VSwitchSpec& spec : topology.vswitches) {
    json vswitch = {{"id", vswitch_id(spec.name)},
                    {"name", spec.name},
                    {"vpc", "vpc-lab"},
                    {"zone", spec.zone},
                    {"cidr", spec.cidr.to_string()}};
    if (spec.ipv6_cidr) vswitch["ipv6_cidr"] = spec.ipv6_cidr->to_string();
    config["vswitches"].push_back(vswitch);
  }
  config["security_groups"] =
      json::array({{{"id", kSecurityGroup}, {"name", "lab"}, {"vpc", "vpc-lab"}}});
  json settings = {{"mtu", topology.mtu}};
  for (const auto& [name, value] : topology.cloud) settings[name] = json::parse(value);
  config["settings"] = settings;
  return config.dump(2);
}

Result<Daemon> start_cloud(const Paths& paths, const Topology& topology,
                           const std::filesystem::path& program) {
  TRY(replace_file(paths.cloud_config(), cloud_config(topology)));
  const Daemon daemon = TRY(lab::start_daemon(
      {{program.native(), "serve", "--services", "--config", paths.cloud_config().native(),
        "--admin", paths.admin_socket().native(), "--tls-dir", paths.run().native()},
       {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}},
       {}},
      paths.cloud_log()));
  SystemClock clock;
  const Instant deadline = clock.now() + kStartTimeout;
  for (;;) {
    if (vpcsim::AdminClient(paths.admin_socket()).get("/endpoints").ok()) return daemon;
    if (!daemon.alive() || clock.now() >= deadline) {
      return Error(Error::Kind::Unavailable,
                   fmt::format("vpcsim does not come up; {} says why", paths.cloud_log().native()));
    }
    clock.sleep_for(std::chrono::milliseconds(10));
  }
}

Result<Machine> Cloud::add_instance(const std::string& name, bool outside, const std::string& type,
                                    const std::string& vswitch, IpStack stack,
                                    const std::string& netns_path) const {
  const json wish = {{"name", name},
                     {"type", type},
                     {"vswitch", vswitch_id(vswitch)},
                     {"security_groups", {kSecurityGroup}},
                     {"ipv6_count", stack == IpStack::V4 ? 0 : 1},
                     {"netns", netns_path},
                     {"role", outside ? "" : "terway"}};
  const json answer = TRY(parse(vpcsim::AdminClient(socket_).post("/instances", wish.dump())));
  Machine machine = machine_from(answer, 1500);
  machine.name = name;
  machine.outside = outside;
  return machine;
}

Result<> Cloud::boot_instance(const Machine& machine, const std::string& netns_path) const {
  const json wish = {{"netns", netns_path}};
  TRY(parse(vpcsim::AdminClient(socket_).post("/instances/" + machine.instance_id, wish.dump())));
  return Ok{};
}

Result<std::vector<EniOfNode>> Cloud::enis(const State& state) const {
  std::vector<EniOfNode> all;
  for (const json& entry : TRY(parse(vpcsim::AdminClient(socket_).get("/enis")))) {
    EniOfNode eni;
    const std::string instance = entry.value("instance", std::string());
    for (const Machine& machine : state.machines) {
      if (machine.instance_id == instance) eni.node = machine.name;
    }
    eni.id = entry.value("id", std::string());
    eni.type = entry.value("type", std::string());
    eni.status = entry.value("status", std::string());
    eni.vswitch = entry.value("vswitch", std::string());
    eni.mac = entry.value("mac", std::string());
    eni.addresses = texts_of(entry, "ipv4");
    for (std::string& address : texts_of(entry, "ipv6"))
      eni.addresses.push_back(std::move(address));
    all.push_back(std::move(eni));
  }
  return all;
}

Result<DropCounts> Cloud::drops() const {
  DropCounts counts;
  const json counters = TRY(parse(vpcsim::AdminClient(socket_).get("/counters")));
  for (const auto& [eni, by_name] : counters.items()) {
    for (const auto& [name, count] : by_name.items()) {
      if (is_drop(name) && count != 0) {
        counts[fmt::format("{}: {}", eni, name)] = count.get<std::uint64_t>();
      }
    }
  }
  return counts;
}

Result<PrimaryNic> primary_nic_of(const Machine& machine) {
  PrimaryNic nic;
  nic.mtu = machine.mtu;
  const Error broken(Error::Kind::Internal,
                     fmt::format("{}: the cloud described its primary NIC badly", machine.name));
  const auto mac = net::Mac::parse(machine.mac);
  if (!mac || machine.addresses.size() != machine.gateways.size()) return broken;
  nic.mac = *mac;
  for (std::size_t i = 0; i < machine.addresses.size(); ++i) {
    const auto address = net::Prefix::parse(machine.addresses[i]);
    const auto gateway = net::IpAddress::parse(machine.gateways[i]);
    if (!address || !gateway) return broken;
    if (i == 0) {
      nic.address = *address;
      nic.gateway = *gateway;
    } else {
      nic.address_v6 = *address;
      nic.gateway_v6 = *gateway;
    }
  }
  return nic;
}

}  // namespace terway::lab
