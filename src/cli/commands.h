// SPDX-License-Identifier: Apache-2.0
// What each verb that asks the daemon does: a question, and its answer as text.
#pragma once

#include <string>

#include "base/result.h"
#include "base/table.h"
#include "cli/daemon.h"

namespace terway::cli {

struct Output {
  bool json = false;  // the answer as it came, for programs
  Colour colour = Colour::Off;
};

Result<std::string> status(Daemon& daemon, const Output& output);
Result<std::string> pods(Daemon& daemon, const Output& output);
// All ENIs, or the one of this id with its addresses. NotFound when there is none of that id.
Result<std::string> enis(Daemon& daemon, const std::string& id, const Output& output);
Result<std::string> pool(Daemon& daemon, const Output& output);
Result<std::string> journal(Daemon& daemon, const Output& output);
Result<std::string> mapping(Daemon& daemon, const Output& output);
Result<std::string> metadata(Daemon& daemon, const Output& output);
Result<std::string> node_config(Daemon& daemon, const Output& output);

// The fast path: endpoints, maps, programs, attachments, packets by what became of them.
Result<std::string> datapath(Daemon& daemon, const Output& output);

// The limits of a pod's interface, after changing what the order names.
Result<std::string> bandwidth(Daemon& daemon, const rpc::cli::BandwidthOrder& order,
                              const Output& output);

// The types of resources, or the names of one type.
Result<std::string> list(Daemon& daemon, const std::string& type, const Output& output);
// One resource; without a name the first of its type.
Result<std::string> show(Daemon& daemon, const std::string& type, const std::string& name,
                         const Output& output);
// The commands of a resource: "mapping" (the address map) and "resdb" (the journal).
Result<std::string> execute(Daemon& daemon, const std::string& type, const std::string& name,
                            const std::string& command, const Output& output);

}  // namespace terway::cli
