// SPDX-License-Identifier: Apache-2.0
// Bytes over a connected socket, plain or TLS, each operation bounded by a deadline.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

struct ssl_ctx_st;

namespace terway::http {

// Now, on the clock that deadlines are told by.
Instant now();

// For one thread at a time. Errors are Unavailable: timed out, or the connection is lost.
class Stream {
 public:
  virtual ~Stream() = default;
  // At least one byte; 0 when the peer has closed.
  virtual Result<std::size_t> read(char* into, std::size_t size, Instant deadline) = 0;
  virtual Result<> write(std::string_view data, Instant deadline) = 0;
  // Bytes have been received that read() would return without asking the socket.
  virtual bool buffered() const = 0;
};

// A non-blocking connected socket. Where `stop_fd` is not -1, a read that would have to wait ends
// as soon as that descriptor is readable.
class SocketStream final : public Stream {
 public:
  explicit SocketStream(UniqueFd socket, int stop_fd = -1);

  Result<std::size_t> read(char* into, std::size_t size, Instant deadline) override;
  Result<> write(std::string_view data, Instant deadline) override;
  bool buffered() const override { return false; }

  int fd() const { return socket_.get(); }
  // Nothing to read and not closed: a kept connection that can carry another request.
  bool idle() const;

 private:
  Result<> wait(short events, Instant deadline);

  UniqueFd socket_;
  int stop_fd_;
};

// Certificates and settings of TLS, for many connections; may be shared between threads.
class TlsContext {
 public:
  // `certificate` is a chain of PEM blocks, the server's own first. Invalid names the file.
  static Result<std::shared_ptr<TlsContext>> for_server(const std::string& certificate_path,
                                                        const std::string& key_path);
  // With an empty ca_path the system's CAs are trusted.
  static Result<std::shared_ptr<TlsContext>> for_client(const std::string& ca_path);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Does the handshake on `socket`, which must outlive the stream.
  Result<std::unique_ptr<Stream>> accept(SocketStream& socket, Instant deadline);
  // `host` is the name or address that the peer's certificate must be for; Denied when it is not
  // or is not trusted.
  Result<std::unique_ptr<Stream>> connect(SocketStream& socket, const std::string& host,
                                          Instant deadline);

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

}  // namespace terway::http
