// SPDX-License-Identifier: Apache-2.0
// Who signed a request of the OpenAPI, by either signature.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"
#include "vpcsim/credentials.h"
#include "vpcsim/nonces.h"

namespace terway::vpcsim {

// Signed in the V3 way, whose action and version are headers.
bool is_acs3(const http::Request& request);

// `parameters` are those of query and form. Checked in this order: time stamp, key and token,
// signature, nonce; a refusal has the documented code.
Result<Identity> authenticate(const http::Request& request, const http::Parameters& parameters,
                              const Credentials& credentials, Nonces& nonces, WallTime now);

}  // namespace terway::vpcsim
