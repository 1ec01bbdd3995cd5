// SPDX-License-Identifier: Apache-2.0
#include "http/listener.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

namespace terway::http {
namespace {

using Unix = asio::local::stream_protocol;

constexpr int kBacklog = 256;

Result<> remove_stale(asio::io_context& io, const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return Ok{};
    return Error::from_errno(errno, path);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Error(Error::Kind::Exists,
                 fmt::format("unix socket {}: something that is no socket is there", path));
  }
  Unix::socket probe(io);
  error_code error;
  probe.open(Unix(), error);
  // A full queue of a live server is to answer at once, too.
  if (!error) probe.non_blocking(true, error);
  if (error) return Error::from_errno(error.value(), "socket");
  probe.connect(Unix::endpoint(path), error);
  if (error != asio::error::connection_refused) {
    return Error(Error::Kind::Exists,
                 fmt::format("unix socket {}: another process listens on it", path));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Error::from_errno(errno, path);
  return Ok{};
}

}  // namespace

Result<Acceptor> listen_tcp(asio::io_context& io, const std::string& address, std::uint16_t port) {
  error_code error;
  const auto parsed = asio::ip::make_address(address, error);
  if (error) {
    return Error(Error::Kind::Invalid, fmt::format("listen on \"{}\": not an IP address", address));
  }
  const asio::ip::tcp::endpoint endpoint(parsed, port);
  Acceptor acceptor(io);
  acceptor.open(endpoint.protocol(), error);
  if (!error) {
    close_on_exec(acceptor.native_handle());
    acceptor.set_option(Acceptor::reuse_address(true), error);
  }
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (error) {
    return Error::from_errno(error.value(), fmt::format("listen on {} port {}", address, port));
  }
  return acceptor;
}

Result<Acceptor> listen_unix(asio::io_context& io, const std::string& path, unsigned mode) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Error(Error::Kind::Invalid, fmt::format("unix socket {}: the path is too long", path));
  }
  TRY(remove_stale(io, path));
  Acceptor acceptor(io);
  error_code error;
  acceptor.open(Unix(), error);
  if (error) return Error::from_errno(error.value(), "socket");
  close_on_exec(acceptor.native_handle());
  const auto failed = [&path](int error_number) {
    return Error::from_errno(error_number, "unix socket " + path);
  };
  // bind(2) gives the file the mode of the socket's own inode, less the umask (net/unix/af_unix.c,
  // unix_bind_bsd): so there is no moment in which others could connect. The chmod afterwards only
  // gives back what the umask took.
  if (::fchmod(acceptor.native_handle(), mode) != 0) return failed(errno);
  acceptor.bind(Unix::endpoint(path), error);
  if (error) return failed(error.value());
  if (::chmod(path.c_str(), mode) != 0) return failed(errno);
  acceptor.listen(kBacklog, error);
  if (error) return failed(error.value());
  return acceptor;
}

}  // namespace terway::http
