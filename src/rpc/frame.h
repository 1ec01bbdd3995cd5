// SPDX-License-Identifier: Apache-2.0
// The bytes between the CNI plugin and the daemon: docs/formats/plugin-protocol.md. One request and
// one reply per connection of a unix stream socket, in host byte order (both ends are one machine).
// Needs no C++ library, for the plugin has none.
//
//   request: RequestHeader, then the six fields back to back; with Netns::Attached one descriptor
//            travels as SCM_RIGHTS with the header's first byte
//   reply:   ReplyHeader, then what the plugin prints
//
// A tombstone (rpc/tombstone.h) is a file that holds one request of command Del.
#pragma once

#include <stdint.h>

#include "cni/command.h"

namespace terway::rpc {

inline constexpr char kPluginSocket[] = "/var/run/eni/eni.socket";
inline constexpr char kTombstoneDirectory[] = "/var/lib/cni/terway/tombstones";
// Keys of the network configuration that put them elsewhere.
inline constexpr char kPluginSocketKey[] = "daemon_socket";
inline constexpr char kTombstoneDirectoryKey[] = "tombstone_directory";

inline constexpr uint32_t kRequestMagic = 0x71575254;  // "TRWq"
inline constexpr uint32_t kReplyMagic = 0x61575254;    // "TRWa"
inline constexpr uint16_t kFrameVersion = 1;

enum class Field : uint8_t { ContainerId, Netns, Ifname, Args, Path, Config };
inline constexpr unsigned kFields = 6;

// The most bytes of each field; a container id and an interface name must fit one file name.
inline constexpr uint32_t kFieldLimits[kFields] = {200, 4096, 15, 128 * 1024, 4096, 1024 * 1024};
inline constexpr uint32_t kReplyLimit = 1024 * 1024;

// What became of CNI_NETNS. The plugin opens it, for its path means nothing inside the daemon's
// container.
enum class Netns : uint8_t {
  None = 0,      // CNI_NETNS was empty
  Attached = 1,  // the descriptor is with the request
  Unopened = 2,  // open() failed with netns_errno
  Foreign = 3,   // opened, and it is no network namespace (set by the receiver)
};

struct RequestHeader {
  uint32_t magic;
  uint16_t version;
  uint8_t command;  // cni::Command
  uint8_t netns;    // rpc::Netns
  uint32_t netns_errno;
  uint32_t field_sizes[kFields];  // in the order of Field; nothing is terminated by a zero
};
static_assert(sizeof(RequestHeader) == 36, "no padding");

enum class Outcome : uint8_t {
  Answered = 0,  // exit_code and output are the answer
  Busy = 1,      // too many calls at once; ask again later
  Refused = 2,   // version, size or caller not accepted
};

struct ReplyHeader {
  uint32_t magic;
  uint16_t version;
  uint8_t outcome;    // rpc::Outcome
  uint8_t exit_code;  // what the plugin exits with
  uint32_t output_size;
};
static_assert(sizeof(ReplyHeader) == 12, "no padding");

// How long the plugin waits, in milliseconds. kubelet gives a sandbox 2 minutes (its
// --runtime-request-timeout), so ours ends before and says why.
inline constexpr int kConnectMillis = 1500;
constexpr int reply_millis(cni::Command command) {
  switch (command) {
    case cni::Command::Add:
      return 110'000;  // an ENI may have to be attached first
    case cni::Command::Del:
      return 10'000;  // then a tombstone does it
    case cni::Command::Check:
    case cni::Command::Gc:
      return 60'000;
    case cni::Command::Status:
    case cni::Command::Version:
      return 10'000;
  }
  return 10'000;
}
// How long the daemon waits for the whole of a request, and for the plugin to take the reply.
inline constexpr int kTransferMillis = 5000;

}  // namespace terway::rpc
