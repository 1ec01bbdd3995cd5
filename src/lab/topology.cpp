// SPDX-License-Identifier: Apache-2.0
#include "lab/topology.h"

#include <fmt/core.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/file.h"

namespace terway::lab {

namespace {

Error invalid(std::string message) {
  return {Error::Kind::Invalid, "topology: " + std::move(message)};
}

// One mapping of the file: keys are taken out one by one, and what is left over is an error.
class Section {
 public:
  Section(const YAML::Node& node, std::string where) : node_(node), where_(std::move(where)) {}

  Result<> check_is_map() const {
    if (node_.IsMap()) return Ok{};
    return invalid(fmt::format("{} must be a mapping of keys", where_));
  }

  std::string at(std::string_view key) const {
    return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
  }

  YAML::Node take(const std::string& key) {
    known_.insert(key);
    return node_[key];
  }

  Result<std::string> text(const std::string& key, std::optional<std::string> otherwise) {
    const YAML::Node value = take(key);
    if (!value.IsDefined() || value.IsNull()) {
      if (otherwise) return *otherwise;
      return invalid(fmt::format("{} is missing", at(key)));
    }
    if (!value.IsScalar()) return invalid(fmt::format("{} must be a text", at(key)));
    return value.Scalar();
  }

  Result<std::uint32_t> number(const std::string& key, std::uint32_t otherwise, std::uint32_t least,
                               std::uint32_t most) {
    const YAML::Node value = take(key);
    if (!value.IsDefined()) return otherwise;
    std::uint32_t number = 0;
    if (!value.IsScalar() || !YAML::convert<std::uint32_t>::decode(value, number) ||
        number < least || number > most) {
      return invalid(fmt::format("{} is {}, allowed are {} to {}", at(key),
                                 value.IsScalar() ? value.Scalar() : "no number", least, most));
    }
    return number;
  }

  Result<std::optional<net::Prefix>> prefix(const std::string& key, net::Family family) {
    const YAML::Node value = take(key);
    if (!value.IsDefined()) return std::optional<net::Prefix>();
    const auto prefix = value.IsScalar() ? net::Prefix::parse(value.Scalar()) : std::nullopt;
    if (!prefix || prefix->family() != family || prefix->network() != *prefix) {
      return invalid(fmt::format("{} is {}, allowed is an {} network like {}", at(key),
                                 value.IsScalar() ? value.Scalar() : "no text",
                                 family == net::Family::V4 ? "IPv4" : "IPv6",
                                 family == net::Family::V4 ? "192.168.0.0/16" : "fd00:1::/64"));
    }
    return prefix;
  }

  Result<std::vector<std::string>> texts(const std::string& key) {
    const YAML::Node value = take(key);
    std::vector<std::string> all;
    if (!value.IsDefined()) return all;
    if (!value.IsSequence()) return invalid(fmt::format("{} must be a list", at(key)));
    for (const YAML::Node& item : value) {
      if (!item.IsScalar()) return invalid(fmt::format("{} must be a list of texts", at(key)));
      all.push_back(item.Scalar());
    }
    return all;
  }

  // Calls `read` with each mapping of the list.
  Result<> each(const std::string& key, const std::function<Result<>(Section&)>& read) {
    const YAML::Node value = take(key);
    if (!value.IsDefined()) return Ok{};
    if (!value.IsSequence()) return invalid(fmt::format("{} must be a list", at(key)));
    for (std::size_t i = 0; i < value.size(); ++i) {
      Section section(value[i], fmt::format("{}[{}]", at(key), i));
      TRY(section.check_is_map());
      TRY(read(section));
      TRY(section.check_nothing_left());
    }
    return Ok{};
  }

  Result<> check_nothing_left() const {
    for (const auto& entry : node_) {
      if (known_.contains(entry.first.Scalar())) continue;
      std::string allowed;
      for (const std::string& key : known_) allowed += (allowed.empty() ? "" : ", ") + key;
      return invalid(
          fmt::format("{} is no key; allowed are {}", at(entry.first.Scalar()), allowed));
    }
    return Ok{};
  }

 private:
  YAML::Node node_;
  std::string where_;
  std::set<std::string> known_;
};

// A YAML value as JSON text, for eni_conf. Quoted scalars stay texts.
std::string to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    std::string out = "{";
    for (const auto& entry : node) {
      if (out.size() > 1) out += ',';
      out += fmt::format("\"{}\":{}", entry.first.Scalar(), to_json(entry.second));
    }
    return out + "}";
  }
  if (node.IsSequence()) {
    std::string out = "[";
    for (const YAML::Node& item : node) {
      if (out.size() > 1) out += ',';
      out += to_json(item);
    }
    return out + "]";
  }
  double number = 0;
  bool boolean = false;
  if (node.Tag() != "!" && YAML::convert<double>::decode(node, number)) return node.Scalar();
  if (node.Tag() != "!" && YAML::convert<bool>::decode(node, boolean)) {
    return boolean ? "true" : "false";
  }
  std::string out = "\"";
  for (const char c : node.Scalar()) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

Result<> read_vswitches(Section& root, Topology& topology) {
  return root.each("vswitches", [&](Section& section) -> Result<> {
    VSwitchSpec spec;
    spec.name = TRY(section.text("name", std::nullopt));
    spec.zone = TRY(section.text("zone", "cn-lab-a"));
    const auto cidr = TRY(section.prefix("cidr", net::Family::V4));
    if (!cidr) return invalid(fmt::format("{} is missing", section.at("cidr")));
    spec.cidr = *cidr;
    spec.ipv6_cidr = TRY(section.prefix("ipv6_cidr", net::Family::V6));
    if (topology.find_vswitch(spec.name) != nullptr) {
      return invalid(fmt::format("{}: {} is there twice", section.at("name"), spec.name));
    }
    topology.vswitches.push_back(std::move(spec));
    return Ok{};
  });
}

Result<> read_nodes(Section& root, Topology& topology) {
  return root.each("nodes", [&](Section& section) -> Result<> {
    NodeTopology node;
    node.name = TRY(section.text("name", fmt::format("node-{}", topology.nodes.size() + 1)));
    node.instance_type = TRY(section.text("instance_type", "ecs.g7.xlarge"));
    node.vswitch = TRY(section.text("vswitch", std::nullopt));
    node.pod_vswitches = TRY(section.texts("pod_vswitches"));
    node.pods = TRY(section.number("pods", 4, 0, 5000));
    const std::string mode = TRY(section.text("mode", "veth"));
    const auto known = model::network_mode_from(mode);
    if (!known) {
      return invalid(
          fmt::format("{} is {}, allowed are veth, ipvlan, exclusive", section.at("mode"), mode));
    }
    node.mode = *known;
    topology.nodes.push_back(std::move(node));
    return Ok{};
  });
}

Result<> read_outside(Section& root, Topology& topology) {
  return root.each("outside", [&](Section& section) -> Result<> {
    OutsideHost host;
    host.name = TRY(section.text("name", fmt::format("outside-{}", topology.outside.size() + 1)));
    host.vswitch = TRY(section.text("vswitch", std::nullopt));
    topology.outside.push_back(std::move(host));
    return Ok{};
  });
}

Result<> check_vswitch(const Topology& topology, const std::string& who, const std::string& name) {
  if (topology.find_vswitch(name) != nullptr) return Ok{};
  std::string allowed;
  for (const VSwitchSpec& spec : topology.vswitches) {
    allowed += (allowed.empty() ? "" : ", ") + spec.name;
  }
  return invalid(fmt::format("{} is in vSwitch {}, there are: {}", who, name, allowed));
}

// What no single section can see: references, overlaps, names used twice.
Result<> check_whole(const Topology& topology) {
  std::set<std::string> names;
  for (const VSwitchSpec& a : topology.vswitches) {
    if (!topology.vpc_cidr.contains(a.cidr)) {
      return invalid(fmt::format("vSwitch {} ({}) lies outside the VPC ({})", a.name,
                                 a.cidr.to_string(), topology.vpc_cidr.to_string()));
    }
    for (const VSwitchSpec& b : topology.vswitches) {
      if (&a != &b && a.cidr.overlaps(b.cidr)) {
        return invalid(fmt::format("vSwitches {} and {} overlap", a.name, b.name));
      }
    }
    if (topology.stack != IpStack::V4 && !a.ipv6_cidr) {
      return invalid(fmt::format("ip_stack is {}, but vSwitch {} has no ipv6_cidr",
                                 to_string(topology.stack), a.name));
    }
  }
  if (topology.nodes.empty()) return invalid("nodes is empty: a lab needs one node at least");
  for (const NodeTopology& node : topology.nodes) {
    TRY(check_vswitch(topology, node.name, node.vswitch));
    for (const std::string& name : node.pod_vswitches) {
      TRY(check_vswitch(topology, node.name, name));
    }
    if (!names.insert(node.name).second) {
      return invalid(fmt::format("the name {} is there twice", node.name));
    }
  }
  for (const OutsideHost& host : topology.outside) {
    TRY(check_vswitch(topology, host.name, host.vswitch));
    if (!names.insert(host.name).second) {
      return invalid(fmt::format("the name {} is there twice", host.name));
    }
  }
  return Ok{};
}

Result<IpStack> read_stack(Section& root) {
  const std::string text = TRY(root.text("ip_stack", "ipv4"));
  if (text == "ipv4") return IpStack::V4;
  if (text == "ipv6") return IpStack::V6;
  if (text == "dual") return IpStack::Dual;
  return invalid(fmt::format("ip_stack is {}, allowed are ipv4, ipv6, dual", text));
}

Result<> read_cloud(Section& root, Topology& topology) {
  const YAML::Node cloud = root.take("cloud");
  if (!cloud.IsDefined()) return Ok{};
  if (!cloud.IsMap()) return invalid("cloud must be a mapping of settings");
  for (const auto& entry : cloud) {
    topology.cloud[entry.first.Scalar()] = to_json(entry.second);
  }
  return Ok{};
}

Result<Topology> read_topology(const YAML::Node& document) {
  Section root(document, "");
  TRY(root.check_is_map());
  Topology topology;
  const auto vpc = TRY(root.prefix("vpc_cidr", net::Family::V4));
  topology.vpc_cidr = vpc.value_or(*net::Prefix::parse("192.168.0.0/16"));
  topology.vpc_ipv6_cidr = TRY(root.prefix("vpc_ipv6_cidr", net::Family::V6));
  const auto service = TRY(root.prefix("service_cidr", net::Family::V4));
  topology.service_cidr = service.value_or(*net::Prefix::parse("172.21.0.0/20"));
  topology.stack = TRY(read_stack(root));
  topology.mtu = TRY(root.number("mtu", 1500, 1280, 8500));
  TRY(read_vswitches(root, topology));
  TRY(read_nodes(root, topology));
  TRY(read_outside(root, topology));
  TRY(read_cloud(root, topology));
  const YAML::Node eni_conf = root.take("eni_conf");
  if (eni_conf.IsDefined()) {
    if (!eni_conf.IsMap()) return invalid("eni_conf must be a mapping of keys");
    topology.eni_conf = to_json(eni_conf);
  }
  TRY(root.check_nothing_left());
  TRY(check_whole(topology));
  return topology;
}

}  // namespace

std::string_view to_string(IpStack stack) {
  switch (stack) {
    case IpStack::V4:
      return "ipv4";
    case IpStack::V6:
      return "ipv6";
    case IpStack::Dual:
      return "dual";
  }
  return "ipv4";
}

const VSwitchSpec* Topology::find_vswitch(const std::string& name) const {
  const auto found = std::find_if(vswitches.begin(), vswitches.end(),
                                  [&](const VSwitchSpec& spec) { return spec.name == name; });
  return found == vswitches.end() ? nullptr : &*found;
}

Topology default_topology() {
  Topology topology;
  topology.vpc_cidr = *net::Prefix::parse("192.168.0.0/16");
  topology.service_cidr = *net::Prefix::parse("172.21.0.0/20");
  topology.vswitches = {
      {"nodes", "cn-lab-a", *net::Prefix::parse("192.168.0.0/19"), std::nullopt},
      {"pods", "cn-lab-a", *net::Prefix::parse("192.168.32.0/19"), std::nullopt},
  };
  for (const char* name : {"node-1", "node-2", "node-3"}) {
    topology.nodes.push_back({name, "ecs.g7.xlarge", "nodes", {"pods"}, 4});
  }
  topology.outside = {{"outside-1", "nodes"}};
  return topology;
}

Result<Topology> parse_topology(std::string_view yaml) {
  try {
    return read_topology(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& e) {
    return invalid(e.what());
  }
}

Result<Topology> load_topology(const std::filesystem::path& path) {
  const std::string text = TRY(read_file(path));
  return TRY_WITHIN(path.native(), parse_topology(text));
}

}  // namespace terway::lab
