// SPDX-License-Identifier: Apache-2.0
// The two ways in which requests to the OpenAPI are signed, both from text to text, so that the
// simulator recomputes with the same functions what a client sent.
//   classic: HMAC-SHA1 over the sorted parameters (RPC style, SignatureVersion 1.0)
//   ACS3:    HMAC-SHA256 over method, path, query, headers and body's digest ("V3")
// Source: the vendor's pages "Request signatures" (RPC) and "V3 request structure and signature".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace terway::cloud {

// Sorted "name=value" pairs, percent-encoded, joined by "&"; part of both signatures.
std::string canonical_query(const http::Parameters& parameters);

// The classic signature. A parameter "Signature" is left out, as it is not part of what is signed.
std::string rpc_string_to_sign(const http::Parameters& parameters, std::string_view method);
std::string sign_rpc(const http::Parameters& parameters, std::string_view method,
                     std::string_view secret);

// The parts of an Authorization header of ACS3.
struct Acs3Authorization {
  std::string access_key_id;
  std::string signed_headers;  // lower case, sorted, joined by ";"
  std::string signature;       // lower-case hex
};
// nullopt where it is of another scheme or malformed.
std::optional<Acs3Authorization> parse_acs3_authorization(std::string_view header);
std::string format_acs3_authorization(const Acs3Authorization& authorization);

// The headers of a request that the signature must cover: host, content-type and every x-acs-*.
std::string acs3_signed_headers(const http::Headers& headers);
// `signed_headers` are the ones to sign: a verifier passes what the Authorization header lists.
std::string acs3_canonical_request(const http::Request& request, std::string_view signed_headers);
std::string sign_acs3(const http::Request& request, std::string_view signed_headers,
                      std::string_view secret);

std::string sha256_hex(std::string_view data);

}  // namespace terway::cloud
