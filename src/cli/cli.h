// SPDX-License-Identifier: Apache-2.0
// The operator's shell command: terway-cli.
#pragma once

namespace terway::cli {

// Exit status: 0 done, 1 failed (one line on standard error says why), 2 wrong usage.
int run(int argc, const char* const* argv);

}  // namespace terway::cli
