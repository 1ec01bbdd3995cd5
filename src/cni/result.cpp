// SPDX-License-Identifier: Apache-2.0
#include "cni/result.h"

#include "cni/json.h"

namespace terway::cni {

namespace {

std::string interface_json(const Interface& interface, Version version) {
  JsonObject object;
  object.text("name", interface.name);
  if (!interface.mac.empty()) object.text("mac", interface.mac);
  if (version >= Version::V110) {
    if (interface.mtu != 0) object.number("mtu", interface.mtu);
    if (!interface.socket_path.empty()) object.text("socketPath", interface.socket_path);
    if (!interface.pci_id.empty()) object.text("pciID", interface.pci_id);
  }
  if (!interface.sandbox.empty()) object.text("sandbox", interface.sandbox);
  return std::move(object).finish();
}

std::string ip_json(const IpConfig& ip, Version version) {
  JsonObject object;
  if (version < Version::V100) {
    object.text("version", ip.address.family() == net::Family::V4 ? "4" : "6");
  }
  if (ip.interface) object.number("interface", *ip.interface);
  object.text("address", ip.address.to_string());
  if (ip.gateway) object.text("gateway", ip.gateway->to_string());
  return std::move(object).finish();
}

std::string route_json(const RouteConfig& route, Version version) {
  JsonObject object;
  object.text("dst", route.destination.to_string());
  if (route.gateway) object.text("gw", route.gateway->to_string());
  if (version >= Version::V110) {
    if (route.mtu != 0) object.number("mtu", route.mtu);
    if (route.advmss != 0) object.number("advmss", route.advmss);
    if (route.priority != 0) object.number("priority", route.priority);
    if (route.table) object.number("table", *route.table);
    if (route.scope) object.number("scope", *route.scope);
  }
  return std::move(object).finish();
}

std::string dns_json(const Dns& dns) {
  JsonObject object;
  if (!dns.nameservers.empty()) object.raw("nameservers", json_texts(dns.nameservers));
  if (!dns.domain.empty()) object.text("domain", dns.domain);
  if (!dns.search.empty()) object.raw("search", json_texts(dns.search));
  if (!dns.options.empty()) object.raw("options", json_texts(dns.options));
  return std::move(object).finish();
}

template <class Part, class Write>
std::string list_json(const std::vector<Part>& parts, Write write) {
  std::vector<std::string> values;
  values.reserve(parts.size());
  for (const Part& part : parts) values.push_back(write(part));
  return json_array(values);
}

}  // namespace

std::string to_json(const AddResult& result, Version version) {
  JsonObject object;
  object.text("cniVersion", to_string(version));
  object.raw("interfaces", list_json(result.interfaces, [&](const Interface& interface) {
               return interface_json(interface, version);
             }));
  object.raw("ips",
             list_json(result.ips, [&](const IpConfig& ip) { return ip_json(ip, version); }));
  object.raw("routes", list_json(result.routes, [&](const RouteConfig& route) {
               return route_json(route, version);
             }));
  object.raw("dns", dns_json(result.dns));
  return std::move(object).finish();
}

AddResult appended(AddResult earlier, const AddResult& ours) {
  const auto shift = static_cast<std::uint32_t>(earlier.interfaces.size());
  earlier.interfaces.insert(earlier.interfaces.end(), ours.interfaces.begin(),
                            ours.interfaces.end());
  for (IpConfig ip : ours.ips) {
    if (ip.interface) *ip.interface += shift;
    earlier.ips.push_back(ip);
  }
  earlier.routes.insert(earlier.routes.end(), ours.routes.begin(), ours.routes.end());
  if (!ours.dns.empty()) earlier.dns = ours.dns;
  return earlier;
}

}  // namespace terway::cni
