// SPDX-License-Identifier: Apache-2.0
#include "cloud/metadata.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/file.h"

namespace terway::cloud {
namespace {

http::Endpoint endpoint_of(const MetadataSettings& settings) {
  http::Endpoint endpoint;
  endpoint.url = settings.url;
  endpoint.connect_timeout = settings.timeout;
  endpoint.total_timeout = settings.timeout;
  return endpoint;
}

Error status_error(std::string_view path, int status) {
  Error::Kind kind = Error::Kind::Internal;
  if (status == 404) kind = Error::Kind::NotFound;
  if (status == 401 || status == 403) kind = Error::Kind::Denied;
  if (status == 429) kind = Error::Kind::Throttled;
  if (status >= 500) kind = Error::Kind::Unavailable;
  return Error(kind, fmt::format("metadata {}: HTTP {}", path, status));
}

Error form_error(std::string_view path, std::string_view text, std::string_view wanted) {
  return Error(Error::Kind::Internal,
               fmt::format("metadata {}: \"{}\" is not {}", path, text.substr(0, 100), wanted));
}

std::string path_of(const net::Mac& mac, std::string_view name) {
  return fmt::format("network/interfaces/macs/{}/{}", mac.to_string(), name);
}

std::string_view stripped(std::string_view text) {
  static constexpr std::string_view kAround = " \t\r\n\"";
  const std::size_t first = text.find_first_not_of(kAround);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kAround) - first + 1);
}

template <class T>
Result<T> parsed(std::string_view path, const std::string& text, std::string_view wanted) {
  const auto value = T::parse(text);
  if (!value) return form_error(path, text, wanted);
  return *value;
}

// What only some ENIs have: not there, or there and empty.
template <class T>
Result<std::optional<T>> optional(Result<std::string> text, std::string_view path,
                                  std::string_view wanted) {
  if (text.is(Error::Kind::NotFound)) return std::optional<T>();
  if (!text.ok()) return text.take_error();
  if (text->empty()) return std::optional<T>();
  return std::optional<T>(TRY(parsed<T>(path, *text, wanted)));
}

}  // namespace

std::optional<std::vector<net::IpAddress>> parse_address_list(std::string_view text) {
  text = stripped(text);
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  std::vector<net::IpAddress> addresses;
  while (!text.empty()) {
    const std::size_t size = std::min(text.find_first_of(",\n"), text.size());
    const std::string_view item = stripped(text.substr(0, size));
    text.remove_prefix(std::min(size + 1, text.size()));
    if (item.empty()) continue;
    const auto address = net::IpAddress::parse(item);
    if (!address) return std::nullopt;
    addresses.push_back(*address);
  }
  return addresses;
}

MetadataClient::MetadataClient(const MetadataSettings& settings, Clock& clock)
    : settings_(settings), clock_(clock), client_(endpoint_of(settings)) {}

Result<> MetadataClient::renew_token() {
  http::Request request;
  request.method = "PUT";
  request.path = "/latest/api/token";
  request.headers["X-aliyun-ecs-metadata-token-ttl-seconds"] =
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(settings_.token_ttl).count());
  const http::Response response = TRY_WITHIN("metadata api/token", client_.send(request));
  if (response.status != 200) return status_error("api/token", response.status);
  token_ = trimmed(response.body);
  if (token_.empty()) return form_error("api/token", response.body, "a token");
  renew_at_ = clock_.now() + settings_.token_ttl / 2;
  return Ok{};
}

Result<std::string> MetadataClient::fetch(std::string_view path) {
  http::Request request;
  request.path = fmt::format("/latest/meta-data/{}", path);
  // The token may have been revoked before its time (the service restarted): once more with a new
  // one.
  for (const bool last : {false, true}) {
    if (token_.empty() || clock_.now() >= renew_at_) {
      // As long as the old one lives, a failure to renew it is no reason to stop asking.
      auto renewed = renew_token();
      const bool alive = !token_.empty() && clock_.now() < renew_at_ + settings_.token_ttl / 2;
      if (!renewed.ok() && !alive) return renewed.take_error();
    }
    request.headers["X-aliyun-ecs-metadata-token"] = token_;
    http::Response response = TRY_WITHIN(fmt::format("metadata {}", path), client_.send(request));
    if (response.status == 200) return std::string(trimmed(response.body));
    if (last || (response.status != 401 && response.status != 403)) {
      return status_error(path, response.status);
    }
    token_.clear();
  }
  return status_error(path, 401);
}

Result<std::string> MetadataClient::get(std::string_view path) {
  const Instant started = clock_.now();
  auto text = fetch(path);
  if (settings_.observer) {
    settings_.observer(path, text.ok() ? std::nullopt : std::optional(text.error().kind()),
                       clock_.now() - started);
  }
  return text;
}

Result<std::string> MetadataClient::instance_id() { return get("instance-id"); }
Result<std::string> MetadataClient::instance_type() { return get("instance/instance-type"); }
Result<std::string> MetadataClient::region_id() { return get("region-id"); }
Result<std::string> MetadataClient::zone_id() { return get("zone-id"); }
Result<std::string> MetadataClient::vpc_id() { return get("vpc-id"); }
Result<std::string> MetadataClient::vswitch_id() { return get("vswitch-id"); }

Result<net::Mac> MetadataClient::mac() {
  return parsed<net::Mac>("mac", TRY(get("mac")), "a MAC address");
}

Result<std::vector<net::Mac>> MetadataClient::macs() {
  static constexpr std::string_view kPath = "network/interfaces/macs/";
  const std::string listing = TRY(get(kPath));
  std::vector<net::Mac> macs;
  for (std::string_view rest = listing; !rest.empty();) {
    const std::size_t size = std::min(rest.find('\n'), rest.size());
    std::string_view line = stripped(rest.substr(0, size));
    rest.remove_prefix(std::min(size + 1, rest.size()));
    if (line.ends_with('/')) line.remove_suffix(1);
    if (!line.empty()) {
      macs.push_back(TRY(parsed<net::Mac>(kPath, std::string(line), "a MAC address")));
    }
  }
  return macs;
}

Result<std::string> MetadataClient::ram_role() {
  const std::string listing = TRY(get("ram/security-credentials/"));
  const std::string role(stripped(listing.substr(0, listing.find('\n'))));
  if (role.empty()) return Error(Error::Kind::NotFound, "the instance has no RAM role");
  return role;
}

Result<std::string> MetadataClient::ram_credentials(std::string_view role) {
  return get(fmt::format("ram/security-credentials/{}", role));
}

Result<std::string> MetadataClient::of_eni(const net::Mac& mac, std::string_view name) {
  return get(path_of(mac, name));
}

Result<std::string> MetadataClient::eni_id(const net::Mac& mac) {
  return of_eni(mac, "network-interface-id");
}
Result<std::string> MetadataClient::eni_vswitch_id(const net::Mac& mac) {
  return of_eni(mac, "vswitch-id");
}

Result<net::IpAddress> MetadataClient::primary_address(const net::Mac& mac) {
  const std::string text = TRY(of_eni(mac, "primary-ip-address"));
  return parsed<net::IpAddress>(path_of(mac, "primary-ip-address"), text, "an address");
}

Result<net::IpAddress> MetadataClient::netmask(const net::Mac& mac) {
  return parsed<net::IpAddress>(path_of(mac, "netmask"), TRY(of_eni(mac, "netmask")), "a netmask");
}

Result<std::vector<net::IpAddress>> MetadataClient::private_ipv4s(const net::Mac& mac) {
  const std::string text = TRY(of_eni(mac, "private-ipv4s"));
  auto addresses = parse_address_list(text);
  if (!addresses) return form_error(path_of(mac, "private-ipv4s"), text, "a list of addresses");
  return std::move(*addresses);
}

Result<std::vector<net::IpAddress>> MetadataClient::ipv6s(const net::Mac& mac) {
  auto text = of_eni(mac, "ipv6s");
  if (text.is(Error::Kind::NotFound)) return std::vector<net::IpAddress>();
  if (!text.ok()) return text.take_error();
  auto addresses = parse_address_list(*text);
  if (!addresses) return form_error(path_of(mac, "ipv6s"), *text, "a list of addresses");
  return std::move(*addresses);
}

Result<net::IpAddress> MetadataClient::gateway(const net::Mac& mac) {
  return parsed<net::IpAddress>(path_of(mac, "gateway"), TRY(of_eni(mac, "gateway")), "an address");
}

Result<std::optional<net::IpAddress>> MetadataClient::ipv6_gateway(const net::Mac& mac) {
  return optional<net::IpAddress>(of_eni(mac, "ipv6-gateway"), path_of(mac, "ipv6-gateway"),
                                  "an address");
}

Result<net::Prefix> MetadataClient::vswitch_cidr(const net::Mac& mac) {
  return parsed<net::Prefix>(path_of(mac, "vswitch-cidr-block"),
                             TRY(of_eni(mac, "vswitch-cidr-block")), "a CIDR block");
}

Result<std::optional<net::Prefix>> MetadataClient::vswitch_ipv6_cidr(const net::Mac& mac) {
  return optional<net::Prefix>(of_eni(mac, "vswitch-ipv6-cidr-block"),
                               path_of(mac, "vswitch-ipv6-cidr-block"), "a CIDR block");
}

}  // namespace terway::cloud
