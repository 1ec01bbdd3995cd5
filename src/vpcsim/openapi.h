// SPDX-License-Identifier: Apache-2.0
// The ECS (2014-05-26) and VPC (2016-04-28) OpenAPI in RPC style: one HTTP request in, one answer
// out.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "http/message.h"
#include "vpcsim/region.h"

namespace terway::vpcsim {

// A call that was let in.
struct ApiCall {
  std::string action;
  http::Parameters parameters;  // business parameters, query and form together
  std::string caller_instance;  // whose role signed it; empty for the account's AccessKey
  std::string request_id;
  std::string host;
  std::string faults;  // numbers of those that struck, "1,4"
};

struct Admission {
  std::optional<http::Response> refusal;  // set: this is the answer, nothing was done
  int fault_status = 0;                   // the HTTP status that an error fault asks for
  Duration wait{};                        // what must pass before perform()
  ApiCall call;
};

struct Performed {
  http::Response response;  // status 0: the reply is lost
  Duration wait{};          // what must pass before the answer goes out
};

// Belongs to the owner thread of the region, whose time was told before.
class OpenApi {
 public:
  explicit OpenApi(Region& region) : region_(region) {}

  // Is it a call, does its action exist, who signed it, may it pass: in this order.
  Admission admit(const http::Request& request);
  Performed perform(ApiCall call);

 private:
  Result<> pass(const http::Request& request, Admission& admission);
  static http::Response answer(const ApiCall& call, const Result<std::string>& body);
  void record(const ApiCall& call, const Result<std::string>& body, int status);

  Region& region_;
};

// --- action.cpp

// The version that an action belongs to; empty: there is no such action.
std::string_view version_of(std::string_view action);
// What a fault is matched against.
Occasion occasion_of(const Region& region, const ApiCall& call);
// Does it. The answer is a JSON object without RequestId.
Result<std::string> perform_action(Region& region, ApiCall& call);

}  // namespace terway::vpcsim
