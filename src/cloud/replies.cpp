// SPDX-License-Identifier: Apache-2.0
#include "cloud/replies.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cloud/error_codes.h"

namespace terway::cloud {
namespace {

using json = nlohmann::json;

// One object of a reply, and the words to say where it was.
class Fields {
 public:
  Fields(const json& object, std::string_view action) : object_(object), action_(action) {}

  Error missing(std::string_view name, std::string_view wanted) const {
    return Error(Error::Kind::Internal,
                 fmt::format("{}: the reply's {} is missing or not {}", action_, name, wanted));
  }

  // null stands for "not there", as the API uses it.
  const json* find(std::string_view name) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  // Empty where it is not there.
  std::string text_or_empty(std::string_view name) const {
    const json* value = find(name);
    return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
  }
  Result<std::string> text(std::string_view name) const {
    std::string value = text_or_empty(name);
    if (value.empty()) return missing(name, "a text");
    return value;
  }
  std::optional<std::uint64_t> number(std::string_view name) const {
    const json* value = find(name);
    if (value == nullptr || !value->is_number_integer()) return std::nullopt;
    if (!value->is_number_unsigned() && value->get<std::int64_t>() < 0) return std::nullopt;
    return value->get<std::uint64_t>();
  }
  std::uint32_t small_or(std::string_view name, std::uint32_t otherwise) const {
    const auto value = number(name);
    return value && *value <= UINT32_MAX ? static_cast<std::uint32_t>(*value) : otherwise;
  }
  Result<std::uint32_t> small(std::string_view name) const {
    const auto value = number(name);
    if (!value || *value > UINT32_MAX) return missing(name, "a number");
    return static_cast<std::uint32_t>(*value);
  }
  double real_or_zero(std::string_view name) const {
    const json* value = find(name);
    return value != nullptr && value->is_number() ? value->get<double>() : 0;
  }
  bool truth(std::string_view name) const {
    const json* value = find(name);
    return value != nullptr && value->is_boolean() && value->get<bool>();
  }
  Fields inner(std::string_view name) const {
    static const json kEmpty = json::object();
    const json* value = find(name);
    return {value == nullptr ? kEmpty : *value, action_};
  }
  // The API wraps lists: {"Tags": {"Tag": […]}}. Empty where either is not there.
  std::vector<Fields> list(std::string_view wrapper, std::string_view name) const {
    std::vector<Fields> items;
    const Fields outer = inner(wrapper);
    const json* array = outer.find(name);
    if (array == nullptr || !array->is_array()) return items;
    for (const json& item : *array) items.emplace_back(item, action_);
    return items;
  }
  std::vector<std::string> texts(std::string_view wrapper, std::string_view name) const {
    std::vector<std::string> values;
    for (const Fields& item : list(wrapper, name)) {
      if (item.object_.is_string()) values.push_back(item.object_.get<std::string>());
    }
    return values;
  }
  template <class T>
  Result<T> parsed(std::string_view name, std::string_view wanted) const {
    const auto value = T::parse(text_or_empty(name));
    if (!value) return missing(name, wanted);
    return *value;
  }
  Result<std::vector<net::IpAddress>> addresses(std::string_view wrapper,
                                                std::string_view name) const {
    std::vector<net::IpAddress> parsed;
    for (const std::string& item : texts(wrapper, name)) {
      const auto address = net::IpAddress::parse(item);
      if (!address) return missing(name, "a list of addresses");
      parsed.push_back(*address);
    }
    return parsed;
  }

 private:
  const json& object_;
  std::string_view action_;
};

Result<json> parse_object(std::string_view action, std::string_view body) {
  json parsed = json::parse(body, nullptr, false);
  if (!parsed.is_object()) {
    return Error(Error::Kind::Internal, fmt::format("{}: the reply is not a JSON object: \"{}\"",
                                                    action, body.substr(0, 100)));
  }
  return parsed;
}

Result<> read_ipv4(const Fields& fields, model::Eni& eni) {
  const std::string primary = fields.text_or_empty("PrivateIpAddress");
  if (!primary.empty()) {
    eni.primary_address = TRY(fields.parsed<net::IpAddress>("PrivateIpAddress", "an IPv4 address"));
  }
  for (const Fields& item : fields.list("PrivateIpSets", "PrivateIpSet")) {
    const auto address = TRY(item.parsed<net::IpAddress>("PrivateIpAddress", "an IPv4 address"));
    const bool is_primary = item.truth("Primary") || address == eni.primary_address;
    if (is_primary) eni.primary_address = address;
    eni.ipv4.insert(is_primary ? eni.ipv4.begin() : eni.ipv4.end(), address);
  }
  if (eni.ipv4.empty() && !primary.empty()) eni.ipv4.push_back(eni.primary_address);
  return Ok{};
}

Result<> read_prefixes(const Fields& fields, model::Eni& eni) {
  for (const Fields& item : fields.list("Ipv4PrefixSets", "Ipv4PrefixSet")) {
    eni.ipv4_prefixes.push_back(TRY(item.parsed<net::Prefix>("Ipv4Prefix", "a prefix")));
  }
  for (const Fields& item : fields.list("Ipv6PrefixSets", "Ipv6PrefixSet")) {
    eni.ipv6_prefixes.push_back(TRY(item.parsed<net::Prefix>("Ipv6Prefix", "a prefix")));
  }
  return Ok{};
}

// What both CreateNetworkInterface and DescribeNetworkInterfaces tell of an ENI.
Result<model::Eni> read_eni(const Fields& fields) {
  model::Eni eni;
  eni.id = TRY(fields.text("NetworkInterfaceId"));
  eni.type = model::eni_type_from(fields.text_or_empty("Type"));
  eni.status = model::eni_status_from(fields.text_or_empty("Status"));
  if (fields.find("MacAddress") != nullptr) {
    eni.mac = TRY(fields.parsed<net::Mac>("MacAddress", "a MAC address"));
  }
  eni.vswitch_id = fields.text_or_empty("VSwitchId");
  eni.vpc_id = fields.text_or_empty("VpcId");
  eni.zone_id = fields.text_or_empty("ZoneId");
  eni.instance_id = fields.text_or_empty("InstanceId");
  eni.description = fields.text_or_empty("Description");
  eni.creation_time = fields.text_or_empty("CreationTime");
  eni.security_group_ids = fields.texts("SecurityGroupIds", "SecurityGroupId");
  TRY(read_ipv4(fields, eni));
  for (const Fields& item : fields.list("Ipv6Sets", "Ipv6Set")) {
    eni.ipv6.push_back(TRY(item.parsed<net::IpAddress>("Ipv6Address", "an IPv6 address")));
  }
  TRY(read_prefixes(fields, eni));
  for (const Fields& item : fields.list("Tags", "Tag")) {
    const std::string key = item.text_or_empty("TagKey");
    if (!key.empty()) eni.tags[key] = item.text_or_empty("TagValue");
  }
  return eni;
}

Result<model::InstanceType> read_instance_type(const Fields& fields) {
  model::InstanceType type;
  type.id = TRY(fields.text("InstanceTypeId"));
  type.eni_quantity = TRY(fields.small("EniQuantity"));
  type.eni_total_quantity = std::max(fields.small_or("EniTotalQuantity", 0), type.eni_quantity);
  type.ipv4_per_eni = TRY(fields.small("EniPrivateIpAddressQuantity"));
  type.ipv6_per_eni = fields.small_or("EniIpv6AddressQuantity", 0);
  type.trunk_supported = fields.truth("EniTrunkSupported");
  type.cpu_cores = fields.small_or("CpuCoreCount", 0);
  type.memory_gib = fields.real_or_zero("MemorySize");
  return type;
}

Result<model::Instance> read_instance(const Fields& fields) {
  model::Instance instance;
  instance.id = TRY(fields.text("InstanceId"));
  instance.type = TRY(fields.text("InstanceType"));
  instance.zone_id = fields.text_or_empty("ZoneId");
  const Fields vpc = fields.inner("VpcAttributes");
  instance.vpc_id = vpc.text_or_empty("VpcId");
  instance.vswitch_id = vpc.text_or_empty("VSwitchId");
  instance.security_group_ids = fields.texts("SecurityGroupIds", "SecurityGroupId");
  const auto addresses = TRY(vpc.addresses("PrivateIpAddress", "IpAddress"));
  if (!addresses.empty()) instance.primary_address = addresses.front();
  for (const Fields& item : fields.list("NetworkInterfaces", "NetworkInterface")) {
    if (item.text_or_empty("Type") != "Primary") continue;
    instance.primary_eni_id = item.text_or_empty("NetworkInterfaceId");
    if (item.find("PrimaryIpAddress") != nullptr) {
      instance.primary_address =
          TRY(item.parsed<net::IpAddress>("PrimaryIpAddress", "an IPv4 address"));
    }
  }
  return instance;
}

Result<model::VSwitch> read_vswitch(const Fields& fields) {
  model::VSwitch vswitch;
  vswitch.id = TRY(fields.text("VSwitchId"));
  vswitch.vpc_id = fields.text_or_empty("VpcId");
  vswitch.zone_id = TRY(fields.text("ZoneId"));
  vswitch.cidr = TRY(fields.parsed<net::Prefix>("CidrBlock", "a CIDR block"));
  if (!fields.text_or_empty("Ipv6CidrBlock").empty()) {
    vswitch.ipv6_cidr = TRY(fields.parsed<net::Prefix>("Ipv6CidrBlock", "a CIDR block"));
  }
  const auto available = fields.number("AvailableIpAddressCount");
  if (!available) return fields.missing("AvailableIpAddressCount", "a number");
  vswitch.available_addresses = *available;
  return vswitch;
}

// A list is always there, even when it is empty: a reply without it is not what was asked for.
template <class T>
Result<Page<T>> read_page(std::string_view action, std::string_view body, std::string_view wrapper,
                          std::string_view name, Result<T> (*read)(const Fields&)) {
  const json reply = TRY(parse_object(action, body));
  const Fields fields(reply, action);
  const Fields list = fields.inner(wrapper);
  if (const json* array = list.find(name); array == nullptr || !array->is_array()) {
    return fields.missing(fmt::format("{}.{}", wrapper, name), "a list");
  }
  Page<T> page;
  for (const Fields& item : fields.list(wrapper, name)) page.items.push_back(TRY(read(item)));
  page.next_token = fields.text_or_empty("NextToken");
  page.total_count = fields.number("TotalCount").value_or(0);
  return page;
}

}  // namespace

Error parse_failure(std::string_view action, int http_status, std::string_view body) {
  const json reply = json::parse(body, nullptr, false);
  const Fields fields(reply, action);
  std::string code = fields.text_or_empty("Code");
  if (code.empty()) {
    const auto kind = http_status >= 500 ? Error::Kind::Unavailable : Error::Kind::Internal;
    return Error(kind, fmt::format("{}: HTTP {}, not an answer of the OpenAPI: \"{}\"", action,
                                   http_status, body.substr(0, 100)));
  }
  Error error(meaning_of(code, http_status).kind,
              fmt::format("{}: {}", action, fields.text_or_empty("Message")));
  return std::move(error).with_code(std::move(code), fields.text_or_empty("RequestId"));
}

Result<model::Eni> parse_created_eni(std::string_view body) {
  static constexpr std::string_view kAction = "CreateNetworkInterface";
  const json reply = TRY(parse_object(kAction, body));
  return read_eni(Fields(reply, kAction));
}

Result<Page<model::Eni>> parse_enis(std::string_view body) {
  return read_page<model::Eni>("DescribeNetworkInterfaces", body, "NetworkInterfaceSets",
                               "NetworkInterfaceSet",
                               [](const Fields& fields) -> Result<model::Eni> {
                                 for (const char* name : {"Status", "MacAddress"}) {
                                   if (fields.text_or_empty(name).empty())
                                     return fields.missing(name, "a text");
                                 }
                                 return read_eni(fields);
                               });
}

Result<std::vector<net::IpAddress>> parse_assigned_ipv4(std::string_view body) {
  static constexpr std::string_view kAction = "AssignPrivateIpAddresses";
  const json reply = TRY(parse_object(kAction, body));
  const Fields set = Fields(reply, kAction).inner("AssignedPrivateIpAddressesSet");
  auto addresses = TRY(set.addresses("PrivateIpSet", "PrivateIpAddress"));
  if (addresses.empty()) {
    return set.missing("AssignedPrivateIpAddressesSet.PrivateIpSet.PrivateIpAddress",
                       "a list of addresses");
  }
  return addresses;
}

Result<std::vector<net::IpAddress>> parse_assigned_ipv6(std::string_view body) {
  static constexpr std::string_view kAction = "AssignIpv6Addresses";
  const json reply = TRY(parse_object(kAction, body));
  const Fields fields(reply, kAction);
  auto addresses = TRY(fields.addresses("Ipv6Sets", "Ipv6Address"));
  if (addresses.empty()) return fields.missing("Ipv6Sets.Ipv6Address", "a list of addresses");
  return addresses;
}

Result<Page<model::InstanceType>> parse_instance_types(std::string_view body) {
  return read_page("DescribeInstanceTypes", body, "InstanceTypes", "InstanceType",
                   read_instance_type);
}

Result<Page<model::Instance>> parse_instances(std::string_view body) {
  return read_page("DescribeInstances", body, "Instances", "Instance", read_instance);
}

Result<Page<model::VSwitch>> parse_vswitches(std::string_view body) {
  return read_page("DescribeVSwitches", body, "VSwitches", "VSwitch", read_vswitch);
}

}  // namespace terway::cloud
