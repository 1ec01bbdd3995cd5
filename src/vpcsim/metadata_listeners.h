// SPDX-License-Identifier: Apache-2.0
// One listener of the metadata service for each instance: through which it came tells whose it is.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/channel.h"
#include "base/result.h"
#include "http/server.h"
#include "vpcsim/metadata.h"
#include "vpcsim/owner.h"

namespace terway::vpcsim {

struct MetadataListen {
  std::string address;      // empty: no listener
  std::uint16_t port = 80;  // 0: any free one
  // The network namespace to listen in; empty: that of this process.
  std::string netns_path;
};

// Any thread may call.
class MetadataListeners {
 public:
  MetadataListeners(Owner& owner, Metadata& metadata);

  // The port. Invalid: no such namespace or address; nothing is changed then.
  Result<std::uint16_t> open(const std::string& instance_id, const MetadataListen& listen);
  // Waits for the requests in progress; what is not open is a success.
  void close(const std::string& instance_id);
  void close_all();

 private:
  using Servers = std::map<std::string, std::unique_ptr<http::Server>>;

  Owner& owner_;
  Metadata& metadata_;
  // The map itself goes round: whoever holds it may change it.
  Channel<Servers> servers_;
};

}  // namespace terway::vpcsim
