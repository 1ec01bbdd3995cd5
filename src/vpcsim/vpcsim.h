// SPDX-License-Identifier: Apache-2.0
// The simulated cloud, assembled: the owner's thread, the API on HTTP and HTTPS, the admin API.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "vpcsim/admin.h"
#include "vpcsim/config.h"
#include "vpcsim/plugger.h"

namespace terway::vpcsim {

struct ListenAt {
  std::string address;
  std::uint16_t port = 0;  // 0: any free one
};

struct ServeOptions {
  std::optional<ListenAt> http;
  std::optional<ListenAt> https;
  // Where the CA and the server's certificate are kept; needed for HTTPS.
  std::filesystem::path tls_directory;
  // Names that the certificate is for, besides localhost and the address listened at.
  std::vector<std::string> tls_hosts;
  std::filesystem::path admin_path;  // unix socket; empty: no admin API
  // Also serve inside the first VPC, at the addresses of service_host.h: the API on HTTPS, and the
  // metadata of whichever instance asks. Needs a fabric and tls_directory.
  bool services = false;
};

// Serves from start() until destruction. Clock and plugger outlive it.
class VpcSim {
 public:
  static Result<std::unique_ptr<VpcSim>> start(const Config& config, const ServeOptions& options,
                                               Clock& clock, Plugger& plugger, Random random);
  ~VpcSim();
  VpcSim(const VpcSim&) = delete;
  VpcSim& operator=(const VpcSim&) = delete;

  const Endpoints& endpoints() const;
  Owner& owner();

 private:
  struct State;
  explicit VpcSim(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace terway::vpcsim
