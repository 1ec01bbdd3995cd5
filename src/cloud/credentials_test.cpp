// SPDX-License-Identifier: Apache-2.0
#include "cloud/credentials.h"

#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cloud/wall_time.h"

using namespace terway;
using namespace terway::cloud;
using namespace std::chrono_literals;

namespace {

struct ScratchDirectory {
  std::filesystem::path path;
  ScratchDirectory() {
    char name[] = "/tmp/credentials_test.XXXXXX";
    path = ::mkdtemp(name);
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string write(const char* name, std::string_view content) const {
    std::ofstream(path / name) << content;
    return (path / name).string();
  }
};

// What the add-on manager does: a block of IV, then AES-CBC, all in Base64.
std::string encrypted(std::string_view plain, std::string_view key) {
  std::string data(16, 'i');
  std::string cipher(plain.size() + 32, '\0');
  int size = 0;
  int rest = 0;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex(context, key.size() == 16 ? EVP_aes_128_cbc() : EVP_aes_256_cbc(), nullptr,
                     reinterpret_cast<const unsigned char*>(key.data()),
                     reinterpret_cast<const unsigned char*>(data.data()));
  auto* out = reinterpret_cast<unsigned char*>(cipher.data());
  EVP_EncryptUpdate(context, out, &size, reinterpret_cast<const unsigned char*>(plain.data()),
                    static_cast<int>(plain.size()));
  EVP_EncryptFinal_ex(context, out + size, &rest);
  EVP_CIPHER_CTX_free(context);
  data.append(cipher, 0, static_cast<std::size_t>(size) + static_cast<std::size_t>(rest));
  std::string base64(data.size() * 2 + 4, '\0');
  base64.resize(static_cast<std::size_t>(EVP_EncodeBlock(
      reinterpret_cast<unsigned char*>(base64.data()),
      reinterpret_cast<const unsigned char*>(data.data()), static_cast<int>(data.size()))));
  return base64;
}

std::string encrypted_file(std::string_view key, std::string_view written_key) {
  return "{\"access.key.id\":\"" + encrypted("STS.id", key) + "\",\"access.key.secret\":\"" +
         encrypted("a secret of thirty characters!", key) + "\",\"security.token\":\"" +
         encrypted("token", key) + "\",\"expiration\":\"2026-01-01T00:00:00Z\",\"keyring\":\"" +
         std::string(written_key) + "\"}";
}

}  // namespace

TEST_CASE("a role's credentials are read as the metadata service gives them") {
  const auto read = parse_role_credentials(R"({
    "AccessKeyId": "STS.J8XXXXXXXXXX4", "AccessKeySecret": "9PjfXXXXXXXXXBf2XAW",
    "Expiration": "2017-11-01T05:20:01Z", "SecurityToken": "CAIXXXXXXXXXXXwmBkleCTkyI+",
    "LastUpdated": "2017-10-31T23:20:01Z", "Code": "Success"})");
  REQUIRE(read.ok());
  CHECK(read->access_key_id == "STS.J8XXXXXXXXXX4");
  CHECK(read->security_token == "CAIXXXXXXXXXXXwmBkleCTkyI+");
  CHECK(format_time(*read->expires) == "2017-11-01T05:20:01Z");
  CHECK(parse_role_credentials(R"({"Code": "Failed"})").is(Error::Kind::Denied));
  CHECK(parse_role_credentials(R"({"AccessKeyId": "a"})").is(Error::Kind::Internal));
  CHECK(parse_role_credentials("<html>").is(Error::Kind::Internal));
}

TEST_CASE("the encrypted file is read with the key that is in it") {
  for (const std::string key : {"0123456789abcdef", "0123456789abcdef0123456789abcdef"}) {
    const auto read = parse_encrypted_credentials(encrypted_file(key, key));
    REQUIRE_MESSAGE(read.ok(), (read.ok() ? "" : read.error().to_string()));
    CHECK(read->access_key_id == "STS.id");
    CHECK(read->access_key_secret == "a secret of thirty characters!");
    CHECK(read->security_token == "token");
    CHECK(format_time(*read->expires) == "2026-01-01T00:00:00Z");
  }
  const std::string key = "0123456789abcdef";
  CHECK(parse_encrypted_credentials(encrypted_file(key, "short")).is(Error::Kind::Invalid));
  CHECK(parse_encrypted_credentials(encrypted_file(key, "fedcba9876543210"))
            .is(Error::Kind::Invalid));
  CHECK(parse_encrypted_credentials("{}").is(Error::Kind::Internal));
}

TEST_CASE("credentials are fetched anew well before they expire, and old ones serve meanwhile") {
  ManualClock clock;
  clock.set_wall(*parse_time("2026-01-01T00:00:00Z"));
  int fetched = 0;
  bool broken = false;
  RefreshedCredentials source(
      [&]() -> Result<Credentials> {
        ++fetched;
        if (broken) return Error(Error::Kind::Unavailable, "no route");
        return Credentials{"key" + std::to_string(fetched), "s", "t", clock.wall() + 60min};
      },
      clock, 24h);
  CHECK(source.current()->access_key_id == "key1");
  clock.advance(44min);
  CHECK(source.current()->access_key_id == "key1");
  CHECK(fetched == 1);
  clock.advance(2min);
  CHECK(source.current()->access_key_id == "key2");
  broken = true;
  clock.advance(50min);
  CHECK(source.current()->access_key_id == "key2");
  CHECK(fetched == 3);
  CHECK(source.current()->access_key_id == "key2");
  CHECK(fetched == 3);  // not asked again at once
  clock.advance(11s);
  CHECK(source.current()->access_key_id == "key2");
  CHECK(fetched == 4);
  clock.advance(10min);
  const auto expired = source.current();
  REQUIRE(expired.is(Error::Kind::Unavailable));
  CHECK(expired.error().message() == "credentials: no route");
  broken = false;
  CHECK(source.current()->access_key_id == "key6");
}

TEST_CASE("refused credentials are fetched anew, but not in a loop") {
  ManualClock clock;
  int fetched = 0;
  RefreshedCredentials source(
      [&]() -> Result<Credentials> {
        return Credentials{"key" + std::to_string(++fetched), "s", "", std::nullopt};
      },
      clock, 1h);
  const Credentials first = *source.current();
  source.refused(first);
  CHECK(source.current()->access_key_id == "key1");
  clock.advance(11s);
  CHECK(source.current()->access_key_id == "key2");
  source.refused(first);  // news of yesterday
  clock.advance(11s);
  CHECK(source.current()->access_key_id == "key2");
  clock.advance(1h);
  CHECK(source.current()->access_key_id == "key3");
}

TEST_CASE("while one thread fetches, the others use what there is") {
  ManualClock clock;
  std::atomic<int> fetched = 0;
  std::atomic<bool> release = true;
  RefreshedCredentials source(
      [&]() -> Result<Credentials> {
        const int number = ++fetched;
        while (!release) std::this_thread::yield();
        return Credentials{"key" + std::to_string(number), "s", "t", std::nullopt};
      },
      clock, 1h);
  CHECK(source.current()->access_key_id == "key1");
  clock.advance(1h);
  release = false;
  std::string fetched_id;
  std::thread slow([&] { fetched_id = source.current()->access_key_id; });
  while (fetched < 2) std::this_thread::yield();
  CHECK(source.current()->access_key_id == "key1");
  release = true;
  slow.join();
  CHECK(fetched_id == "key2");
  CHECK(source.current()->access_key_id == "key2");
  CHECK(fetched == 2);
}

TEST_CASE("key files go before a configured key") {
  const ScratchDirectory directory;
  SystemClock clock;
  CredentialSettings settings;
  settings.secret_directory = directory.path.string();
  settings.access_key = "configured";
  settings.access_secret = "secret";
  CHECK(make_credentials(settings, clock)->current()->access_key_id == "configured");
  directory.write("access-key-id", "from file\n");
  directory.write("access-key-secret", "file secret\n");
  const auto source = make_credentials(settings, clock);
  CHECK(source->current()->access_key_id == "from file");
  CHECK(source->current()->access_key_secret == "file secret");
  directory.write("access-key-secret", "\n");
  CHECK(make_credentials(settings, clock)->current().is(Error::Kind::Invalid));
}

TEST_CASE("the encrypted file goes before the RAM role, which is asked where there is none") {
  const ScratchDirectory directory;
  ManualClock clock;
  clock.set_wall(*parse_time("2025-12-31T00:00:00Z"));
  CredentialSettings settings;
  settings.secret_directory.clear();
  settings.metadata.url = "http://127.0.0.1:1";  // nobody is there
  settings.credential_path = (directory.path / "token-config").string();
  const auto source = make_credentials(settings, clock);
  CHECK(source->current().is(Error::Kind::Unavailable));
  const std::string key = "0123456789abcdef";
  directory.write("token-config", encrypted_file(key, key));
  CHECK(source->current()->access_key_id == "STS.id");
}
