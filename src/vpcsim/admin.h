// SPDX-License-Identifier: Apache-2.0
// The admin API: set the region up, make faults, look inside (docs/formats/vpcsim-admin.md).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "http/message.h"
#include "vpcsim/metadata_listeners.h"
#include "vpcsim/owner.h"

namespace terway::vpcsim {

// Where the other listeners are, as clients need it.
struct Endpoints {
  std::string http;  // "http://127.0.0.1:8080"; empty: none
  std::string https;
  std::string ca_path;
};

// Called by any thread.
class Admin {
 public:
  Admin(Owner& owner, MetadataListeners& listeners, Endpoints endpoints)
      : owner_(owner), listeners_(listeners), endpoints_(std::move(endpoints)) {}

  http::Response answer(const http::Request& request);

 private:
  Owner& owner_;
  MetadataListeners& listeners_;
  const Endpoints endpoints_;
};

}  // namespace terway::vpcsim
