// SPDX-License-Identifier: Apache-2.0
#include "cloud/client.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "cloud/error_codes.h"
#include "cloud/replies.h"
#include "cloud/signature.h"
#include "cloud/wall_time.h"

namespace terway::cloud {
namespace {

// The vendor's limits of ids in one call.
constexpr std::size_t kEnisPerCall = 100;
constexpr std::size_t kInstancesPerCall = 100;
constexpr std::size_t kInstanceTypesPerCall = 10;
constexpr std::uint64_t kVSwitchesPerPage = 50;

std::string url_of(const std::string& given, std::string_view service, std::string_view region) {
  return given.empty() ? fmt::format("https://{}.{}.aliyuncs.com", service, region) : given;
}

http::Endpoint endpoint_of(const ClientSettings& settings, const std::string& url) {
  http::Endpoint endpoint;
  endpoint.url = url;
  endpoint.ca_path = settings.ca_path;
  endpoint.total_timeout = settings.timeout;
  return endpoint;
}

// "host:port" of a URL: the Host header is signed.
std::string host_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

std::string json_list(const std::vector<std::string>& values) {
  std::string list = "[";
  for (const std::string& value : values) {
    if (list.size() > 1) list += ",";
    list += "\"";
    // Ids have neither quotes nor backslashes; a value that has is no id and must not become two.
    std::copy_if(value.begin(), value.end(), std::back_inserter(list),
                 [](char c) { return c != '"' && c != '\\'; });
    list += "\"";
  }
  return list + "]";
}

// `ids` in pieces of at most `most`; one empty piece where there are none ("all").
std::vector<std::vector<std::string>> in_pieces(const std::vector<std::string>& ids,
                                                std::size_t most) {
  std::vector<std::vector<std::string>> pieces(1);
  for (const std::string& id : ids) {
    if (pieces.back().size() == most) pieces.emplace_back();
    pieces.back().push_back(id);
  }
  return pieces;
}

}  // namespace

ClientSettings ClientSettings::of_region(const std::string& region_id,
                                         const std::string& ecs_endpoint,
                                         const std::string& vpc_endpoint) {
  ClientSettings settings;
  settings.ecs_url = url_of(ecs_endpoint, "ecs", region_id);
  settings.vpc_url = url_of(vpc_endpoint, "vpc", region_id);
  settings.region_id = region_id;
  return settings;
}

Client::Client(ClientSettings settings, CredentialsSource& credentials, RateLimiter& limiter,
               Clock& clock, Random random)
    : settings_(std::move(settings)),
      credentials_(credentials),
      limiter_(limiter),
      clock_(clock),
      random_(std::move(random)),
      ecs_(endpoint_of(settings_, settings_.ecs_url)),
      vpc_(endpoint_of(settings_, settings_.vpc_url)),
      ecs_host_(host_of(settings_.ecs_url)),
      vpc_host_(host_of(settings_.vpc_url)) {}

http::Request Client::signed_request(Service service, std::string_view action,
                                     http::Parameters parameters, const Credentials& credentials) {
  const std::string_view version = service == Service::Ecs ? kEcsVersion : kVpcVersion;
  http::Request request;
  request.method = "POST";
  request.headers["Host"] = service == Service::Ecs ? ecs_host_ : vpc_host_;
  request.headers["Accept"] = "application/json";
  request.headers["User-Agent"] = "terway";
  parameters.insert_or_assign("RegionId", settings_.region_id);
  const std::string now = format_time(clock_.wall());
  if (settings_.signature == SignatureMethod::Classic) {
    parameters["Action"] = action;
    parameters["Version"] = version;
    parameters["Format"] = "JSON";
    parameters["AccessKeyId"] = credentials.access_key_id;
    parameters["SignatureMethod"] = "HMAC-SHA1";
    parameters["SignatureVersion"] = "1.0";
    parameters["SignatureNonce"] = random_.uuid();
    parameters["Timestamp"] = now;
    add(parameters, "SecurityToken", credentials.security_token);
    parameters["Signature"] = sign_rpc(parameters, request.method, credentials.access_key_secret);
    request.query = canonical_query(parameters);
    return request;
  }
  request.query = canonical_query(parameters);
  request.headers["x-acs-action"] = action;
  request.headers["x-acs-version"] = version;
  request.headers["x-acs-date"] = now;
  request.headers["x-acs-signature-nonce"] = random_.uuid();
  request.headers["x-acs-content-sha256"] = sha256_hex(request.body);
  if (!credentials.security_token.empty()) {
    request.headers["x-acs-security-token"] = credentials.security_token;
  }
  const std::string names = acs3_signed_headers(request.headers);
  request.headers["Authorization"] = format_acs3_authorization(
      {credentials.access_key_id, names, sign_acs3(request, names, credentials.access_key_secret)});
  return request;
}

Result<std::string> Client::send(Service service, std::string_view action,
                                 http::Parameters parameters) {
  const Credentials credentials = TRY_WITHIN(action, credentials_.current());
  const http::Request request = signed_request(service, action, std::move(parameters), credentials);
  http::Client& http = service == Service::Ecs ? ecs_ : vpc_;
  http::Response response = TRY_WITHIN(action, http.send(request));
  if (response.status >= 200 && response.status < 300) return std::move(response.body);
  Error error = parse_failure(action, response.status, response.body);
  if (error.kind() == Error::Kind::Throttled) limiter_.throttled(action);
  // Also where permissions are missing: they may come with the next credentials.
  if (error.kind() == Error::Kind::Denied) credentials_.refused(credentials);
  return error;
}

Result<std::string> Client::call(Service service, std::string_view action,
                                 http::Parameters parameters) {
  TRY(limiter_.acquire(action, settings_.max_limit_wait));
  const Instant started = clock_.now();
  auto body = send(service, action, std::move(parameters));
  if (settings_.observer) {
    settings_.observer(action, body.ok() ? std::nullopt : std::optional(body.error().kind()),
                       clock_.now() - started);
  }
  return body;
}

Result<> Client::undo(std::string_view action, http::Parameters parameters) {
  auto body = call(Service::Ecs, action, std::move(parameters));
  if (body.ok() || already_so(body.error())) return Ok{};
  return body.take_error();
}

// Pages by NextToken. `parameters` makes those of the page with a token.
template <class T, class MakeParameters, class Parse>
Result<> Client::collect_pages(std::string_view action, std::vector<T>& into,
                               MakeParameters parameters, Parse parse) {
  std::string token;
  while (true) {
    const std::string body = TRY(call(Service::Ecs, action, parameters(token)));
    auto page = TRY(parse(body));
    std::move(page.items.begin(), page.items.end(), std::back_inserter(into));
    if (page.next_token.empty()) return Ok{};
    if (page.next_token == token) {
      return Error(Error::Kind::Internal,
                   fmt::format("{}: the page after NextToken {} names itself as the next one",
                               action, token));
    }
    token = std::move(page.next_token);
  }
}

Result<model::Eni> Client::create_network_interface(const CreateEni& request) {
  return parse_created_eni(
      TRY(call(Service::Ecs, "CreateNetworkInterface", parameters_of(request))));
}

Result<> Client::attach_network_interface(const std::string& eni_id,
                                          const std::string& instance_id) {
  TRY(call(Service::Ecs, "AttachNetworkInterface",
           {{"NetworkInterfaceId", eni_id}, {"InstanceId", instance_id}}));
  return Ok{};
}

Result<> Client::detach_network_interface(const std::string& eni_id,
                                          const std::string& instance_id) {
  return undo("DetachNetworkInterface",
              {{"NetworkInterfaceId", eni_id}, {"InstanceId", instance_id}});
}

Result<> Client::delete_network_interface(const std::string& eni_id) {
  return undo("DeleteNetworkInterface", {{"NetworkInterfaceId", eni_id}});
}

Result<std::vector<model::Eni>> Client::describe_network_interfaces(const EniFilter& filter) {
  std::vector<model::Eni> enis;
  for (const auto& ids : in_pieces(filter.ids, kEnisPerCall)) {
    TRY(collect_pages(
        "DescribeNetworkInterfaces", enis,
        [&](const std::string& token) { return parameters_of(filter, ids, token); }, parse_enis));
  }
  return enis;
}

Result<std::vector<net::IpAddress>> Client::assign_private_ip_addresses(
    const std::string& eni_id, std::uint32_t count, const std::string& client_token) {
  http::Parameters parameters = {{"NetworkInterfaceId", eni_id},
                                 {"SecondaryPrivateIpAddressCount", std::to_string(count)}};
  add(parameters, "ClientToken", client_token);
  return parse_assigned_ipv4(
      TRY(call(Service::Ecs, "AssignPrivateIpAddresses", std::move(parameters))));
}

Result<> Client::unassign(std::string_view action, std::string_view list, const std::string& eni_id,
                          const std::vector<net::IpAddress>& addresses) {
  if (addresses.empty()) return Ok{};
  http::Parameters parameters = {{"NetworkInterfaceId", eni_id}};
  add_addresses(parameters, list, addresses);
  auto body = call(Service::Ecs, action, std::move(parameters));
  if (body.ok()) return Ok{};
  if (!already_so(body.error())) return body.take_error();
  // One address that is gone already fails the whole request, and the others stay assigned.
  if (addresses.size() == 1 || body.error().code() != "InvalidIp.IpUnassigned") return Ok{};
  for (const net::IpAddress& address : addresses) TRY(unassign(action, list, eni_id, {address}));
  return Ok{};
}

Result<> Client::unassign_private_ip_addresses(const std::string& eni_id,
                                               const std::vector<net::IpAddress>& addresses) {
  return unassign("UnassignPrivateIpAddresses", "PrivateIpAddress", eni_id, addresses);
}

Result<std::vector<net::IpAddress>> Client::assign_ipv6_addresses(const std::string& eni_id,
                                                                  std::uint32_t count,
                                                                  const std::string& client_token) {
  http::Parameters parameters = {{"NetworkInterfaceId", eni_id},
                                 {"Ipv6AddressCount", std::to_string(count)}};
  add(parameters, "ClientToken", client_token);
  return parse_assigned_ipv6(TRY(call(Service::Ecs, "AssignIpv6Addresses", std::move(parameters))));
}

Result<> Client::unassign_ipv6_addresses(const std::string& eni_id,
                                         const std::vector<net::IpAddress>& addresses) {
  return unassign("UnassignIpv6Addresses", "Ipv6Address", eni_id, addresses);
}

Result<std::vector<model::InstanceType>> Client::describe_instance_types(
    const std::vector<std::string>& ids) {
  std::vector<model::InstanceType> types;
  for (const auto& piece : in_pieces(ids, kInstanceTypesPerCall)) {
    TRY(collect_pages(
        "DescribeInstanceTypes", types,
        [&](const std::string& token) {
          http::Parameters parameters;
          add_list(parameters, "InstanceTypes", piece);
          add(parameters, "NextToken", token);
          return parameters;
        },
        parse_instance_types));
  }
  return types;
}

Result<std::vector<model::Instance>> Client::describe_instances(
    const std::vector<std::string>& ids) {
  std::vector<model::Instance> instances;
  for (const auto& piece : in_pieces(ids, kInstancesPerCall)) {
    TRY(collect_pages(
        "DescribeInstances", instances,
        [&](const std::string& token) {
          http::Parameters parameters = {{"MaxResults", std::to_string(kInstancesPerCall)}};
          if (!piece.empty()) parameters["InstanceIds"] = json_list(piece);
          add(parameters, "NextToken", token);
          return parameters;
        },
        parse_instances));
  }
  return instances;
}

Result<std::vector<model::VSwitch>> Client::describe_vswitches(const VSwitchFilter& filter) {
  std::vector<model::VSwitch> vswitches;
  // The API takes one id a call.
  for (const auto& piece : in_pieces(filter.ids, 1)) {
    http::Parameters parameters = {{"PageSize", std::to_string(kVSwitchesPerPage)}};
    add(parameters, "VpcId", filter.vpc_id);
    if (!piece.empty()) parameters["VSwitchId"] = piece.front();
    std::uint64_t seen = 0;
    for (std::uint64_t page_number = 1;; ++page_number) {
      parameters["PageNumber"] = std::to_string(page_number);
      const std::string body = TRY(call(Service::Vpc, "DescribeVSwitches", parameters));
      auto page = TRY(parse_vswitches(body));
      seen += page.items.size();
      std::move(page.items.begin(), page.items.end(), std::back_inserter(vswitches));
      if (page.items.empty() || seen >= page.total_count) break;
    }
  }
  return vswitches;
}

}  // namespace terway::cloud
