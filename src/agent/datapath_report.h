// SPDX-License-Identifier: Apache-2.0
// The fast path as terway-cli hears of it (rpc/cli_api.h).
#pragma once

#include "datapath/datapath.h"
#include "rpc/cli_api.h"

namespace terway::agent {

rpc::cli::Datapath report_of(const datapath::Inspection& inspection,
                             const datapath::FastPathStatus& status);
rpc::cli::EventEntry entry_of(const datapath::SeenEvent& seen);
// "on", or "off: why".
std::string in_short(const datapath::FastPathStatus& status);

}  // namespace terway::agent
