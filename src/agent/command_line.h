// SPDX-License-Identifier: Apache-2.0
// terwayd's flags, signals and last words.
#pragma once

namespace terway::agent {

// Exit status: 0 told to stop, 1 cannot go on (the log's last line says why), 2 wrong usage.
int run_command_line(int argc, char** argv);

}  // namespace terway::agent
