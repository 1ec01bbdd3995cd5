// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/metadata.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "cloud/wall_time.h"

namespace terway::vpcsim {

namespace {

constexpr std::string_view kRoot = "/latest/meta-data/";
constexpr std::string_view kTokenPath = "/latest/api/token";
constexpr std::string_view kMacs = "network/interfaces/macs/";
constexpr std::string_view kRoles = "ram/security-credentials/";

http::Response text(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.headers["Content-Type"] = "text/plain";
  response.body = std::move(body);
  return response;
}

Error not_found(std::string_view path) {
  return Error(Error::Kind::NotFound, fmt::format("there is nothing at {}", path));
}

void note(std::string& faults, const Fault& fault) {
  if (!faults.empty()) faults += ',';
  faults += std::to_string(fault.id);
}

std::string netmask_of(const net::Prefix& cidr) {
  const std::uint32_t bits = cidr.length == 0 ? 0 : ~0U << (32 - cidr.length);
  return net::IpAddress::from_v4(bits).to_string();
}

// ["10.0.0.1","10.0.0.2"]
std::string quoted_list(const std::vector<net::IpAddress>& addresses) {
  std::vector<std::string> parts;
  for (const net::IpAddress& address : addresses) parts.push_back('"' + address.to_string() + '"');
  return fmt::format("[{}]", fmt::join(parts, ","));
}

// [2001:db8::1,2001:db8::2]: the service does not quote these.
std::string plain_list(const std::vector<net::IpAddress>& addresses) {
  std::vector<std::string> parts;
  for (const net::IpAddress& address : addresses) parts.push_back(address.to_string());
  return fmt::format("[{}]", fmt::join(parts, ","));
}

// An interface's values, in the order in which they are listed. What does not exist is left out.
std::vector<std::pair<std::string_view, std::string>> values_of(const NicView& nic,
                                                                const Vpc& vpc) {
  std::vector<std::pair<std::string_view, std::string>> values = {
      {"gateway", nic.gateway.to_string()},
      {"netmask", netmask_of(nic.vswitch_cidr)},
      {"network-interface-id", nic.eni.id},
      {"primary-ip-address", nic.eni.primary_address.to_string()},
      {"private-ipv4s", quoted_list(nic.eni.ipv4)},
      {"vpc-cidr-block", vpc.cidr.to_string()},
      {"vpc-id", nic.eni.vpc_id},
      {"vswitch-cidr-block", nic.vswitch_cidr.to_string()},
      {"vswitch-id", nic.eni.vswitch_id},
  };
  if (!nic.eni.ipv6.empty()) values.emplace_back("ipv6s", plain_list(nic.eni.ipv6));
  if (nic.gateway_ipv6) values.emplace_back("ipv6-gateway", nic.gateway_ipv6->to_string());
  if (nic.vswitch_ipv6_cidr) {
    values.emplace_back("vswitch-ipv6-cidr-block", nic.vswitch_ipv6_cidr->to_string());
  }
  if (vpc.ipv6_cidr) values.emplace_back("vpc-ipv6-cidr-blocks", vpc.ipv6_cidr->to_string());
  return values;
}

NicView phantom_of(const NicView& model) {
  NicView phantom = model;
  phantom.eni.id = "eni-bp1phantom0000000000";
  phantom.eni.type = model::EniType::Secondary;
  phantom.eni.mac = {{0x00, 0x16, 0x3e, 0xff, 0xff, 0xfe}};
  // Right below the reserved ones, where the vSwitch comes last.
  phantom.eni.primary_address = model.gateway;
  phantom.eni.primary_address.bytes[15] =
      static_cast<std::uint8_t>(phantom.eni.primary_address.bytes[15] - 1);
  phantom.eni.ipv4 = {phantom.eni.primary_address};
  phantom.eni.ipv6.clear();
  return phantom;
}

}  // namespace

http::Response Metadata::answer(const std::string& instance_id, const http::Request& request) {
  std::string faults;
  const Server* server = region_.world.find_instance(instance_id);
  http::Response response =
      server == nullptr ? text(404, "no such instance\n") : route(*server, request, faults);
  Call entry;
  entry.time = region_.wall;
  entry.action = "metadata:" + request.path;
  entry.instance = instance_id;
  entry.status = response.status;
  if (response.status != 200) entry.code = std::to_string(response.status);
  entry.faults = std::move(faults);
  region_.calls.record(std::move(entry));
  return response;
}

http::Response Metadata::route(const Server& server, const http::Request& request,
                               std::string& faults) {
  const Occasion occasion{
      .action = "metadata", .instance_ids = {server.info.id}, .eni_id = {}, .vswitch_id = {}};
  if (const auto fault = region_.faults.strike(FaultKind::MetadataError, occasion)) {
    note(faults, *fault);
    return text(fault->status == 0 ? 500 : fault->status, "");
  }
  if (request.path == kTokenPath) {
    if (request.method != "PUT") return text(405, "405 - Method Not Allowed\n");
    return new_token(server.info.id, request);
  }
  if (request.method != "GET" && request.method != "HEAD") {
    return text(405, "405 - Method Not Allowed\n");
  }
  if (!token_is_good(server.info.id, request)) return text(401, "401 - Unauthorized\n");
  if (!request.path.starts_with(kRoot)) return text(404, "404 - Not Found\n");
  auto found = find(server, std::string_view(request.path).substr(kRoot.size()), faults);
  if (!found.ok()) return text(404, "404 - Not Found\n");
  return text(200, std::move(*found));
}

http::Response Metadata::new_token(const std::string& instance_id, const http::Request& request) {
  // Through a proxy no token is given, which is what keeps forged requests out.
  if (!http::header(request.headers, "x-forwarded-for").empty()) {
    return text(403, "403 - Forbidden\n");
  }
  const std::string_view ttl =
      http::header(request.headers, "x-aliyun-ecs-metadata-token-ttl-seconds");
  unsigned seconds = 0;
  const auto [stop, problem] = std::from_chars(ttl.data(), ttl.data() + ttl.size(), seconds);
  if (problem != std::errc() || stop != ttl.data() + ttl.size() || seconds < 1 || seconds > 21600) {
    return text(400, "400 - Missing or Invalid Parameters\n");
  }
  std::erase_if(tokens_, [&](const auto& entry) { return entry.second.expires <= region_.now; });
  std::string token = region_.random.uuid() + region_.random.uuid();
  std::erase(token, '-');
  tokens_[token] = {instance_id, region_.now + std::chrono::seconds(seconds)};
  return text(200, std::move(token));
}

bool Metadata::token_is_good(const std::string& instance_id, const http::Request& request) {
  const std::string_view token = http::header(request.headers, "x-aliyun-ecs-metadata-token");
  if (token.empty()) return !region_.world.settings().metadata_token_required;
  const auto found = tokens_.find(token);
  return found != tokens_.end() && found->second.instance_id == instance_id &&
         found->second.expires > region_.now;
}

NicViews Metadata::nics_as_told(const Server& server, std::string& faults) {
  Occasion occasion{
      .action = "metadata", .instance_ids = {server.info.id}, .eni_id = {}, .vswitch_id = {}};
  Duration lag = region_.world.settings().metadata_lag;
  if (const auto fault = region_.faults.strike(FaultKind::MetadataStale, occasion)) {
    note(faults, *fault);
    lag = std::max(lag, fault->delay);
  }
  NicViews nics = *region_.history.at(server.info.id, region_.now - lag);
  std::vector<std::string> missing;
  for (NicView& nic : nics) {
    const std::string id = nic.eni.id;
    occasion.eni_id = id;
    // A fault that names no ENI is about secondary ones.
    const auto about = [&](FaultKind kind) -> std::optional<Fault> {
      if (nic.eni.type == model::EniType::Primary &&
          !std::ranges::any_of(region_.faults.list(),
                               [&](const Fault& fault) { return fault.eni_id == id; })) {
        return std::nullopt;
      }
      auto fault = region_.faults.strike(kind, occasion);
      if (fault) note(faults, *fault);
      return fault;
    };
    if (const auto fault = about(FaultKind::MetadataMissingAddress)) {
      if (fault->address) {
        std::erase(nic.eni.ipv4, *fault->address);
        std::erase(nic.eni.ipv6, *fault->address);
      } else if (nic.eni.ipv4.size() > 1) {
        nic.eni.ipv4.pop_back();
      }
    }
    if (const auto fault = about(FaultKind::MetadataExtraAddress)) {
      (fault->address->is_v4() ? nic.eni.ipv4 : nic.eni.ipv6).push_back(*fault->address);
    }
    if (about(FaultKind::MetadataMissingEni)) missing.push_back(id);
  }
  std::erase_if(nics, [&](const NicView& nic) {
    return std::ranges::find(missing, nic.eni.id) != missing.end();
  });
  occasion.eni_id = {};
  if (const auto fault = region_.faults.strike(FaultKind::MetadataExtraEni, occasion)) {
    note(faults, *fault);
    if (!nics.empty()) nics.push_back(phantom_of(nics.front()));
  }
  return nics;
}

Result<std::string> Metadata::find(const Server& server, std::string_view path,
                                   std::string& faults) {
  const Vpc& vpc = region_.world.vpcs().find(server.info.vpc_id)->second;
  const Switch* vswitch = region_.world.find_vswitch(server.info.vswitch_id);
  const EniRecord* primary = region_.world.find_eni(server.info.primary_eni_id);
  const std::pair<std::string_view, std::string> values[] = {
      {"hostname", server.name},
      {"instance-id", server.info.id},
      {"instance/instance-type", server.info.type},
      {"mac", primary->eni.mac.to_string()},
      {"network-type", "vpc"},
      {"private-ipv4", server.info.primary_address.to_string()},
      {"region-id", region_.world.region_id()},
      {"vpc-cidr-block", vpc.cidr.to_string()},
      {"vpc-id", server.info.vpc_id},
      {"vswitch-cidr-block", vswitch->info.cidr.to_string()},
      {"vswitch-id", server.info.vswitch_id},
      {"zone-id", server.info.zone_id},
  };
  if (path.empty()) {
    std::string listing;
    for (const auto& [name, value] : values) {
      if (name.find('/') == std::string_view::npos) listing += std::string(name) + "\n";
    }
    return listing + "instance/\nnetwork/\nram/";
  }
  if (path == "instance/") return std::string("instance-type");
  if (path == "network/") return std::string("interfaces/");
  if (path == "network/interfaces/") return std::string("macs/");
  if (path == "ram/") return std::string("security-credentials/");
  if (path.starts_with(kMacs)) return find_nic(server, path.substr(kMacs.size()), faults);
  if (path.starts_with(kRoles)) return find_credentials(server, path.substr(kRoles.size()));
  for (const auto& [name, value] : values) {
    if (name == path) return value;
  }
  return not_found(path);
}

Result<std::string> Metadata::find_nic(const Server& server, std::string_view path,
                                       std::string& faults) {
  const NicViews nics = nics_as_told(server, faults);
  if (path.empty()) {
    std::vector<std::string> macs;
    for (const NicView& nic : nics) macs.push_back(nic.eni.mac.to_string() + "/");
    return fmt::format("{}", fmt::join(macs, "\n"));
  }
  const std::size_t slash = path.find('/');
  const auto mac = net::Mac::parse(path.substr(0, slash));
  const auto nic = std::ranges::find_if(
      nics, [&](const NicView& candidate) { return mac && candidate.eni.mac == *mac; });
  if (nic == nics.end() || slash == std::string_view::npos) return not_found(path);
  const auto values = values_of(*nic, region_.world.vpcs().find(server.info.vpc_id)->second);
  const std::string_view name = path.substr(slash + 1);
  if (name.empty()) {
    std::vector<std::string_view> names;
    for (const auto& [key, value] : values) names.push_back(key);
    return fmt::format("{}", fmt::join(names, "\n"));
  }
  for (const auto& [key, value] : values) {
    if (key == name) return value;
  }
  return not_found(path);
}

Result<std::string> Metadata::find_credentials(const Server& server, std::string_view role) {
  if (server.role_name.empty()) return not_found(kRoles);
  if (role.empty()) return server.role_name;
  if (role != server.role_name) return not_found(role);
  const StsCredential& credential = region_.credentials.issue(
      server.info.id, server.role_name, region_.world.settings().credential_lifetime, region_.wall);
  return fmt::format(
      "{{\n  \"AccessKeyId\" : \"{}\",\n  \"AccessKeySecret\" : \"{}\",\n  \"Expiration\" : "
      "\"{}\",\n  \"SecurityToken\" : \"{}\",\n  \"LastUpdated\" : \"{}\",\n  \"Code\" : "
      "\"Success\"\n}}",
      credential.key.id, credential.key.secret, cloud::format_time(credential.expires),
      credential.security_token, cloud::format_time(credential.issued));
}

}  // namespace terway::vpcsim
