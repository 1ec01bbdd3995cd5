// SPDX-License-Identifier: Apache-2.0
// Whether pods reach the instance's metadata service is the configuration's to say, whoever carries
// their packets.
#include "datapath/names.h"
#include "tests/netns/fast_path/fast_node.h"

namespace terway::datapath {
namespace {

using namespace test;

TEST_CASE("pods reach the metadata service where they may, and nowhere else changes anything") {
  if (!can_load("metadata")) return;
  for (const FastPathMode mode : {FastPathMode::Stack, FastPathMode::Bpf}) {
    for (const bool may : {true, false}) {
      CAPTURE(to_string(mode));
      CAPTURE(may);
      const Bpffs bpffs;
      Node node;
      const std::string metadata(kMetadata);
      shell(node.outside, "ip addr add " + metadata + "/32 dev lo");
      shell(node.vpc, "ip route add " + metadata + "/32 via " + kOutside);
      const Echo service(node.outside, kPort);
      Settings settings = Node::settings();
      settings.fast_path = mode;
      settings.bpffs = bpffs.path();
      settings.pods_reach_metadata = may;
      const auto datapath =
          node.node.run([&] { return must(Datapath::open(settings), "open the datapath"); });
      node.bring_up(*datapath, "eni-1");
      const auto pod = node.add_pod(*datapath, 11, "eni-1");
      const Desired desired{{node.eni("eni-1")}, {pod->plan}};
      node.node.run([&] { must(datapath->resync(desired, true)); });
      CHECK(ask_tcp(pod->ns, ip(metadata), kPort).has_value() == may);
      CHECK(ask_tcp(pod->ns, ip(kOutside), kPort) == "10.2.0.11");
      // The node itself does.
      CHECK(ask_tcp(node.node, ip(metadata), kPort).has_value());
    }
  }
}

}  // namespace
}  // namespace terway::datapath
