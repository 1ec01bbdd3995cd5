// SPDX-License-Identifier: Apache-2.0
// The CNI project's reference: one veth a pod, routed, no policy.
#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>

#include "bench/cni/calls.h"
#include "kernel/address.h"
#include "kernel/link.h"
#include "kernel/route.h"
#include "path.h"

namespace terway::bench {

namespace {

// host-local's records of what it gave out; removed also when the bench fails.
class Records {
 public:
  explicit Records(unsigned node)
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("bench-datapath-{}-{}", ::getpid(), node)) {}
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;
  ~Records() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

Result<> add(const Node& node, const Namespace& pod, unsigned n, const Records& records) {
  const std::string config = fmt::format(
      R"({{"cniVersion":"1.0.0","name":"bench","type":"ptp","ipam":{{"type":"host-local",)"
      R"("subnet":"{}","dataDir":"{}","routes":[{{"dst":"0.0.0.0/0"}}]}}}})",
      node.pods().to_string(), records.path());
  const std::string netns = fmt::format("/proc/{}/fd/{}", ::getpid(), pod.fd());
  const auto inside = TRY(node.ns.enter());
  const Outcome outcome =
      make(call_of("/usr/lib/cni/ptp", "ADD", config, netns, fmt::format("bench{}", n)));
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
    const Records records(node[i].number);
    for (unsigned n = 1; n <= pods; ++n) {
      path.pods.push_back(TRY(Namespace::make()));
      TRY(add(node[i], path.pods.back(), n, records));
    }
  }
  path.ends = {path.pods[0].fd(), path.pods[pods].fd(), TRY(address_in(path.pods[pods]))};
  path.forwards = 4;
  return path;
}

}  // namespace terway::bench
