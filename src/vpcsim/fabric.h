// SPDX-License-Identifier: Apache-2.0
// The packets of the simulated VPC, at the kernel's speed: an ENI is a veth whose one end is the
// NIC in the node, the other a port in a namespace of the fabric's own. A BPF program at each port
// (bpf/fabric.bpf.c) drops and counts what is not of that ENI, answers ARP and ND, and sends the
// rest straight to the port that owns its destination. No bridge and no host stack: nothing of it
// is seen on the host, and all of it ends with the process.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/monitor.h"
#include "kernel/socket.h"
#include "vpcsim/plugger.h"

struct fabric_bpf;  // NOLINT(readability-identifier-naming): the generated skeleton

namespace terway::vpcsim {

// Names of the counters (those of fabric_verdict in bpf/fabric_abi.h). What an honest node never
// raises begins with this: "spoofed_mac", "spoofed_ip", "spoofed_arp", "spoofed_nd".
inline constexpr std::string_view kSpoofed = "spoofed_";

// Needs CAP_NET_ADMIN and CAP_BPF (or CAP_SYS_ADMIN). For one thread at a time.
class Fabric final : public Plugger {
 public:
  static Result<std::unique_ptr<Fabric>> open();
  ~Fabric() override;

  // Besides Plugger's contract: a NIC whose namespace died with it (a node switched off) is plugged
  // anew, and so is one that is asked for in another namespace (a node that came back).
  Result<> plug(const Nic& nic) override;
  Result<> update_addresses(const std::string& eni_id,
                            const std::vector<net::IpAddress>& addresses) override;
  Result<> unplug(const std::string& eni_id) override;
  int events_fd() const override { return monitor_.fd(); }
  Result<std::vector<std::string>> take_lost() override;
  // Of every ENI since open(), unplugged ones too: a frame spoofed by a NIC that is gone still
  // counts.
  Result<std::vector<NicCounters>> counters() override;

  void set_path_mtu(std::uint32_t bytes) override;

  // Where the ports are, for tcpdump: nsenter --net=/proc/PID/fd/N.
  int netns() const { return netns_.get(); }

 private:
  struct Close {
    void operator()(fabric_bpf* program) const;
  };
  using Program = std::unique_ptr<fabric_bpf, Close>;
  using Counts = std::map<std::string, std::uint64_t>;

  struct Port {
    std::uint32_t ifindex = 0;  // in the fabric's namespace; never used twice
    std::uint32_t vpc = 0;
    net::Mac mac;
    std::uint64_t node = 0;  // inode of the namespace that it was plugged into
    std::vector<net::IpAddress> addresses;
  };

  Fabric(Program program, UniqueFd netns, kernel::Socket socket, kernel::Monitor monitor);

  bool is_alive(const Port& port);
  Result<> make_links(const Nic& nic, std::uint32_t ifindex, int node);
  Result<> attach(std::uint32_t ifindex);
  Result<> set_port(const Nic& nic, const Port& port);
  Result<> set_addresses(Port& port, const std::vector<net::IpAddress>& addresses);
  void drop_address(const Port& port, const net::IpAddress& address);
  Result<> pull(const std::string& eni_id, Port port);
  Result<Counts> counts_of(std::uint32_t ifindex) const;
  std::uint32_t vpc_number(const std::string& vpc_id);

  Program program_;
  UniqueFd netns_;
  kernel::Socket socket_;
  kernel::Monitor monitor_;  // of the ports
  std::map<std::string, std::uint32_t> vpcs_;
  std::map<std::string, Port> ports_;      // by ENI
  std::map<std::string, Counts> retired_;  // by ENI: what its earlier ports counted
  std::uint32_t next_ifindex_ = 16;
};

}  // namespace terway::vpcsim
