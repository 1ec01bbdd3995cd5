// SPDX-License-Identifier: Apache-2.0
// The JSON of the network configuration, key by key. Private to this folder.
#pragma once

#include "cni/keys.h"
#include "cni/request.h"

namespace terway::cni {

// Fills config, runtime, previous and valid_attachments. `document` is an object whose cniVersion
// is known to be one of ours already.
void read_config(const Json& document, Request& request, Problems& problems);

}  // namespace terway::cni
