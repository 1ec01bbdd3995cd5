// SPDX-License-Identifier: Apache-2.0
// Where the simulated cloud meets real packets: an attached ENI becomes a NIC in its node. Two
// exist: Fabric (links and BPF) and NoFabric (API only).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/address.h"

namespace terway::vpcsim {

// What an ENI is to the fabric.
struct Nic {
  std::string eni_id;
  net::Mac mac;
  std::uint32_t mtu = 1500;
  // The node's network namespace ("/run/netns/x", "/proc/PID/ns/net").
  std::string netns_path;
  // The name that the NIC would like in there ("eth0" for the primary one, "eth1"…). Taken already:
  // the next free ethN.
  std::string ifname;
  std::string vpc_id;
  net::Prefix vswitch_cidr;
  std::optional<net::Prefix> vswitch_ipv6_cidr;
  // The third-last address of each CIDR; the fabric answers ARP and ND for it.
  net::IpAddress gateway;
  std::optional<net::IpAddress> gateway_ipv6;
  // Every address of the ENI, both families, the primary one included.
  std::vector<net::IpAddress> addresses;
};

struct NicCounters {
  std::string eni_id;
  // "forwarded", "spoofed_ip", …: frames since the fabric began. The names are the fabric's.
  std::map<std::string, std::uint64_t> by_name;
};

// Called by one thread at a time; never under the world's lock, so a call may take its time.
class Plugger {
 public:
  virtual ~Plugger() = default;

  // The NIC appears in the node: down, without addresses, with its MAC and MTU. Plugging again what
  // is plugged is a success when namespace and MAC are the same. NotFound: no such namespace.
  virtual Result<> plug(const Nic& nic) = 0;

  // From now on these are the ENI's addresses: others are spoofed, and nobody else's frames for
  // them go elsewhere. NotFound: not plugged.
  virtual Result<> update_addresses(const std::string& eni_id,
                                    const std::vector<net::IpAddress>& addresses) = 0;

  // The NIC is gone from wherever it was moved to (a pod's namespace too). What is not plugged is a
  // success.
  virtual Result<> unplug(const std::string& eni_id) = 0;

  // A NIC dies with the namespace that somebody moved it to (a real one would go back to its node).
  // Readable when that may have happened, for as long as the plugger lives; -1: it never does.
  virtual int events_fd() const { return -1; }
  // The ENIs that it happened to: to be plugged anew.
  virtual Result<std::vector<std::string>> take_lost() { return std::vector<std::string>{}; }

  // Setting `path_mtu`, from now on and for every NIC.
  virtual void set_path_mtu(std::uint32_t bytes) = 0;

  // Of every NIC that is or was plugged: what it did wrong is not forgotten with it.
  virtual Result<std::vector<NicCounters>> counters() = 0;
};

// For use without packets.
class NoFabric final : public Plugger {
 public:
  Result<> plug(const Nic&) override { return Ok{}; }
  Result<> update_addresses(const std::string&, const std::vector<net::IpAddress>&) override {
    return Ok{};
  }
  Result<> unplug(const std::string&) override { return Ok{}; }
  void set_path_mtu(std::uint32_t) override {}
  Result<std::vector<NicCounters>> counters() override { return std::vector<NicCounters>{}; }
};

}  // namespace terway::vpcsim
