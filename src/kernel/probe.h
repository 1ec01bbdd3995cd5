// SPDX-License-Identifier: Apache-2.0
// Asking a gateway for its MAC without claiming an address: ARP with sender 0.0.0.0 (RFC 5227's
// probe) and neighbour solicitations from fe80:: (RFC 4861), through AF_PACKET, so that the NIC
// needs no address.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/message.h"
#include "net/address.h"

namespace terway::kernel {

// The whole frame that asks `target` for its MAC. `sender` absent: 0.0.0.0, or the link-local
// address that belongs to `own`.
std::vector<std::uint8_t> probe_frame(const net::Mac& own, const net::IpAddress& target,
                                      const std::optional<net::IpAddress>& sender = {});

struct ProbeReply {
  net::IpAddress address;
  net::Mac mac;
};
// An ARP reply or neighbour advertisement, from a frame with its Ethernet header; nullopt for all
// else.
std::optional<ProbeReply> parse_probe_reply(Bytes frame);

// fe80:: with the EUI-64 of the MAC (RFC 4291, appendix A).
net::IpAddress link_local_of(const net::Mac& mac);

// One NIC, one family. Nothing blocks; closing costs an RCU grace period, so it is kept as long as
// its NIC. For one thread.
class Probe {
 public:
  static Result<Probe> open(int ifindex, net::Family family);

  // The NIC must be up (Unavailable, ENETDOWN).
  Result<> send(const net::Mac& own, const net::IpAddress& target,
                const std::optional<net::IpAddress>& sender = {});
  // Readable when a reply may have come.
  int fd() const { return fd_.get(); }
  // What came since the last call, whomever it is from.
  Result<std::vector<ProbeReply>> receive();

 private:
  Probe(UniqueFd fd, int ifindex) : fd_(std::move(fd)), ifindex_(ifindex) {}
  UniqueFd fd_;
  int ifindex_;
};

}  // namespace terway::kernel
