// SPDX-License-Identifier: Apache-2.0
// The actions of the ECS and VPC OpenAPI that we use. Each call is attempted once: the loop around
// it belongs to the caller (backoff.h, worth_retrying(), client tokens). A method makes several
// calls where a list has pages or many ids, and for an unassign of which one address is gone
// already.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "cloud/credentials.h"
#include "cloud/observer.h"
#include "cloud/rate_limit.h"
#include "cloud/requests.h"
#include "http/client.h"
#include "model/eni.h"

namespace terway::cloud {

enum class SignatureMethod : std::uint8_t { Acs3, Classic };

struct ClientSettings {
  // Of a region: each service at its public endpoint, or at the one that is given instead.
  static ClientSettings of_region(const std::string& region_id, const std::string& ecs_endpoint,
                                  const std::string& vpc_endpoint);

  std::string ecs_url;  // "https://ecs.cn-hangzhou.aliyuncs.com"
  std::string vpc_url;  // "https://vpc.cn-hangzhou.aliyuncs.com"
  std::string region_id;
  std::string ca_path;  // empty: the system's CAs
  SignatureMethod signature = SignatureMethod::Acs3;
  Duration timeout = std::chrono::seconds(20);
  // The longest wait for the rate limit in one call; beyond it the call is Throttled unasked.
  Duration max_limit_wait = std::chrono::seconds(10);
  Observer observer;  // may be empty
};

// One for each thread; what is shared between clients (limiter, credentials) must outlive them.
// Errors: the kinds of error_codes.h, with code and request id where the cloud answered;
// Unavailable where it did not: then it is not known whether the request was carried out. What
// undoes something (detach, delete, unassign) succeeds when there is nothing to undo.
class Client {
 public:
  Client(ClientSettings settings, CredentialsSource& credentials, RateLimiter& limiter,
         Clock& clock, Random random);

  Result<model::Eni> create_network_interface(const CreateEni& request);
  // Begins it; the ENI is InUse some seconds later.
  Result<> attach_network_interface(const std::string& eni_id, const std::string& instance_id);
  // Begins it; the ENI is Available some seconds later.
  Result<> detach_network_interface(const std::string& eni_id, const std::string& instance_id);
  Result<> delete_network_interface(const std::string& eni_id);
  // All pages.
  Result<std::vector<model::Eni>> describe_network_interfaces(const EniFilter& filter);

  // The new addresses, in no order.
  Result<std::vector<net::IpAddress>> assign_private_ip_addresses(const std::string& eni_id,
                                                                  std::uint32_t count,
                                                                  const std::string& client_token);
  Result<> unassign_private_ip_addresses(const std::string& eni_id,
                                         const std::vector<net::IpAddress>& addresses);
  Result<std::vector<net::IpAddress>> assign_ipv6_addresses(const std::string& eni_id,
                                                            std::uint32_t count,
                                                            const std::string& client_token);
  Result<> unassign_ipv6_addresses(const std::string& eni_id,
                                   const std::vector<net::IpAddress>& addresses);

  // Of these types; all of the region where empty.
  Result<std::vector<model::InstanceType>> describe_instance_types(
      const std::vector<std::string>& ids);
  Result<std::vector<model::Instance>> describe_instances(const std::vector<std::string>& ids);
  // An id that does not exist is simply not in the answer.
  Result<std::vector<model::VSwitch>> describe_vswitches(const VSwitchFilter& filter);

 private:
  enum class Service : std::uint8_t { Ecs, Vpc };
  // The body of a successful reply.
  Result<std::string> call(Service service, std::string_view action, http::Parameters parameters);
  Result<std::string> send(Service service, std::string_view action, http::Parameters parameters);
  Result<> undo(std::string_view action, http::Parameters parameters);
  Result<> unassign(std::string_view action, std::string_view list, const std::string& eni_id,
                    const std::vector<net::IpAddress>& addresses);
  http::Request signed_request(Service service, std::string_view action,
                               http::Parameters parameters, const Credentials& credentials);
  template <class T, class MakeParameters, class Parse>
  Result<> collect_pages(std::string_view action, std::vector<T>& into, MakeParameters parameters,
                         Parse parse);

  ClientSettings settings_;
  CredentialsSource& credentials_;
  RateLimiter& limiter_;
  Clock& clock_;
  Random random_;
  http::Client ecs_;
  http::Client vpc_;
  std::string ecs_host_;
  std::string vpc_host_;
};

}  // namespace terway::cloud
