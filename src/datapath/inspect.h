// SPDX-License-Identifier: Apache-2.0
// What the fast path is and has done, read from the kernel at this moment: for people and metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/abi.h"
#include "datapath/plan.h"
#include "net/address.h"

namespace terway::datapath {

// Names as an operator reads and writes them: those of bpf/abi.h in lower case ("spoofed_ip").
std::string_view drop_name(unsigned reason);
std::string_view drop_text(unsigned reason);
std::string_view direction_name(unsigned direction);  // "egress": what pods send

struct Inspection {
  struct Endpoint {
    net::IpAddress address;
    std::string kind;  // "pod", "host", "blocked"
    std::string mode;  // "veth", "ipvlan", "exclusive"; below: of pods only
    std::uint32_t number = 0;
    std::string pod;  // "namespace/name", or the attachment's key; empty: nobody's
    int ifindex = 0;
    int eni_ifindex = 0;
    net::Mac mac;
    net::Mac gateway_mac;
    std::uint32_t mtu = 0;
  };
  struct MapFill {
    std::string name;
    std::uint32_t entries = 0;
    std::uint32_t max_entries = 0;
  };
  struct Program {
    std::string name;
    std::uint32_t id = 0;
    std::string tag;
    std::uint32_t instructions = 0;
    std::uint32_t machine_bytes = 0;
    std::uint32_t links = 0;  // hooks of this node's links where it is
  };
  struct Attached {
    std::string link;
    std::string hook;
    std::string program;
    std::uint32_t id = 0;
    bool current = false;  // the program that this daemon would attach
  };
  struct Count {
    std::string reason;  // empty: passed
    std::string direction;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
  };
  std::vector<Endpoint> endpoints;
  std::vector<std::string> host_stack;
  std::vector<MapFill> maps;
  std::vector<Program> programs;
  std::vector<Attached> attached;
  std::vector<Count> counts;  // all of them, also those that are 0
  std::uint64_t events_lost = 0;
};

// Where the programs are is asked link by link: not for metrics.
enum class InspectLinks : std::uint8_t { No, Yes };

// A drop, or the first packet of a flow.
struct SeenEvent {
  std::uint64_t number = 0;  // counts from 1
  abi::event event{};
  std::string pod;  // "namespace/name"; empty: of none
};

}  // namespace terway::datapath
