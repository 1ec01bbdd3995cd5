// SPDX-License-Identifier: Apache-2.0
// The instance metadata service: what an instance can learn about itself.
// Source: the vendor's page "Instance metadata"; token mode ("security hardening mode") always.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cloud/observer.h"
#include "http/client.h"
#include "net/address.h"

namespace terway::cloud {

struct MetadataSettings {
  std::string url = "http://100.100.100.200";
  Duration timeout = std::chrono::seconds(5);
  Duration token_ttl = std::chrono::hours(6);
  Observer observer;  // may be empty
};

// For one thread. The token is kept and renewed at half its life; one that the service refuses
// is renewed at once. Errors: NotFound (no such value), Denied, Unavailable, Internal (a value of
// another form than documented). One attempt a call. What it says may lag behind the cloud.
class MetadataClient {
 public:
  // The clock must outlive the client.
  MetadataClient(const MetadataSettings& settings, Clock& clock);

  // The text of a value below /latest/meta-data/.
  Result<std::string> get(std::string_view path);

  Result<std::string> instance_id();
  Result<std::string> instance_type();
  Result<std::string> region_id();
  Result<std::string> zone_id();
  Result<std::string> vpc_id();
  Result<std::string> vswitch_id();
  Result<net::Mac> mac();                // of the primary ENI
  Result<std::vector<net::Mac>> macs();  // of all ENIs that the service knows of
  // The name of the instance's RAM role; NotFound where it has none.
  Result<std::string> ram_role();
  // The JSON text of the role's credentials.
  Result<std::string> ram_credentials(std::string_view role);

  // Of one ENI, by its MAC.
  Result<std::string> eni_id(const net::Mac& mac);
  Result<std::string> eni_vswitch_id(const net::Mac& mac);
  Result<net::IpAddress> primary_address(const net::Mac& mac);
  Result<net::IpAddress> netmask(const net::Mac& mac);
  Result<std::vector<net::IpAddress>> private_ipv4s(const net::Mac& mac);
  // Empty where it has none.
  Result<std::vector<net::IpAddress>> ipv6s(const net::Mac& mac);
  Result<net::IpAddress> gateway(const net::Mac& mac);
  Result<std::optional<net::IpAddress>> ipv6_gateway(const net::Mac& mac);
  Result<net::Prefix> vswitch_cidr(const net::Mac& mac);
  Result<std::optional<net::Prefix>> vswitch_ipv6_cidr(const net::Mac& mac);

 private:
  Result<> renew_token();
  Result<std::string> fetch(std::string_view path);
  Result<std::string> of_eni(const net::Mac& mac, std::string_view name);

  MetadataSettings settings_;
  Clock& clock_;
  http::Client client_;
  std::string token_;
  Instant renew_at_{};
};

// "[a,b]" with or without quotes (both forms occur), or a bare list; nullopt where one of them is
// no address.
std::optional<std::vector<net::IpAddress>> parse_address_list(std::string_view text);

}  // namespace terway::cloud
