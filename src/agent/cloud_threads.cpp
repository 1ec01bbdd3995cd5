// SPDX-License-Identifier: Apache-2.0
#include "agent/cloud_threads.h"

#include <fmt/core.h>

#include <utility>

#include "agent/poller.h"
#include "agent/settings.h"

namespace terway::agent {

namespace {

bool changes_something(ipam::OperationKind kind) {
  return kind != ipam::OperationKind::DescribeEni && kind != ipam::OperationKind::DescribeVSwitch;
}

template <class T>
ipam::Outcome outcome_of(const ipam::Operation& operation, Result<T> result,
                         void (*take)(ipam::Outcome&, T)) {
  ipam::Outcome outcome;
  outcome.operation_id = operation.id;
  if (!result.ok()) {
    outcome.error = result.take_error();
  } else {
    take(outcome, std::move(result).value());
  }
  return outcome;
}

void take_nothing(ipam::Outcome&, Ok) {}
void take_eni(ipam::Outcome& outcome, model::Eni eni) { outcome.eni = std::move(eni); }
void take_addresses(ipam::Outcome& outcome, std::vector<net::IpAddress> addresses) {
  outcome.addresses = std::move(addresses);
}
void take_vswitch(ipam::Outcome& outcome, model::VSwitch vswitch) {
  outcome.vswitch = std::move(vswitch);
}

Result<model::Eni> create(cloud::Client& client, const CloudContext& context,
                          const ipam::Operation& operation) {
  cloud::CreateEni request;
  request.vswitch_id = operation.vswitch_id;
  request.security_group_ids = context.security_groups;
  request.secondary_ipv4_count = operation.ipv4_count > 0 ? operation.ipv4_count - 1 : 0;
  request.ipv6_count = operation.ipv6_count;
  request.tags =
      tags_of_new_eni(context.config, context.identity, context.node, operation.client_token);
  request.resource_group_id = context.config.resource_group_id;
  request.client_token = operation.client_token;
  return client.create_network_interface(request);
}

Result<model::Eni> describe(cloud::Client& client, const ipam::Operation& operation) {
  cloud::EniFilter filter;
  if (operation.eni_id.empty()) {
    filter.tags = {{kCreationTag, operation.client_token}};
  } else {
    filter.ids = {operation.eni_id};
  }
  auto enis = TRY(client.describe_network_interfaces(filter));
  if (enis.empty()) {
    return Error(Error::Kind::NotFound,
                 operation.eni_id.empty()
                     ? fmt::format("no ENI has the tag {}={}", kCreationTag, operation.client_token)
                     : fmt::format("no ENI {}", operation.eni_id));
  }
  return std::move(enis.front());
}

Result<model::VSwitch> describe_vswitch(cloud::Client& client, const ipam::Operation& operation) {
  auto found = TRY(client.describe_vswitches({{operation.vswitch_id}, ""}));
  if (found.empty()) {
    return Error(Error::Kind::NotFound, fmt::format("no vSwitch {}", operation.vswitch_id));
  }
  return std::move(found.front());
}

}  // namespace

cloud::ClientSettings client_settings(const config::Config& config, const std::string& region,
                                      cloud::Observer observer) {
  auto settings =
      cloud::ClientSettings::of_region(region, config.ecs_endpoint, config.vpc_endpoint);
  settings.ca_path = config.ca_file;
  settings.observer = std::move(observer);
  return settings;
}

cloud::MetadataSettings metadata_settings(const config::Config& config, Metrics& metrics) {
  cloud::MetadataSettings settings;
  if (!config.metadata_endpoint.empty()) settings.url = config.metadata_endpoint;
  settings.observer = [&metrics](std::string_view path, std::optional<Error::Kind> failure,
                                 Duration took) { metrics.metadata(path, failure, took); };
  return settings;
}

ipam::Outcome carry_out(cloud::Client& client, const CloudContext& context,
                        const ipam::Operation& o) {
  using Kind = ipam::OperationKind;
  const std::string& instance = context.identity.instance.id;
  switch (o.kind) {
    case Kind::CreateEni:
      return outcome_of(o, create(client, context, o), take_eni);
    case Kind::AttachEni:
      return outcome_of(o, client.attach_network_interface(o.eni_id, instance), take_nothing);
    case Kind::DetachEni:
      return outcome_of(o, client.detach_network_interface(o.eni_id, instance), take_nothing);
    case Kind::DeleteEni:
      return outcome_of(o, client.delete_network_interface(o.eni_id), take_nothing);
    case Kind::AssignIpv4:
      return outcome_of(o,
                        client.assign_private_ip_addresses(o.eni_id, o.ipv4_count, o.client_token),
                        take_addresses);
    case Kind::UnassignIpv4:
      return outcome_of(o, client.unassign_private_ip_addresses(o.eni_id, o.addresses),
                        take_nothing);
    case Kind::AssignIpv6:
      return outcome_of(o, client.assign_ipv6_addresses(o.eni_id, o.ipv6_count, o.client_token),
                        take_addresses);
    case Kind::UnassignIpv6:
      return outcome_of(o, client.unassign_ipv6_addresses(o.eni_id, o.addresses), take_nothing);
    case Kind::DescribeEni:
      return outcome_of(o, describe(client, o), take_eni);
    case Kind::DescribeVSwitch:
      return outcome_of(o, describe_vswitch(client, o), take_vswitch);
  }
  return {o.id, Error(Error::Kind::Internal, "no such operation"), {}, {}, {}};
}

CloudThreads::CloudThreads(Options options, Inbox& inbox, Metrics& metrics, Clock& clock,
                           Random& random)
    : options_(std::move(options)), inbox_(inbox), metrics_(metrics), clock_(clock) {
  cloud::CredentialSettings credentials;
  credentials.access_key = options_.config.access_key;
  credentials.access_secret = options_.config.access_secret;
  credentials.credential_path = options_.config.credential_path;
  credentials.metadata = metadata_settings(options_.config, metrics);
  credentials_ = cloud::make_credentials(credentials, clock);

  CloudContext context;
  context.config = options_.config;
  context.node = options_.node;
  context.limiter = std::make_shared<cloud::RateLimiter>(
      clock,
      cloud::RateLimits(options_.config.rate_limits.begin(), options_.config.rate_limits.end()));
  publish(std::move(context));

  for (std::uint32_t i = 0; i < options_.config.api_workers; ++i) {
    threads_.emplace_back([this, own = Random(random.below(~0ULL))]() mutable { work(own); });
  }
  Poller::Parts parts{options_.config,
                      options_.identity,
                      options_.identity_at,
                      *credentials_,
                      context_->limiter,
                      inbox_,
                      metrics_,
                      clock_,
                      poll_orders_};
  threads_.emplace_back([poller = std::make_unique<Poller>(
                             std::move(parts), Random(random.below(~0ULL)))] { poller->run(); });
}

CloudThreads::~CloudThreads() {
  jobs_.close();
  poll_orders_.close();
  for (auto& thread : threads_) thread.join();
}

void CloudThreads::publish(CloudContext context) {
  context_ = std::make_shared<const CloudContext>(std::move(context));
}

void CloudThreads::start(const ipam::Operation& operation) { jobs_.send({operation, context_}); }

void CloudThreads::list_soon() { poll_orders_.send({true, std::nullopt}); }

void CloudThreads::configure(const config::Config& config) {
  CloudContext next = *context_;
  if (next.config.rate_limits != config.rate_limits) {
    next.limiter = std::make_shared<cloud::RateLimiter>(
        clock_, cloud::RateLimits(config.rate_limits.begin(), config.rate_limits.end()));
  }
  next.config = config;
  publish(std::move(next));
  poll_orders_.send({false, PollSettings{config, context_->limiter}});
}

void CloudThreads::identified(const Identity& identity, const std::vector<std::string>& groups) {
  CloudContext next = *context_;
  next.identity = identity;
  next.security_groups = groups;
  publish(std::move(next));
}

void CloudThreads::work(Random random) {
  std::optional<cloud::Client> client;
  std::shared_ptr<cloud::RateLimiter> limiter;  // the one that the client refers to
  while (auto job = jobs_.receive()) {
    if (!client || limiter != job->context->limiter) {
      client.reset();
      limiter = job->context->limiter;
      client.emplace(
          client_settings(job->context->config, job->context->identity.region_id,
                          [this](std::string_view action, std::optional<Error::Kind> failure,
                                 Duration took) { metrics_.openapi(action, failure, took); }),
          *credentials_, *limiter, clock_, Random(random.below(~0ULL)));
    }
    if (jobs_.closed()) return;  // at the end nothing new is begun; the journal has the intent
    // The intent, and the client token with it, must outlive the machine before the cloud acts on
    // it.
    if (changes_something(job->operation.kind) && options_.log_file != nullptr) {
      if (auto synced = options_.log_file->sync(); !synced.ok()) {
        ipam::Outcome outcome;
        outcome.operation_id = job->operation.id;
        outcome.error = Error(Error::Kind::Unavailable, synced.error().message());
        inbox_.send(OutcomeFact{std::move(outcome)});
        continue;
      }
    }
    inbox_.send(OutcomeFact{carry_out(*client, *job->context, job->operation)});
  }
}

}  // namespace terway::agent
