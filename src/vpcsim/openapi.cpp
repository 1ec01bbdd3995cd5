// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/openapi.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

#include "vpcsim/api_error.h"
#include "vpcsim/authenticate.h"
#include "vpcsim/openapi_reply.h"
#include "vpcsim/query.h"

namespace terway::vpcsim {

namespace {

// What differs between two sendings of the same request, or says who sends it.
constexpr std::string_view kUnsigned[] = {
    "AccessKeyId",    "ClientToken",     "Format",    "SecurityToken", "Signature",
    "SignatureNonce", "SignatureMethod", "Timestamp", "SignatureType", "SignatureVersion",
};

std::string fingerprint(const ApiCall& call) {
  std::string text = call.action;
  for (const auto& [name, value] : call.parameters) {
    if (std::ranges::find(kUnsigned, name) != std::end(kUnsigned)) continue;
    text += fmt::format("&{}={}", http::percent_encode(name), http::percent_encode(value));
  }
  return text;
}

std::string new_request_id(Random& random) {
  std::string id = random.uuid();
  for (char& letter : id) letter = static_cast<char>(std::toupper(letter));
  return id;
}

void note(std::string& faults, std::uint64_t id) {
  if (!faults.empty()) faults += ',';
  faults += std::to_string(id);
}

http::Parameters parameters_of(const http::Request& request) {
  http::Parameters all = http::parse_parameters(request.query);
  if (request.method == "POST" && http::header(request.headers, "content-type")
                                      .starts_with("application/x-www-form-urlencoded")) {
    all.merge(http::parse_parameters(request.body));
  }
  return all;
}

}  // namespace

http::Response OpenApi::answer(const ApiCall& call, const Result<std::string>& body) {
  http::Response response;
  response.headers["Content-Type"] = "application/json;charset=utf-8";
  response.headers["x-acs-request-id"] = call.request_id;
  if (body.ok()) {
    const std::string rest = body->size() > 2 ? "," + body->substr(1) : "}";
    response.body = fmt::format(R"({{"RequestId":"{}"{})", call.request_id, rest);
  } else {
    response.status = http_status_of(body.error());
    response.body = error_reply(call.request_id, call.host, body.error());
  }
  return response;
}

void OpenApi::record(const ApiCall& call, const Result<std::string>& body, int status) {
  Call entry;
  entry.time = region_.wall;
  entry.action = call.action;
  entry.instance = call.caller_instance;
  entry.eni = Query(call.parameters).text("NetworkInterfaceId");
  entry.status = status;
  if (!body.ok()) entry.code = body.error().code();
  entry.faults = call.faults;
  entry.request_id = call.request_id;
  region_.calls.record(std::move(entry));
}

Result<> OpenApi::pass(const http::Request& request, Admission& admission) {
  ApiCall& call = admission.call;
  if (request.method != "GET" && request.method != "POST") {
    return api_error("UnsupportedHTTPMethod");
  }
  call.parameters = parameters_of(request);
  const bool acs3 = is_acs3(request);
  call.action = acs3 ? std::string(http::header(request.headers, "x-acs-action"))
                     : Query(call.parameters).text("Action");
  if (call.action.empty()) {
    call.action = "(none)";
    return api_error("MissingParameter",
                     "The input parameter \"Action\" that is mandatory for processing this "
                     "request is not supplied.");
  }
  if (request.path != "/" || version_of(call.action).empty()) {
    return api_error("InvalidAction.NotFound");
  }
  const std::string version = acs3 ? std::string(http::header(request.headers, "x-acs-version"))
                                   : Query(call.parameters).text("Version");
  if (version != version_of(call.action)) return api_error("NoSuchVersion");
  const Identity identity = TRY(
      authenticate(request, call.parameters, region_.credentials, region_.nonces, region_.wall));
  call.caller_instance = identity.instance_id;

  const Occasion occasion = occasion_of(region_, call);
  admission.wait = region_.world.settings().api_latency;
  if (const auto fault = region_.faults.strike(FaultKind::Delay, occasion)) {
    note(call.faults, fault->id);
    admission.wait += fault->delay;
  }
  if (const auto fault = region_.faults.strike(FaultKind::Throttle, occasion)) {
    note(call.faults, fault->id);
    return api_error(fault->code.empty() ? "Throttling.User" : fault->code, fault->message);
  }
  if (const auto fault = region_.faults.strike(FaultKind::Error, occasion)) {
    note(call.faults, fault->id);
    admission.fault_status = fault->status;
    return api_error(fault->code.empty() ? "InternalError" : fault->code, fault->message);
  }
  if (!region_.throttle.admit(region_.world.settings(), call.action, region_.now)) {
    return api_error("Throttling.User");
  }
  return Ok{};
}

Admission OpenApi::admit(const http::Request& request) {
  Admission admission;
  admission.call.request_id = new_request_id(region_.random);
  admission.call.host = std::string(http::header(request.headers, "host"));
  const Result<> passed = pass(request, admission);
  if (!passed.ok()) {
    admission.refusal = answer(admission.call, passed.error());
    if (admission.fault_status != 0) admission.refusal->status = admission.fault_status;
    record(admission.call, passed.error(), admission.refusal->status);
  }
  return admission;
}

Performed OpenApi::perform(ApiCall call) {
  Performed performed;
  const std::string token = Query(call.parameters).text("ClientToken");
  const std::string print = fingerprint(call);
  Result<std::string> body = std::string();
  auto before = token.empty() ? Result<std::optional<std::string>>(std::optional<std::string>())
                              : region_.tokens.find(token, print, region_.now);
  if (!before.ok()) {
    body = before.take_error();
  } else if (*before) {
    body = **before;
  } else if (token.size() > 64) {
    body = api_error("InvalidParameter",
                     "The specified parameter \"ClientToken\" is not valid: at most 64 "
                     "characters.");
  } else {
    body = perform_action(region_, call);
    if (body.ok() && !token.empty()) region_.tokens.remember(token, print, *body, region_.now);
  }
  region_.settle();
  std::optional<Fault> lost;
  if (body.ok()) {
    lost = region_.faults.strike(FaultKind::LostReply, occasion_of(region_, call));
    if (lost) note(call.faults, lost->id);
  }
  performed.response = answer(call, body);
  if (lost) {
    performed.response.status = 0;
    performed.wait = lost->delay;
  }
  record(call, body, performed.response.status);
  return performed;
}

}  // namespace terway::vpcsim
