// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/certificates.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>

#include "base/file.h"
#include "net/address.h"

namespace terway::vpcsim {

namespace {

template <auto Close>
struct ClosedBy {
  template <class T>
  void operator()(T* pointer) const {
    Close(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, ClosedBy<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, ClosedBy<X509_free>>;
using Bio = std::unique_ptr<BIO, ClosedBy<BIO_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, ClosedBy<X509_EXTENSION_free>>;

constexpr long kTenYears = 10L * 365 * 24 * 3600;

Error openssl_error(std::string_view doing) {
  char text[256] = "unknown";
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  return Error(Error::Kind::Internal, std::string(doing) + ": " + text);
}

std::string pem_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

std::string pem_of(const Key& key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return pem_of(bio.get());
}

std::string pem_of(const Certificate& certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate.get());
  return pem_of(bio.get());
}

bool extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

Result<Certificate> blank(const Key& key, const char* name) {
  Certificate certificate(X509_new());
  unsigned char serial[16];
  if (!certificate || RAND_bytes(serial, sizeof serial) != 1) {
    return openssl_error("make a certificate");
  }
  serial[0] &= 0x7f;  // positive
  std::unique_ptr<BIGNUM, ClosedBy<BN_free>> number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  X509_set_version(certificate.get(), 2);
  // An hour back, for clocks that are a little off.
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kTenYears);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  return certificate;
}

struct Authority {
  Key key;
  Certificate certificate;
};

Result<Authority> make_authority() {
  Authority authority{Key(EVP_EC_gen("P-256")), nullptr};
  if (!authority.key) return openssl_error("make the CA's key");
  authority.certificate = TRY(blank(authority.key, "vpcsim CA"));
  X509* own = authority.certificate.get();
  X509_set_issuer_name(own, X509_get_subject_name(own));
  if (!extend(own, own, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !extend(own, own, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !extend(own, own, NID_subject_key_identifier, "hash") ||
      X509_sign(own, authority.key.get(), EVP_sha256()) == 0) {
    return openssl_error("make the CA's certificate");
  }
  return authority;
}

Result<Authority> read_authority(const std::string& certificate, const std::string& key) {
  const Bio certificate_bio(BIO_new_mem_buf(certificate.data(), int(certificate.size())));
  const Bio key_bio(BIO_new_mem_buf(key.data(), int(key.size())));
  Authority authority;
  authority.certificate.reset(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  authority.key.reset(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  if (!authority.certificate || !authority.key ||
      X509_check_private_key(authority.certificate.get(), authority.key.get()) != 1) {
    return Error(Error::Kind::Invalid, "ca.pem and ca.key are no certificate with its key");
  }
  return authority;
}

Result<Authority> find_authority(const std::filesystem::path& directory) {
  const auto certificate = read_file(directory / "ca.pem");
  if (certificate.ok()) {
    return read_authority(*certificate, TRY(read_file(directory / "ca.key")));
  }
  if (!certificate.is(Error::Kind::NotFound)) return certificate.error();
  Authority authority = TRY(make_authority());
  TRY(replace_file(directory / "ca.key", pem_of(authority.key), 0600));
  TRY(replace_file(directory / "ca.pem", pem_of(authority.certificate)));
  return authority;
}

}  // namespace

Result<CertificateFiles> prepare_certificates(const std::filesystem::path& directory,
                                              const std::vector<std::string>& hosts) {
  std::error_code problem;
  if (std::filesystem::create_directories(directory, problem)) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, problem);
  }
  if (problem) return Error::from_errno(problem.value(), directory.string());
  const Authority authority = TRY_WITHIN(directory.string(), find_authority(directory));

  const Key key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make the server's key");
  const Certificate certificate = TRY(blank(key, "vpcsim"));
  std::string names;
  for (const std::string& host : hosts) {
    if (!names.empty()) names += ',';
    names += (net::IpAddress::parse(host) ? "IP:" : "DNS:") + host;
  }
  X509* issuer = authority.certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer));
  if (!extend(certificate.get(), issuer, NID_basic_constraints, "critical,CA:FALSE") ||
      !extend(certificate.get(), issuer, NID_ext_key_usage, "serverAuth") ||
      !extend(certificate.get(), issuer, NID_subject_alt_name, names) ||
      !extend(certificate.get(), issuer, NID_authority_key_identifier, "keyid") ||
      X509_sign(certificate.get(), authority.key.get(), EVP_sha256()) == 0) {
    return openssl_error("make the server's certificate");
  }
  CertificateFiles files{directory / "ca.pem", directory / "server.pem", directory / "server.key"};
  TRY(replace_file(files.key, pem_of(key), 0600));
  TRY(replace_file(files.certificate, pem_of(certificate)));
  return files;
}

}  // namespace terway::vpcsim
