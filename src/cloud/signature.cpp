// SPDX-License-Identifier: Apache-2.0
#include "cloud/signature.h"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>

#include "base/result.h"

namespace terway::cloud {
namespace {

constexpr std::string_view kAlgorithm = "ACS3-HMAC-SHA256";

std::string hmac(const EVP_MD* digest, std::string_view key, std::string_view data) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  VERIFY(HMAC(digest, key.data(), static_cast<int>(key.size()),
              reinterpret_cast<const unsigned char*>(data.data()), data.size(), out, &size));
  return {reinterpret_cast<const char*>(out), size};
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

// "value" of "name=value" at the front of `text`, up to `end`; moves `text` behind it.
std::optional<std::string> take(std::string_view& text, std::string_view name, char end) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  if (!text.starts_with(name)) return std::nullopt;
  text.remove_prefix(name.size());
  const std::size_t size = std::min(text.find(end), text.size());
  std::string value(text.substr(0, size));
  text.remove_prefix(std::min(size + 1, text.size()));
  if (value.empty()) return std::nullopt;
  return value;
}

// The vendor encodes each segment of the path as strictly as a parameter.
std::string canonical_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c == '/') {
      out.push_back(c);
    } else {
      out.append(http::percent_encode({&c, 1}));
    }
  }
  return out;
}

}  // namespace

std::string canonical_query(const http::Parameters& parameters) {
  std::string query;
  for (const auto& [name, value] : parameters) {
    if (!query.empty()) query.push_back('&');
    query.append(http::percent_encode(name)).append("=").append(http::percent_encode(value));
  }
  return query;
}

std::string rpc_string_to_sign(const http::Parameters& parameters, std::string_view method) {
  http::Parameters covered = parameters;
  covered.erase("Signature");
  return fmt::format("{}&{}&{}", method, http::percent_encode("/"),
                     http::percent_encode(canonical_query(covered)));
}

std::string sign_rpc(const http::Parameters& parameters, std::string_view method,
                     std::string_view secret) {
  return base64(
      hmac(EVP_sha1(), std::string(secret) + "&", rpc_string_to_sign(parameters, method)));
}

std::optional<Acs3Authorization> parse_acs3_authorization(std::string_view header) {
  if (!header.starts_with(kAlgorithm)) return std::nullopt;
  header.remove_prefix(kAlgorithm.size());
  auto id = take(header, "Credential=", ',');
  auto names = take(header, "SignedHeaders=", ',');
  auto signature = take(header, "Signature=", ',');
  if (!id || !names || !signature || !header.empty()) return std::nullopt;
  return Acs3Authorization{std::move(*id), std::move(*names), std::move(*signature)};
}

std::string format_acs3_authorization(const Acs3Authorization& authorization) {
  return fmt::format("{} Credential={},SignedHeaders={},Signature={}", kAlgorithm,
                     authorization.access_key_id, authorization.signed_headers,
                     authorization.signature);
}

std::string acs3_signed_headers(const http::Headers& headers) {
  std::string names;
  for (const auto& [name, value] : headers) {  // sorted without case: as lower case would be
    const std::string lowered = lower(name);
    if (lowered != "host" && lowered != "content-type" && !lowered.starts_with("x-acs-")) continue;
    if (!names.empty()) names.push_back(';');
    names.append(lowered);
  }
  return names;
}

std::string acs3_canonical_request(const http::Request& request, std::string_view signed_headers) {
  std::string headers;
  for (std::string_view rest = signed_headers; !rest.empty();) {
    const std::size_t size = std::min(rest.find(';'), rest.size());
    const std::string_view name = rest.substr(0, size);
    headers.append(name).append(":").append(http::header(request.headers, name)).append("\n");
    rest.remove_prefix(std::min(size + 1, rest.size()));
  }
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, canonical_path(request.path),
                     canonical_query(http::parse_parameters(request.query)), headers,
                     signed_headers, sha256_hex(request.body));
}

std::string sign_acs3(const http::Request& request, std::string_view signed_headers,
                      std::string_view secret) {
  const std::string to_sign = fmt::format(
      "{}\n{}", kAlgorithm, sha256_hex(acs3_canonical_request(request, signed_headers)));
  return hex(hmac(EVP_sha256(), secret, to_sign));
}

std::string sha256_hex(std::string_view data) {
  unsigned char out[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), out);
  return hex({reinterpret_cast<const char*>(out), sizeof out});
}

}  // namespace terway::cloud
