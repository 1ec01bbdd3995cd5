// SPDX-License-Identifier: Apache-2.0
// Boost.Asio's sockets as client and server use them: one type for TCP and unix sockets alike.
#pragma once

#include <fcntl.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstring>

namespace terway::http {

namespace asio = boost::asio;
using boost::system::error_code;

using Executor = asio::io_context::executor_type;
using Protocol = asio::generic::stream_protocol;
using Socket = asio::basic_stream_socket<Protocol, Executor>;
using Acceptor = asio::basic_socket_acceptor<Protocol, Executor>;

// Asio opens and accepts sockets without SOCK_CLOEXEC.
inline void close_on_exec(int fd) { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

// Of an endpoint whose family is IPv4 or IPv6.
inline asio::ip::tcp::endpoint tcp_endpoint(const Protocol::endpoint& any) {
  asio::ip::tcp::endpoint endpoint;
  endpoint.resize(any.size());
  std::memcpy(endpoint.data(), any.data(), any.size());
  return endpoint;
}

}  // namespace terway::http
