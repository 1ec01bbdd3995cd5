// SPDX-License-Identifier: Apache-2.0
// Leaves a DEL for the daemon to do later (rpc/tombstone.h reads it).
#pragma once

#include "plugin/daemon.h"
#include "plugin/text.h"

namespace terway::plugin {

// Writes DIRECTORY/CONTAINER:IFNAME, whole or not at all, making the directory when it is missing.
// The names in `call` are checked ones. Not synced: a machine that loses its power loses its pods
// as well.
bool leave_tombstone(Text directory, const Call& call, Reason& reason);

}  // namespace terway::plugin
