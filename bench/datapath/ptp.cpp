// SPDX-License-Identifier: Apache-2.0
// The CNI project's reference: one veth a pod, routed, no policy.
#include <fmt/core.h>

#include "bench/cni/calls.h"
#include "kernel/address.h"
#include "kernel/link.h"
#include "kernel/route.h"
#include "path.h"
#include "scratch.h"

namespace terway::bench {

namespace {

Result<> add(const Node& node, const Namespace& pod, unsigned n) {
  const std::string config = fmt::format(
      R"({{"cniVersion":"1.0.0","name":"bench","type":"ptp","ipam":{{"type":"host-local",)"
      R"("subnet":"{}","dataDir":"{}","routes":[{{"dst":"0.0.0.0/0"}}]}}}})",
      node.pods().to_string(), (scratch() / fmt::format("host-local-{}", node.number)).string());
  const auto inside = TRY(node.ns.enter());
  const Outcome outcome =
      make(call_of("/usr/lib/cni/ptp", "ADD", config, pod.path(), fmt::format("bench{}", n)));
  if (outcome.failed) return Error(Error::Kind::Internal, "ptp ADD: " + outcome.output);
  return Ok{};
}

Result<net::IpAddress> address_in(const Namespace& pod) {
  auto socket = TRY(pod.route_socket());
  const int ifindex = TRY(kernel::get_link(socket, "eth0")).ifindex;
  const auto addresses = TRY(kernel::list_addresses(socket, net::Family::V4, ifindex));
  if (addresses.empty()) return Error(Error::Kind::Internal, "ptp gave the pod no address");
  return addresses.front().prefix.address;
}

Result<> route_to_other(const Node& node, const net::Prefix& pods) {
  auto socket = TRY(node.ns.route_socket());
  kernel::Route route;
  route.destination = pods;
  route.oif = node.eni;
  route.gateway = node.other_address();
  return socket.request(kernel::add_route(route));
}

}  // namespace

Result<Path> make_ptp(const std::string& name, unsigned pods) {
  Path path{name, TRY(make_nodes())};
  auto& node = path.nodes.node;
  for (unsigned i = 0; i < node.size(); ++i) {
    TRY(address_eni(node[i]));
    TRY(route_to_other(node[i], node[1 - i].pods()));
    for (unsigned n = 1; n <= pods; ++n) {
      path.pods.push_back(TRY(Namespace::make()));
      TRY(add(node[i], path.pods.back(), n));
    }
  }
  path.ends = {path.pods[0].fd(), path.pods[pods].fd(), TRY(address_in(path.pods[pods]))};
  path.forwards = 4;
  return path;
}

}  // namespace terway::bench
