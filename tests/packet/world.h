// SPDX-License-Identifier: Apache-2.0
// The datapath's programs, loaded, with a node's worth of endpoints: frames go in at a device and
// an outcome comes out. Nothing is attached, nothing is sent.
#pragma once

#include <linux/bpf.h>

#include <optional>
#include <string_view>
#include <vector>

#include "bpf/abi.h"
#include "bpf/datapath.skel.h"
#include "bpf/test_sender.skel.h"
#include "tests/netns/namespace.h"
#include "tests/packet/packet.h"

namespace terway::test {

using packet::Bytes;
using packet::Packet;

// Devices, by the numbers that they have in the test's namespace.
using Device = std::uint32_t;
constexpr Device kHostEndA = 54011;  // of the veth pods A and B
constexpr Device kHostEndB = 54012;
constexpr Device kEni = 54021;     // shared by A and B
constexpr Device kParent = 54022;  // shared by the IPVLAN pods I and J
constexpr Device kNic = 54031;     // of the exclusive pod X
constexpr Device kPeer = 54032;    // host end of X's other pair
constexpr Device kPeerInner = 54033;
constexpr Device kShaper = 54041;
constexpr Device kStack = 54051;

constexpr auto kMacA = "02:00:00:00:00:0a";
constexpr auto kMacB = "02:00:00:00:00:0b";
constexpr auto kMacHostEnd = "02:00:00:00:00:fe";  // of every host end
constexpr auto kMacEni = "00:16:3e:00:00:01";
constexpr auto kMacParent = "00:16:3e:00:00:02";  // of I and J as well
constexpr auto kMacNic = "00:16:3e:00:00:03";     // X's
constexpr auto kMacPeer = "02:00:00:00:00:0c";    // X's, towards the host
constexpr auto kMacStack = "02:00:00:00:00:0d";
constexpr auto kGateway = "ee:ff:ff:ff:ff:ff";
constexpr auto kBroadcast = "ff:ff:ff:ff:ff:ff";

// One of each family.
struct Addresses {
  const char* a;
  const char* b;
  const char* i;
  const char* j;
  const char* x;
  const char* remote;
  const char* node;     // HOST
  const char* blocked;  // BLOCKED
  const char* service;  // in a CIDR of host_stack
};
constexpr Addresses kV4{"10.0.0.10", "10.0.0.11",   "10.0.0.20",       "10.0.0.21",  "10.0.0.30",
                        "10.0.1.20", "192.168.0.1", "100.100.100.200", "172.16.0.10"};
constexpr Addresses kV6{"2001:db8::10",  "2001:db8::11",    "2001:db8::20",
                        "2001:db8::21",  "2001:db8::30",    "2001:db8:1::20",
                        "2001:db8:f::1", "2001:db8:f::200", "2001:db8:5::10"};
constexpr std::uint32_t kNetnsI = 1001, kNetnsJ = 1002;
constexpr std::uint32_t kTurnMark = 0x1234abcd;

struct Outcome {
  int action = -1;
  std::optional<abi::drop_reason> reason;  // the one counter that rose; DROP_NONE: passed
  std::optional<abi::direction> direction;
  abi::count counted{};
  std::uint32_t mark = 0;
  std::uint32_t priority = 0;
  Bytes frame;
};

// The programs are loaded once, which takes a while; each World begins without flows and events.
class World {
 public:
  World();

  // As if it came by at that device.
  Outcome run(bpf_program* program, Device at, const Bytes& frame, const __sk_buff& context = {});
  Outcome run(bpf_program* program, Device at, const Packet& frame) {
    return run(program, at, frame.bytes());
  }
  // The same, sent by a slave in that namespace (0: by the host).
  Outcome run_as(std::uint32_t netns, bpf_program* program, Device at, const Packet& frame);

  // What is at this address now, to be changed and given back.
  abi::endpoint endpoint(std::string_view address) const;
  void set(std::string_view address, const abi::endpoint& endpoint);
  void set(const abi::config& config);
  abi::config config() const;
  // By whichever end is the low one; nullopt when it is not known.
  std::optional<abi::flow> flow(const char* source, std::uint16_t source_port,
                                const char* destination, std::uint16_t destination_port,
                                std::uint8_t protocol) const;
  void set_flow(const char* source, std::uint16_t source_port, const char* destination,
                std::uint16_t destination_port, std::uint8_t protocol, const abi::flow& flow);
  std::vector<abi::event> events();
  std::uint64_t events_lost() const;

  datapath_bpf* programs() { return programs_; }

 private:
  using Counts = std::vector<abi::count>;
  struct Loaded;

  Counts counts() const;
  void add_pods(const Addresses& family, bool v4);

  Loaded& loaded_;
  datapath_bpf* programs_;
  Counts counts_;  // after the last run
  std::uint64_t lost_ = 0;
};

abi::ip_address key_of(std::string_view address);

}  // namespace terway::test
