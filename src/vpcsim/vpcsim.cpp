// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/vpcsim.h"

#include <fmt/core.h>

#include "http/server.h"
#include "vpcsim/certificates.h"
#include "vpcsim/openapi.h"
#include "vpcsim/service_host.h"

namespace terway::vpcsim {

namespace {

// Calls that a fault delays hold a thread each.
constexpr std::size_t kApiThreads = 64;

Result<> set_up(Region& region, const Config& config, Clock& clock) {
  region.world.settings() = config.settings;
  region.advance(clock.now(), clock.wall());
  for (const Vpc& vpc : config.vpcs) TRY_WITHIN("vpcs", region.world.add_vpc(vpc));
  for (const NewVSwitch& vswitch : config.vswitches) {
    TRY_WITHIN("vswitches", region.world.add_vswitch(vswitch));
  }
  for (const SecurityGroup& group : config.security_groups) {
    TRY_WITHIN("security_groups", region.world.add_security_group(group));
  }
  for (const AccessKey& key : config.access_keys) region.credentials.add(key);
  return Ok{};
}

std::string url_of(std::string_view scheme, const std::string& address, std::uint16_t port) {
  const bool v6 = address.find(':') != std::string::npos;
  return v6 ? fmt::format("{}://[{}]:{}", scheme, address, port)
            : fmt::format("{}://{}:{}", scheme, address, port);
}

}  // namespace

struct VpcSim::State {
  State(Region region, Clock& clock, Plugger& plugger)
      : owner(std::move(region), clock, plugger),
        openapi(owner.ask([](Region& owned) { return std::make_unique<OpenApi>(owned); })),
        metadata(owner.ask([](Region& owned) { return std::make_unique<Metadata>(owned); })),
        listeners(owner, *metadata) {}
  // Listeners go first, for their requests ask the owner.
  ~State() {
    admin_server.reset();
    service_metadata.reset();
    service_api.reset();
    https.reset();
    http.reset();
    listeners.close_all();
  }

  http::Response answer_api(const http::Request& request);
  http::Response answer_metadata(const http::Request& request);
  Result<> listen(const ServeOptions& options);
  Result<> serve_in_vpc(const CertificateFiles& files);

  Owner owner;
  std::unique_ptr<OpenApi> openapi;
  std::unique_ptr<Metadata> metadata;
  MetadataListeners listeners;
  Endpoints endpoints;
  std::unique_ptr<Admin> admin;
  std::unique_ptr<http::Server> http;
  std::unique_ptr<http::Server> https;
  std::unique_ptr<http::Server> admin_server;
  std::unique_ptr<ServiceHost> service_host;
  std::unique_ptr<http::Server> service_api;
  std::unique_ptr<http::Server> service_metadata;
};

http::Response VpcSim::State::answer_api(const http::Request& request) {
  Admission admission = owner.ask([&](Region&) { return openapi->admit(request); });
  if (admission.wait > Duration::zero()) owner.clock().sleep_for(admission.wait);
  if (admission.refusal) return *admission.refusal;
  Performed performed =
      owner.ask([&](Region&) { return openapi->perform(std::move(admission.call)); });
  if (performed.wait > Duration::zero()) owner.clock().sleep_for(performed.wait);
  return performed.response;
}

// Who asks is known by the address it asks from: the fabric lets nobody claim another's.
http::Response VpcSim::State::answer_metadata(const http::Request& request) {
  return owner.ask([&](Region& region) {
    const auto address = net::IpAddress::parse(request.remote_address);
    const Server* server = address ? region.world.find_instance_at(*address) : nullptr;
    return server == nullptr ? http::Response{404, {}, {}}
                             : metadata->answer(server->info.id, request);
  });
}

Result<> VpcSim::State::serve_in_vpc(const CertificateFiles& files) {
  const std::string vpc_id = owner.ask([](Region& region) {
    return region.world.vpcs().empty() ? std::string() : region.world.vpcs().begin()->first;
  });
  service_host = TRY(ServiceHost::open(owner, vpc_id));
  http::Listen at;
  at.address = kApiAddress;
  at.port = 443;
  at.threads = kApiThreads;
  at.certificate_path = files.certificate;
  at.key_path = files.key;
  service_api = TRY(service_host->serve(
      at, [this](const http::Request& request) { return answer_api(request); }));
  http::Listen metadata_at;
  metadata_at.address = kMetadataAddress;
  metadata_at.port = 80;
  service_metadata = TRY(service_host->serve(
      metadata_at, [this](const http::Request& request) { return answer_metadata(request); }));
  return Ok{};
}

Result<> VpcSim::State::listen(const ServeOptions& options) {
  const auto handler = [this](const http::Request& request) { return answer_api(request); };
  if (options.http) {
    http::Listen at;
    at.address = options.http->address;
    at.port = options.http->port;
    at.threads = kApiThreads;
    http = TRY(http::Server::start(at, handler));
    endpoints.http = url_of("http", at.address, http->port());
  }
  if (options.https) {
    std::vector<std::string> hosts = options.tls_hosts;
    hosts.insert(hosts.end(), {"localhost", "127.0.0.1", "::1", options.https->address});
    const CertificateFiles files = TRY(prepare_certificates(options.tls_directory, hosts));
    http::Listen at;
    at.address = options.https->address;
    at.port = options.https->port;
    at.threads = kApiThreads;
    at.certificate_path = files.certificate;
    at.key_path = files.key;
    https = TRY(http::Server::start(at, handler));
    endpoints.https = url_of("https", at.address, https->port());
    endpoints.ca_path = std::filesystem::absolute(files.ca);
  }
  if (options.services) {
    const CertificateFiles files =
        TRY(prepare_certificates(options.tls_directory, {std::string(kApiAddress)}));
    TRY(serve_in_vpc(files));
  }
  admin = std::make_unique<Admin>(owner, listeners, endpoints);
  if (!options.admin_path.empty()) {
    http::Listen at;
    at.unix_path = options.admin_path;
    admin_server = TRY(http::Server::start(
        at, [this](const http::Request& request) { return admin->answer(request); }));
  }
  return Ok{};
}

VpcSim::VpcSim(std::unique_ptr<State> state) : state_(std::move(state)) {}
VpcSim::~VpcSim() = default;

const Endpoints& VpcSim::endpoints() const { return state_->endpoints; }
Owner& VpcSim::owner() { return state_->owner; }

Result<std::unique_ptr<VpcSim>> VpcSim::start(const Config& config, const ServeOptions& options,
                                              Clock& clock, Plugger& plugger, Random random) {
  Region region(config.region, random);
  TRY_WITHIN("configuration", set_up(region, config, clock));
  auto state = std::make_unique<State>(std::move(region), clock, plugger);
  TRY(state->listen(options));
  return std::unique_ptr<VpcSim>(new VpcSim(std::move(state)));
}

}  // namespace terway::vpcsim
