// SPDX-License-Identifier: Apache-2.0
// The error codes that the simulated API answers, each with the HTTP status and kind that the ECS
// and VPC documentation gives it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace terway::vpcsim {

// An Error with this code. The detail is what documentation writes as %s; empty: the code's own
// sentence. A code that the table lacks is a 400 (a fault may ask for any).
Error api_error(std::string_view code, std::string detail = {});

// The status that goes with an error's code; 500 for an error without one.
int http_status_of(const Error& error);
int http_status_of_code(std::string_view code);

}  // namespace terway::vpcsim
