// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/service_host.h"

#include <fmt/core.h>
#include <sched.h>

#include <cerrno>
#include <thread>

#include "kernel/address.h"
#include "kernel/link.h"
#include "kernel/netns.h"
#include "kernel/route.h"
#include "kernel/socket.h"

namespace terway::vpcsim {

namespace {

constexpr std::string_view kEni = "services";
constexpr std::string_view kNetwork = "100.100.0.0/16";
constexpr std::string_view kMac = "00:16:3e:64:64:c8";

Result<UniqueFd> new_netns() {
  Result<UniqueFd> made = UniqueFd();
  std::thread([&] {
    made = ::unshare(CLONE_NEWNET) == 0
               ? kernel::current_netns()
               : Result<UniqueFd>(Error::from_errno(errno, "make a network namespace"));
  }).join();
  return made;
}

Nic service_nic(const UniqueFd& netns, const std::string& vpc_id) {
  Nic nic;
  nic.eni_id = kEni;
  nic.mac = *net::Mac::parse(kMac);
  nic.netns_path = fmt::format("/proc/self/fd/{}", netns.get());
  nic.ifname = "eth0";
  nic.vpc_id = vpc_id;
  nic.vswitch_cidr = *net::Prefix::parse(kNetwork);
  nic.gateway = model::gateway_of(nic.vswitch_cidr);
  nic.addresses = {*net::IpAddress::parse(kMetadataAddress), *net::IpAddress::parse(kApiAddress)};
  return nic;
}

Result<> configure(const UniqueFd& netns, const Nic& nic) {
  kernel::Socket socket = TRY(kernel::Socket::open_in(netns.get(), kernel::Protocol::Route));
  kernel::LinkChange up;
  up.up = true;
  TRY(socket.request(kernel::change_link("lo", up)));
  const auto links = TRY(kernel::find_links(socket, nic.mac));
  if (links.empty()) return Error(Error::Kind::Internal, "the services' NIC is not there");
  TRY(socket.request(kernel::change_link(links.front().ifindex, up)));
  for (const net::IpAddress& address : nic.addresses) {
    TRY(socket.request(kernel::add_address(links.front().ifindex, net::Prefix::host(address))));
  }
  kernel::Route route;
  route.destination = *net::Prefix::parse("0.0.0.0/0");
  route.oif = links.front().ifindex;
  route.gateway = nic.gateway;
  route.onlink = true;
  return socket.request(kernel::replace_route(route));
}

}  // namespace

Result<std::unique_ptr<ServiceHost>> ServiceHost::open(Owner& owner, const std::string& vpc_id) {
  UniqueFd netns = TRY(new_netns());
  const Nic nic = service_nic(netns, vpc_id);
  TRY_WITHIN("services", owner.ask_fabric([&](Plugger& plugger) { return plugger.plug(nic); }));
  TRY_WITHIN("services", configure(netns, nic));
  return std::unique_ptr<ServiceHost>(new ServiceHost(std::move(netns)));
}

Result<std::unique_ptr<http::Server>> ServiceHost::serve(const http::Listen& listen,
                                                         http::Handler handler) const {
  Result<std::unique_ptr<http::Server>> started = Error(Error::Kind::Internal, "not started");
  // A thread of its own enters the namespace; the server's threads inherit it.
  std::thread([&] {
    auto inside = kernel::InsideNetns::enter(netns_.get());
    started = inside.ok() ? http::Server::start(listen, std::move(handler))
                          : Result<std::unique_ptr<http::Server>>(inside.take_error());
  }).join();
  return started;
}

}  // namespace terway::vpcsim
