// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/metadata_listeners.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <thread>

#include "base/fd.h"

namespace terway::vpcsim {

namespace {

using Started = Result<std::unique_ptr<http::Server>>;

// A thread of its own enters the namespace; the server's threads inherit it.
Started start_in(const std::string& netns_path, const http::Listen& listen, http::Handler handler) {
  if (netns_path.empty()) return http::Server::start(listen, std::move(handler));
  const UniqueFd netns(::open(netns_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns) return Error::from_errno(errno, netns_path);
  Started started = Error(Error::Kind::Internal, "not started");
  std::thread([&] {
    started = ::setns(netns.get(), CLONE_NEWNET) == 0
                  ? http::Server::start(listen, std::move(handler))
                  : Started(Error::from_errno(errno, "enter " + netns_path));
  }).join();
  return started;
}

}  // namespace

MetadataListeners::MetadataListeners(Owner& owner, Metadata& metadata)
    : owner_(owner), metadata_(metadata) {
  servers_.send({});
}

Result<std::uint16_t> MetadataListeners::open(const std::string& instance_id,
                                              const MetadataListen& wanted) {
  http::Listen listen;
  listen.address = wanted.address;
  listen.port = wanted.port;
  listen.threads = 2;
  auto server = TRY_WITHIN(
      "metadata of " + instance_id,
      start_in(wanted.netns_path, listen, [this, instance_id](const http::Request& request) {
        return owner_.ask([&](Region&) { return metadata_.answer(instance_id, request); });
      }));
  const std::uint16_t port = server->port();
  Servers servers = *servers_.receive();
  std::swap(servers[instance_id], server);
  servers_.send(std::move(servers));
  return port;
}

void MetadataListeners::close(const std::string& instance_id) {
  Servers servers = *servers_.receive();
  const auto closing = servers.extract(instance_id);
  servers_.send(std::move(servers));
}

void MetadataListeners::close_all() {
  const Servers closing = *servers_.receive();
  servers_.send({});
}

}  // namespace terway::vpcsim
