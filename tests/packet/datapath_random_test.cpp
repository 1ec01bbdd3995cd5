// SPDX-License-Identifier: Apache-2.0
// Whatever a pod sends: what leaves is from its own MAC and address.
#include <doctest/doctest.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <algorithm>
#include <random>

#include "tests/packet/world.h"

namespace terway::test {
namespace {

using namespace abi;

// The obvious way: where does the frame say that it is from?
bool is_from_a(const Bytes& frame) {
  const auto own_mac = packet::mac(kMacA).bytes;
  if (!std::equal(own_mac.begin(), own_mac.end(), frame.begin() + 6)) return false;
  const auto says = [&](std::size_t at, const char* own) {
    const auto address = packet::address(own);
    return frame.size() >= at + address.wire_size() &&
           std::equal(address.wire(), address.wire() + address.wire_size(),
                      frame.begin() + static_cast<std::ptrdiff_t>(at));
  };
  const unsigned type = frame[12] * 256U + frame[13];
  return (type == ETH_P_IP && says(26, kV4.a)) || (type == ETH_P_IPV6 && says(22, kV6.a));
}

// What may leave A's namespace for its link alone: ARP and ND, and what is between link-local
// addresses.
bool may_stay_on_link(const Bytes& frame) {
  const unsigned type = frame[12] * 256U + frame[13];
  if (type == ETH_P_ARP) return true;
  if (type != ETH_P_IPV6) return false;
  const auto link_local = [&](std::size_t at) {
    return frame[at] == 0xfe && (frame[at + 1] & 0xc0U) == 0x80;
  };
  const bool unspecified =
      std::all_of(frame.begin() + 22, frame.begin() + 38, [](auto byte) { return byte == 0; });
  return (link_local(22) || unspecified) && (link_local(38) || frame[38] == 0xff);
}

class Garbage {
 public:
  explicit Garbage(std::uint32_t seed) : random_(seed) {}

  // One that A might send, with some bytes changed, most of them where it hurts; now and then cut,
  // as short as a test run takes them.
  Bytes frame() {
    Bytes frame = genuine().bytes();
    const unsigned changes = below(6);
    for (unsigned i = 0; i < changes; ++i) {
      const std::size_t reach =
          below(4) == 0 ? frame.size() : std::min<std::size_t>(frame.size(), 62);
      frame[below(static_cast<unsigned>(reach))] = static_cast<std::uint8_t>(below(256));
    }
    if (below(8) == 0)
      frame.resize(std::max(std::min<std::size_t>(frame.size(), 54), std::size_t{below(90)}));
    return frame;
  }

 private:
  unsigned below(unsigned most) {
    return std::uniform_int_distribution<unsigned>(0, most - 1)(random_);
  }

  Packet genuine() {
    const auto& f = below(2) == 0 ? kV4 : kV6;
    const char* sources[] = {f.a, f.a, f.b, f.node, f.remote};
    const char* destinations[] = {f.b, f.i, f.x, f.remote, f.node, f.blocked, f.service};
    const char* source = sources[below(5)];
    const char* destination = destinations[below(7)];
    auto packet = Packet::from(below(4) == 0 ? kMacB : kMacA).to(kMacHostEnd);
    switch (below(8)) {
      case 0:
        return packet.arp_request(kMacA, kV4.a, "169.254.1.1");
      case 1:
        return packet.ip(kV6.a, "fe80::1").neighbour_advertisement(kV6.a, kMacA, "S");
      case 2:
        return packet.ip(source, destination).echo_request(1, 1).payload(20);
      case 3:
        return packet.ip(kV6.a, kV6.remote).extension(60, 8).fragment_v6(1, 0, true).udp(1, 2);
      case 4:
        return packet.ip(source, destination)
            .icmp_error(f.a == kV4.a ? 3 : 1, 1,
                        Packet::from(kMacB).ip(destination, source).udp(1, 2).bytes(), 60);
      case 5:
        return packet.ip(source, destination).udp(1, 2).payload(below(60));
      default:
        return packet.ip(source, destination)
            .tcp(1, 2, static_cast<std::uint8_t>(below(64)))
            .payload(below(60));
    }
  }

  std::mt19937 random_;
};

TEST_CASE("no garbage passes from an address or a MAC that is not the pod's") {
  World world;
  auto* program = world.programs()->progs.pod_egress;
  const auto seed = std::random_device()();
  CAPTURE(seed);
  Garbage garbage(seed);
  unsigned passed = 0;
  for (int i = 0; i < 3000; ++i) {
    const Bytes frame = garbage.frame();
    INFO("in: ", packet::describe(frame));
    const auto outcome = world.run(program, kHostEndA, frame);
    REQUIRE(outcome.reason.has_value());
    CHECK((outcome.action == TC_ACT_SHOT) == (outcome.reason != DROP_NONE));
    if (outcome.action == TC_ACT_REDIRECT) CHECK(is_from_a(frame));
    if (outcome.action == TC_ACT_OK) CHECK((is_from_a(frame) || may_stay_on_link(frame)));
    passed += outcome.action == TC_ACT_SHOT ? 0 : 1;
  }
  CHECK(passed > 300);  // or it would have proved nothing
}

}  // namespace
}  // namespace terway::test
