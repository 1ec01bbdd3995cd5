// SPDX-License-Identifier: Apache-2.0
// The CNI plugin: one exec, one call. It knows the protocol's outside (environment, standard input
// and output, errors of transport) and nothing of networks: that is the daemon's. Built without the
// C++ library, so that it starts in a tenth of a millisecond.
#pragma once

namespace terway::plugin {

// Does what CNI_COMMAND says and returns the exit status.
int run();

}  // namespace terway::plugin
