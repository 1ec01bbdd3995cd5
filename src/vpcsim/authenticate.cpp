// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/authenticate.h"

#include <fmt/core.h>

#include "cloud/signature.h"
#include "cloud/wall_time.h"
#include "vpcsim/api_error.h"
#include "vpcsim/query.h"

namespace terway::vpcsim {

namespace {

constexpr std::string_view kAcs3 = "ACS3-HMAC-SHA256";

Result<> check_time(std::string_view text, WallTime now) {
  const auto time = cloud::parse_time(text);
  if (!time) return api_error("InvalidTimeStamp.Format");
  if (*time < now - kTimeStampTolerance || *time > now + kTimeStampTolerance) {
    return api_error("InvalidTimeStamp.Expired");
  }
  return Ok{};
}

// Without an early way out, as whoever checks a signature should.
bool equal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

Result<Identity> authenticate_rpc(const http::Request& request, const http::Parameters& parameters,
                                  const Credentials& credentials, Nonces& nonces, WallTime now) {
  const Query query(parameters);
  for (const std::string_view name :
       {"AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"}) {
    TRY(query.required(name));
  }
  const std::string signature = query.text("Signature");
  if (signature.empty() || query.text("SignatureMethod") != "HMAC-SHA1" ||
      query.text("SignatureVersion") != "1.0") {
    return api_error("IncompleteSignature");
  }
  TRY(check_time(query.text("Timestamp"), now));
  Identity identity =
      TRY(credentials.find(query.text("AccessKeyId"), query.text("SecurityToken"), now));
  if (!equal(signature, cloud::sign_rpc(parameters, request.method, identity.secret))) {
    return api_error(
        "SignatureDoesNotMatch",
        fmt::format("Specified signature is not matched with our calculation. server string to "
                    "sign is:{}",
                    cloud::rpc_string_to_sign(parameters, request.method)));
  }
  if (!nonces.use(query.text("SignatureNonce"), now)) return api_error("SignatureNonceUsed");
  return identity;
}

Result<Identity> authenticate_acs3(const http::Request& request, const Credentials& credentials,
                                   Nonces& nonces, WallTime now) {
  const auto header = [&](std::string_view name) { return http::header(request.headers, name); };
  const auto authorization = cloud::parse_acs3_authorization(header("authorization"));
  if (!authorization) return api_error("IncompleteSignature");
  for (const std::string_view name : {"x-acs-date", "x-acs-signature-nonce"}) {
    if (!header(name).empty()) continue;
    return api_error("MissingParameter",
                     fmt::format("The header \"{}\" that is mandatory for processing this "
                                 "request is not supplied.",
                                 name));
  }
  TRY(check_time(header("x-acs-date"), now));
  Identity identity =
      TRY(credentials.find(authorization->access_key_id, header("x-acs-security-token"), now));
  // What must be signed is for the server to say, or a client could leave the action out.
  const bool covers = authorization->signed_headers == cloud::acs3_signed_headers(request.headers);
  const bool digest = header("x-acs-content-sha256") == cloud::sha256_hex(request.body);
  if (!covers || !digest ||
      !equal(authorization->signature,
             cloud::sign_acs3(request, authorization->signed_headers, identity.secret))) {
    return api_error(
        "SignatureDoesNotMatch",
        fmt::format("Specified signature is not matched with our calculation. server canonical "
                    "request is:{}",
                    cloud::acs3_canonical_request(request, authorization->signed_headers)));
  }
  if (!nonces.use(std::string(header("x-acs-signature-nonce")), now)) {
    return api_error("SignatureNonceUsed");
  }
  return identity;
}

}  // namespace

bool is_acs3(const http::Request& request) {
  return http::header(request.headers, "authorization").starts_with(kAcs3);
}

Result<Identity> authenticate(const http::Request& request, const http::Parameters& parameters,
                              const Credentials& credentials, Nonces& nonces, WallTime now) {
  return is_acs3(request) ? authenticate_acs3(request, credentials, nonces, now)
                          : authenticate_rpc(request, parameters, credentials, nonces, now);
}

}  // namespace terway::vpcsim
