// SPDX-License-Identifier: Apache-2.0
// OpenSSL between two memory buffers: the socket itself is only touched by SocketStream, so that
// deadlines hold and a closed peer raises no SIGPIPE.
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>

#include "http/stream.h"
#include "net/address.h"

namespace terway::http {
namespace {

std::string openssl_errors() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    char buffer[256];
    ERR_error_string_n(code, buffer, sizeof buffer);
    if (!text.empty()) text += "; ";
    text += buffer;
  }
  return text.empty() ? "no reason given" : text;
}

class TlsStream final : public Stream {
 public:
  TlsStream(SSL_CTX* context, SocketStream& socket)
      : socket_(socket),
        ssl_(SSL_new(context)),
        in_(BIO_new(BIO_s_mem())),
        out_(BIO_new(BIO_s_mem())) {
    VERIFY(ssl_ && in_ && out_);
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_, in_, out_);
  }
  ~TlsStream() override {
    // Say goodbye if that costs no waiting; most errors here only mean that the peer left first.
    if (SSL_is_init_finished(ssl_) && !failed_) {
      ERR_clear_error();
      SSL_shutdown(ssl_);
      if (!flush(Instant{}).ok()) ERR_clear_error();
    }
    SSL_free(ssl_);
  }
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  SSL* ssl() { return ssl_; }

  Result<> handshake(Instant deadline) {
    const int done = TRY(run([this] { return SSL_do_handshake(ssl_); }, deadline));
    if (done <= 0) {
      failed_ = true;
      return Error(Error::Kind::Unavailable, "TLS handshake: the peer closed the connection");
    }
    return Ok{};
  }

  Result<std::size_t> read(char* into, std::size_t size, Instant deadline) override {
    const int bounded = static_cast<int>(std::min<std::size_t>(size, 1 << 20));
    const int got = TRY(run([&] { return SSL_read(ssl_, into, bounded); }, deadline));
    return static_cast<std::size_t>(std::max(got, 0));
  }

  Result<> write(std::string_view data, Instant deadline) override {
    while (!data.empty()) {
      const int bounded = static_cast<int>(std::min<std::size_t>(data.size(), 1 << 20));
      const int sent = TRY(run([&] { return SSL_write(ssl_, data.data(), bounded); }, deadline));
      if (sent <= 0) return Error(Error::Kind::Unavailable, "connection lost (closed by the peer)");
      data.remove_prefix(static_cast<std::size_t>(sent));
    }
    return Ok{};
  }

  bool buffered() const override { return SSL_pending(ssl_) > 0 || BIO_ctrl_pending(in_) > 0; }

 private:
  Result<> flush(Instant deadline) {
    char buffer[16384];
    int size = 0;
    while ((size = BIO_read(out_, buffer, sizeof buffer)) > 0) {
      TRY(socket_.write({buffer, static_cast<std::size_t>(size)}, deadline));
    }
    return Ok{};
  }

  // Runs one OpenSSL operation to its end, moving bytes as it asks. 0: the peer has closed.
  template <class Operation>
  Result<int> run(Operation operation, Instant deadline) {
    while (true) {
      ERR_clear_error();
      const int result = operation();
      const int reason = SSL_get_error(ssl_, result);
      const std::string why = reason == SSL_ERROR_SSL ? openssl_errors() : "";
      // Also after a failure: what waits is the alert that tells the peer about it.
      auto flushed = flush(deadline);
      if (reason == SSL_ERROR_SSL || reason == SSL_ERROR_SYSCALL) {
        failed_ = true;
        return Error(Error::Kind::Unavailable, "TLS: " + (why.empty() ? "connection lost" : why));
      }
      if (!flushed.ok()) {
        failed_ = true;
        return flushed.take_error();
      }
      if (result > 0) return result;
      if (reason == SSL_ERROR_ZERO_RETURN) return 0;
      if (reason == SSL_ERROR_WANT_READ) {
        char buffer[16384];
        const std::size_t got = TRY(socket_.read(buffer, sizeof buffer, deadline));
        if (got == 0) {
          failed_ = true;
          return 0;
        }
        BIO_write(in_, buffer, static_cast<int>(got));
      }
    }
  }

  SocketStream& socket_;
  SSL* ssl_;
  BIO* in_;   // owned by ssl_
  BIO* out_;  // owned by ssl_
  bool failed_ = false;
};

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::for_server(const std::string& certificate_path,
                                                           const std::string& key_path) {
  SSL_CTX* raw = SSL_CTX_new(TLS_server_method());
  VERIFY(raw);
  std::shared_ptr<TlsContext> context(new TlsContext(raw));
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(raw, certificate_path.c_str()) != 1) {
    return Error(Error::Kind::Invalid,
                 fmt::format("certificate {}: {}", certificate_path, openssl_errors()));
  }
  if (SSL_CTX_use_PrivateKey_file(raw, key_path.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(raw) != 1) {
    return Error(Error::Kind::Invalid, fmt::format("key {}: {}", key_path, openssl_errors()));
  }
  return context;
}

Result<std::shared_ptr<TlsContext>> TlsContext::for_client(const std::string& ca_path) {
  SSL_CTX* raw = SSL_CTX_new(TLS_client_method());
  VERIFY(raw);
  std::shared_ptr<TlsContext> context(new TlsContext(raw));
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  ERR_clear_error();
  if (ca_path.empty()) {
    SSL_CTX_set_default_verify_paths(raw);
  } else if (SSL_CTX_load_verify_file(raw, ca_path.c_str()) != 1) {
    return Error(Error::Kind::Invalid,
                 fmt::format("CA certificates {}: {}", ca_path, openssl_errors()));
  }
  return context;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::unique_ptr<Stream>> TlsContext::accept(SocketStream& socket, Instant deadline) {
  auto stream = std::make_unique<TlsStream>(context_, socket);
  SSL_set_accept_state(stream->ssl());
  TRY(stream->handshake(deadline));
  return std::unique_ptr<Stream>(std::move(stream));
}

Result<std::unique_ptr<Stream>> TlsContext::connect(SocketStream& socket, const std::string& host,
                                                    Instant deadline) {
  auto stream = std::make_unique<TlsStream>(context_, socket);
  SSL* ssl = stream->ssl();
  SSL_set_connect_state(ssl);
  if (net::IpAddress::parse(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl, host.c_str());
    SSL_set1_host(ssl, host.c_str());
  }
  auto done = stream->handshake(deadline);
  if (const long verdict = SSL_get_verify_result(ssl); !done.ok() && verdict != X509_V_OK) {
    return Error(Error::Kind::Denied, fmt::format("the certificate of {} is not trusted: {}", host,
                                                  X509_verify_cert_error_string(verdict)));
  }
  if (!done.ok()) return done.take_error();
  return std::unique_ptr<Stream>(std::move(stream));
}

}  // namespace terway::http
