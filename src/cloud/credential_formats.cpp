// SPDX-License-Identifier: Apache-2.0
// The texts in which credentials come.
#include <fmt/core.h>
#include <openssl/evp.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cloud/credentials.h"
#include "cloud/wall_time.h"

namespace terway::cloud {
namespace {

using json = nlohmann::json;

Result<std::string> text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string() ||
      found->get_ref<const std::string&>().empty()) {
    return Error(Error::Kind::Internal, fmt::format("credentials: {} is missing", name));
  }
  return found->get<std::string>();
}

Result<json> object_of(std::string_view text) {
  json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) {
    return Error(Error::Kind::Internal, "credentials: not a JSON object");
  }
  return parsed;
}

Result<WallTime> expiry_of(const json& object, const char* name) {
  const std::string text = TRY(text_of(object, name));
  const auto time = parse_time(text);
  if (!time) {
    return Error(
        Error::Kind::Internal,
        fmt::format("credentials: {} \"{}\" is not a time like 2006-01-02T15:04:05Z", name, text));
  }
  return *time;
}

std::optional<std::string> decode_base64(const std::string& text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  // EVP_DecodeBlock counts the padding as zero bytes.
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

const EVP_CIPHER* cipher_for(std::size_t key_size) {
  if (key_size == 16) return EVP_aes_128_cbc();
  if (key_size == 24) return EVP_aes_192_cbc();
  if (key_size == 32) return EVP_aes_256_cbc();
  return nullptr;
}

// nullopt where it does not decrypt.
std::optional<std::string> decrypt(const std::string& base64, const std::string& key) {
  constexpr std::size_t kBlock = 16;
  const EVP_CIPHER* cipher = cipher_for(key.size());
  const auto data = decode_base64(base64);
  if (!data || data->size() < 2 * kBlock || data->size() % kBlock != 0) return std::nullopt;
  const auto* bytes = reinterpret_cast<const unsigned char*>(data->data());
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  std::string plain(data->size(), '\0');
  auto* out = reinterpret_cast<unsigned char*>(plain.data());
  int size = 0;
  int rest = 0;
  if (EVP_DecryptInit_ex(context.get(), cipher, nullptr,
                         reinterpret_cast<const unsigned char*>(key.data()), bytes) != 1 ||
      EVP_DecryptUpdate(context.get(), out, &size, bytes + kBlock,
                        static_cast<int>(data->size() - kBlock)) != 1 ||
      EVP_DecryptFinal_ex(context.get(), out + size, &rest) != 1) {
    return std::nullopt;
  }
  plain.resize(static_cast<std::size_t>(size) + static_cast<std::size_t>(rest));
  return plain;
}

}  // namespace

Result<Credentials> parse_role_credentials(std::string_view text) {
  const json object = TRY(object_of(text));
  if (const auto code = object.find("Code"); code != object.end() && *code != "Success") {
    return Error(Error::Kind::Denied,
                 fmt::format("the metadata service answers Code {}", code->dump()));
  }
  Credentials credentials;
  credentials.access_key_id = TRY(text_of(object, "AccessKeyId"));
  credentials.access_key_secret = TRY(text_of(object, "AccessKeySecret"));
  credentials.security_token = TRY(text_of(object, "SecurityToken"));
  credentials.expires = TRY(expiry_of(object, "Expiration"));
  return credentials;
}

Result<Credentials> parse_encrypted_credentials(std::string_view text) {
  const json object = TRY(object_of(text));
  const std::string key = TRY(text_of(object, "keyring"));
  if (cipher_for(key.size()) == nullptr) {
    return Error(
        Error::Kind::Invalid,
        fmt::format("credentials: keyring has {} bytes; an AES key has 16, 24 or 32", key.size()));
  }
  const auto decrypted = [&](const char* name) -> Result<std::string> {
    auto plain = decrypt(TRY(text_of(object, name)), key);
    if (!plain) {
      return Error(Error::Kind::Invalid,
                   fmt::format("credentials: {} does not decrypt with the file's keyring", name));
    }
    return std::move(*plain);
  };
  Credentials credentials;
  credentials.access_key_id = TRY(decrypted("access.key.id"));
  credentials.access_key_secret = TRY(decrypted("access.key.secret"));
  credentials.security_token = TRY(decrypted("security.token"));
  credentials.expires = TRY(expiry_of(object, "expiration"));
  return credentials;
}

}  // namespace terway::cloud
