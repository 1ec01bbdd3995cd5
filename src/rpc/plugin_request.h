// SPDX-License-Identifier: Apache-2.0
// One exec of the CNI plugin as the daemon sees it, and its bytes (rpc/frame.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/fd.h"
#include "base/result.h"
#include "cni/command.h"
#include "cni/request.h"
#include "rpc/frame.h"

namespace terway::rpc {

// The plugin's environment and standard input, as it found them: bounded in size, not judged.
struct PluginRequest {
  cni::Command command = cni::Command::Add;
  std::string container_id;  // CNI_CONTAINERID
  std::string netns_path;    // CNI_NETNS; of use only as text (the result's sandbox)
  std::string ifname;        // CNI_IFNAME
  std::string args;          // CNI_ARGS
  std::string path;          // CNI_PATH
  std::string config;        // standard input
  Netns netns_state = Netns::None;
  int netns_errno = 0;  // why it could not be opened; only with Netns::Unopened
  UniqueFd netns;       // the pod's namespace; only with Netns::Attached
  pid_t caller = 0;     // the plugin's process; 0 for a tombstone
  // Lent for the time of the call: at its end of file the plugin is gone. -1 for a tombstone.
  int connection = -1;
};

// What the plugin prints on standard output and exits with.
struct PluginAnswer {
  std::uint8_t exit_code = 0;
  std::string output;
};

// The request understood (cni/request.h), or the CNI error to answer with. ADD and CHECK need the
// namespace itself: without one it is an error that names CNI_NETNS.
std::variant<cni::Request, cni::Failure> understand(const PluginRequest& request);

// The answers that there are: the result of an ADD, nothing for the other verbs, an error.
PluginAnswer answer_with(const cni::AddResult& result, cni::Version version);
PluginAnswer answer_with(const cni::Failure& failure);

// Invalid: not our magic, a version or command that we do not know, or a field over its limit.
Result<> check(const RequestHeader& header);

// How many bytes follow the header.
std::size_t body_size(const RequestHeader& header);

// The request of a checked header; `body` has body_size() bytes. Without descriptor and caller.
PluginRequest request_from(const RequestHeader& header, std::string_view body);

// A whole request in one string, as a tombstone holds it. Invalid as check() says, or cut short.
Result<PluginRequest> decode_request(std::string_view bytes);
std::string encode_request(const PluginRequest& request);

}  // namespace terway::rpc
